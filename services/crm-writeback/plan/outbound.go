package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// outbound decides what a rule's draft becomes: a row with the fields that differ, and where Braze is to be given back a
// value, one for Braze.
func (c *core) outbound(s *state, d *rules.Draft, sub *subject, out *decision) {
	row := sub.row(asked, d.Rule, d.Target, d.Object, d.KeyField, d.Key, d.Mode)
	switch {
	case d.Skip != "":
		row.Settled = &crm.Settled{Outcome: outcome.Skipped.String(), Reason: d.Skip}
		out.row(row)
		return
	case d.Mode == crm.Note && d.Fields.Kind() == '{':
		row.Fields = d.Fields
		if row.Key == "" { // it is about nobody that the file knows
			row.Key = row.ID
		}
		out.row(row)
		return
	}
	o := s.object(d.Target, d.Object, d.KeyField, d.Key)
	o.mode = d.Mode
	t := outgoing{core: c, o: o, sub: sub, row: &row, write: xxhash.Sum64String(row.ID)}
	if err := c.each(d.Fields, t.take); err != nil {
		row.Settled = &crm.Settled{Outcome: outcome.Refused.String(), Reason: "rule_failed", Detail: "rule " + d.Rule + ": fields: " + err.Error()}
		out.row(row)
		return
	}
	row.Fields = t.send.json()
	if !t.looped.empty() {
		out.row(t.loop(sub.row(circled, d.Rule, d.Target, d.Object, d.KeyField, d.Key, d.Mode)))
	}
	switch {
	case !t.send.empty():
		out.row(row)
	case t.looped.empty() || len(row.Conflicts) > 0:
		row.Settled = t.why.settled()
		row.Fields = d.Fields
		out.row(row)
	}
	if !t.back.empty() {
		c.giveBack(o, t.back.json(), t.backAt, sub, out)
	}
}

// outgoing is a draft on its way through its fields.
type outgoing struct {
	*core
	o      *object
	sub    *subject
	row    *crm.Write
	write  uint64
	send   fieldSet // for the system
	back   fieldSet // for Braze, in the system's words
	backAt int64    // the newest edit among them
	looped fieldSet
	path   []string
	hops   int
	why    why
}

// take decides about one field.
func (t *outgoing) take(name string, raw jsontext.Value) {
	f := t.o.field(name)
	if f == nil {
		t.send.add(name, raw) // one of an object with far too many: nothing is known of it
		return
	}
	owner, mapped := rules.OwnerNewest, false
	known, ok := t.rules.Field(t.row.Target, t.row.Object, name)
	if ok {
		mapped = true
		if known.Owner != "" {
			owner = known.Owner
		}
	}
	e := edit{
		side: inBraze, raw: raw, hash: t.hash(t.row.Target, t.row.Object, name, raw), at: millis(t.sub.at),
		event: t.sub.cause.EventID, still: consent(&known),
	}
	v := t.judge.judge(f, &e, owner)
	switch v.fate {
	case won:
	case looped:
		t.looped.add(name, raw)
		t.path, t.hops = f.way(), max(t.hops, f.hops)
	case owned:
		t.why.add("owned_by_crm", name)
	case lost:
		t.why.add("conflict", name)
	case stale:
		t.why.add("stale", name)
	case agreed:
		t.why.add("unchanged", name)
	}
	if v.conflict {
		winner := inCRM
		if v.fate == won {
			winner = inBraze
		}
		t.row.Conflicts = append(t.row.Conflicts, conflict(name, string(raw), v.was.text, winner, owner))
	}
	if v.toCRM {
		t.send.add(name, raw)
		if !mapped { // no echo can come; the entry is there for a refusal alone
			f.ledger = f.ledger[:0]
		}
		f.expect(t.write, t.judge.now)
		travelled(t.row, f)
	}
	if given := f.given(&e); v.toBraze && mapped && len(given) > 0 {
		t.back.add(name, given)
		t.backAt = max(t.backAt, f.win.edited)
		f.toBraze = sent{hash: f.win.hash, planned: t.judge.now}
	}
}

// travelled says how far a row's values have come.
func travelled(w *crm.Write, f *field) {
	if f.hops > w.Hops {
		w.Hops, w.Path = f.hops, f.way()
	}
}

// loop is the row of the fields that have gone round in a circle.
func (t *outgoing) loop(w crm.Write) crm.Write { return circle(w, &t.looped, t.path, t.hops) }

func circle(w crm.Write, fields *fieldSet, path []string, hops int) crm.Write {
	w.Fields, w.Path, w.Hops = fields.json(), path, hops
	w.Settled = &crm.Settled{Outcome: outcome.Refused.String(), Reason: "loop", Detail: strings.Join(path, " → ")}
	return w
}

// giveBack tells Braze what both sides are to have. It goes by the system's name, whose word it replaces or repeats:
// attribute-sync weighs it against what that system has said before.
func (c *core) giveBack(o *object, fields jsontext.Value, at int64, sub *subject, out *decision) {
	back, err := c.rules.Back(&event.Change{
		ID: sub.cause.EventID, User: sub.user, Kind: event.Changed, System: o.target, Object: o.object, ObjectID: o.id,
		Changes: fields, OccurredAt: time.UnixMilli(at).UTC(), ReceivedAt: sub.at,
	})
	if err != nil || len(back.Fields) == 0 || sub.user == (event.User{}) {
		return // what cannot be said cannot be put right
	}
	row := sub.row(upright, "", crm.Braze, profileObject, "", sub.key, crm.Upsert)
	row.Origin, row.EditedAt = o.target, time.UnixMilli(at).UTC()
	row.Fields, row.Groups = forBraze(back.Fields)
	out.row(row)
}

// profileObject is the object of every write to Braze.
const profileObject = "profile"

// forBraze says changed fields in Braze's words. Of two that are the same attribute the last counts.
func forBraze(fields []rules.BackField) (jsontext.Value, []event.Subscription) {
	var attributes fieldSet
	var groups []event.Subscription
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Subscription != nil:
			groups = append(groups, *f.Subscription)
		case slices.ContainsFunc(fields[i+1:], func(later rules.BackField) bool { return later.Attribute == f.Attribute }):
		default:
			attributes.add(f.Attribute, f.Value)
		}
	}
	return attributes.json(), groups
}

// consent reports whether a field says what somebody wants to be sent. No owner's rule may undo in Braze what a person
// has said there about that.
func consent(f *rules.Field) bool {
	return f.Group != "" || f.Attribute == "email_subscribe" || f.Attribute == "push_subscribe"
}

func millis(t time.Time) int64 { return max(t.UnixMilli(), 1) }
