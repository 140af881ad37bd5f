package plan

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// edit is a new value of a field, and where and when somebody gave it.
type edit struct {
	side   side
	raw    jsontext.Value // in the system's words
	hash   uint64         // of its comparable form
	at     int64
	number *int64 // the system's version of the object
	event  string // id of the record
	still  bool   // what the other side has is not to be put right: it is a person's consent
}

// fate is what became of an edit.
type fate byte

const (
	won    fate = iota + 1
	agreed      // both sides have the value
	lost        // the other side's is newer, or its owner's
	stale       // the same side has a newer one
	owned       // the field is the other side's
	looped      // it has gone round in a circle
)

// verdict is what is to be done about an edit.
type verdict struct {
	fate     fate
	conflict bool
	was      value // of the other side, where there is a conflict
	// toBraze and toCRM say whom win is to be told.
	toBraze, toCRM bool
}

// judge holds the edits of a field to its rules.
type judge struct {
	now    int64
	skew   int64 // clocks differ by so much at most
	turns  int
	within int64
}

// judge takes an edit in. It keeps to one invariant: of what was planned for a side, the last is win, or it had
// certainly arrived before that side's own edit to win. So nothing that is still on its way can leave a side
// with another value for good, and nobody has to wait for its answer.
func (j *judge) judge(f *field, e *edit, owner rules.Owner) verdict {
	if e.side == inCRM {
		if f.old(e) {
			return verdict{fate: stale}
		}
		f.spoke = e.at
		if e.number != nil {
			f.number, f.counts = *e.number, true
		}
	}
	known := f.win.side != nobody
	if known && f.win.hash == e.hash {
		return j.agree(f, e, owner)
	}
	v := verdict{was: f.win}
	switch {
	case owner == rules.OwnerCRM && e.side == inBraze:
		v.fate = owned
		v.conflict = known
		v.toBraze = known && f.win.side == inCRM && !e.still && !f.comes(e, j.skew)
	case owner == rules.OwnerBraze && e.side == inCRM:
		v.fate = owned
		v.conflict = known && f.win.side == inBraze
		if !v.conflict || f.win.text == "" { // what Braze has is not known: remember at least what it would have to differ from
			f.set(e)
			return v
		}
		v.toCRM = !f.comes(e, j.skew)
	case known && !f.newer(e, owner) && f.win.side == e.side:
		return verdict{fate: stale}
	case known && !f.newer(e, owner) && (f.win.text != "" || f.comes(e, j.skew)):
		v.fate, v.conflict = lost, true
		v.toBraze = e.side == inBraze && !f.comes(e, j.skew)
		v.toCRM = e.side == inCRM && !f.comes(e, j.skew)
	default: // also when a newer value is too long to be written back: better both sides the same than each its own
		v.fate = won
		v.conflict = known && f.win.side != e.side && f.unaware(e)
		v.toBraze = e.side == inCRM || f.overtaken(e, j.skew)
		v.toCRM = e.side == inBraze || f.overtaken(e, j.skew)
	}
	if !j.turn(f, e, v) {
		v = verdict{fate: looped, was: f.win}
	}
	if v.fate == won || v.fate == looped {
		f.set(e)
	}
	if v.fate == looped {
		f.refused = e.side == inBraze // the system does not have it: said again, or sent once more, it is written
	}
	return v
}

// agree notes that both sides have the same value. What the CRM says is passed on all the same: it is a real
// edit, and whether Braze has it is attribute-sync's to know. What Braze says is not, but for what was refused.
func (j *judge) agree(f *field, e *edit, owner rules.Owner) verdict {
	f.refused = f.refused && e.side == inBraze
	mine := owner == rules.OwnerBraze && e.side == inBraze || owner == rules.OwnerCRM && e.side == inCRM
	theirs := owner == rules.OwnerBraze && e.side == inCRM || owner == rules.OwnerCRM && e.side == inBraze
	if mine || !theirs && f.newer(e, owner) {
		f.win.side, f.win.edited = e.side, max(f.win.edited, e.at)
	}
	return verdict{
		fate:    agreed,
		toBraze: e.side == inCRM && owner != rules.OwnerBraze,
		toCRM:   e.side == inBraze && owner != rules.OwnerCRM && f.refused,
	}
}

// given is win as it can be told, after an edit: nil where it is too long to have been kept, and not the edit's own.
func (f *field) given(e *edit) []byte {
	if f.win.hash == e.hash {
		return e.raw
	}
	return []byte(f.win.text)
}

// set makes the edit what both sides are to have.
func (f *field) set(e *edit) {
	f.win, f.refused = value{hash: e.hash, side: e.side, edited: e.at}, false
	if len(e.raw) <= maxText {
		f.win.text = string(e.raw)
	}
}

// old reports whether the system has said something newer already, and said it by itself.
func (f *field) old(e *edit) bool {
	if e.number != nil && f.counts && *e.number != f.number {
		return *e.number < f.number
	}
	return e.at < f.spoke
}

// newer reports whether an edit is newer than what is known. At the same millisecond the CRM's counts, whichever
// comes first.
func (f *field) newer(e *edit, owner rules.Owner) bool {
	switch {
	case f.win.side == e.side && e.side == inCRM:
		return true // else it were old
	case f.win.side == e.side:
		return e.at >= f.win.edited
	case owner == rules.OwnerBraze && e.side == inBraze, owner == rules.OwnerCRM && e.side == inCRM:
		return true
	case e.side == inCRM:
		return e.at >= f.win.edited
	}
	return e.at > f.win.edited
}

// last is the last write to a side.
func (f *field) last(s side) *sent {
	if s == inCRM {
		return &f.toCRM
	}
	return &f.toBraze
}

// comes reports whether the side of an edit that did not win is certain to have win after it: it was planned later, or
// the system has said so.
func (f *field) comes(e *edit, skew int64) bool {
	to := f.last(e.side)
	if to.planned != 0 && to.hash == f.win.hash && to.planned > e.at+skew {
		return true
	}
	return e.side == inCRM && f.heard.hash == f.win.hash && f.heard.at > e.at
}

// overtaken reports whether something else that was written to the side of a winning edit may have arrived there after
// it. When a write arrives in Braze nobody can say, and attribute-sync believes that Braze has what it was told last: it
// hears of each edit that says otherwise.
func (f *field) overtaken(e *edit, skew int64) bool {
	to := f.last(e.side)
	switch {
	case e.side == inCRM && f.heard.at > e.at && f.heard.hash != e.hash:
		return true
	case to.planned == 0 || to.hash == e.hash:
		return false
	case e.side == inBraze:
		return true
	}
	return to.written == 0 || to.written >= e.at-skew
}

// unaware reports whether whoever made a winning edit cannot have known of the other side's value.
func (f *field) unaware(e *edit) bool {
	to := f.last(e.side)
	if e.side == inBraze {
		return to.planned > e.at && to.hash == f.win.hash
	}
	heard := f.heard.hash == f.win.hash && f.heard.at <= e.at
	arrived := to.hash == f.win.hash && to.written != 0 && to.written <= e.at
	return !heard && !arrived
}

// turn counts a change of sides and reports whether the value may go on. Quiet for a while, and the count begins anew. The
// time is that of the edits: what was edited over months goes by in a moment when it is read once more.
func (j *judge) turn(f *field, e *edit, v verdict) bool {
	contested := v.fate == won && f.win.side == e.side.other() || v.fate != won && (v.toBraze || v.toCRM)
	switch {
	case e.at-f.turned > j.within:
		f.hops, f.path = 0, f.path[:0]
	case contested:
		f.hops++
	}
	if v.toBraze || v.toCRM {
		f.turned = max(f.turned, e.at)
		if len(f.path) == maxPath {
			f.path = append(f.path[:0], f.path[1:]...)
		}
		f.path = append(f.path, step{side: e.side, hash: e.hash, at: e.at, event: shorten(e.event)})
	}
	return f.hops <= j.turns
}

// shorten keeps as much of an id as a person needs to find it.
func shorten(id string) string {
	const most = 80
	if len(id) > most {
		return id[:most]
	}
	return id
}
