package plan

import (
	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// inbound decides what a change that a system reports becomes: a row for Braze with the fields that somebody has really
// edited, and where the system is to be given back a value, one for the system.
func (c *core) inbound(s *state, ch *event.Change, back *rules.Back, sub *subject, out *decision) {
	target, ok := c.rules.Target(ch.System)
	if !ok || !back.Known {
		out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "unmapped", Detail: "writeback.yaml has no " + ch.Object + " of " + ch.System})
		return
	}
	if ch.Kind == event.Deleted { // what is gone is neither begun nor linked: nobody would ever take that back
		if o := s.byID(ch.System, ch.Object, ch.ObjectID); o != nil {
			o.gone()
		}
		out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "object_deleted"})
		return
	}
	o := s.objectOf(ch.System, ch.Object, ch.ObjectID, back.KeyField, back.Key)
	c.link(o, ch.ObjectID, sub, out)
	if ch.Kind == event.Linked {
		out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "linked"})
		return
	}
	if len(back.Fields) == 0 {
		out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "unmapped", Detail: "none of the fields has a counterpart in Braze"})
		return
	}
	row := sub.row(asked, "", crm.Braze, profileObject, "", sub.key, crm.Upsert)
	row.Origin, row.Version = ch.System, ch.Version
	restore := sub.row(upright, "", o.target, o.object, o.keyField, o.key, o.mode)
	t := incoming{
		core: c, o: o, sub: sub, row: &row, upright: &restore, write: xxhash.Sum64String(restore.ID), version: ch.Version,
		ours: target.Is(ch.Actor), signed: len(target.Self) > 0 && ch.Actor != "", reliable: !ch.OccurredAt.Equal(ch.ReceivedAt),
	}
	for i := range back.Fields {
		t.take(&back.Fields[i])
	}
	t.tell(ch, out)
}

// incoming is a change on its way through its fields.
type incoming struct {
	*core
	o        *object
	sub      *subject
	row      *crm.Write
	upright  *crm.Write // gives the system back what both sides are to have
	write    uint64     // hash of its id
	version  *int64
	ours     bool // made by ourselves, as far as anybody can say
	signed   bool // and the system says so
	reliable bool // the time is the system's
	forward  []rules.BackField
	restore  fieldSet
	looped   fieldSet
	path     []string
	hops     int
	why      why
}

// take decides about one field.
func (t *incoming) take(b *rules.BackField) {
	f := t.o.field(b.Name)
	if f == nil {
		if grant(b) && b.Owner != rules.OwnerCRM {
			t.why.add("consent", b.Name)
			return
		}
		t.forward = append(t.forward, *b)
		return
	}
	owner := b.Owner
	if owner == "" {
		owner = rules.OwnerNewest
	}
	e := edit{
		side: inCRM, raw: b.Raw, hash: t.hash(t.o.target, t.o.object, b.Name, b.Raw), at: millis(t.sub.at), number: t.version,
		event: t.sub.cause.EventID,
	}
	if reason := t.comesBack(f, &e, b); reason != "" {
		t.why.add(reason, b.Name)
		return
	}
	kept := owner == rules.OwnerBraze && t.ours && f.heard.hash == e.hash && f.toCRM.hash == f.win.hash && f.toCRM.planned != 0
	v := t.judge.judge(f, &e, owner)
	f.listen(&e)
	switch v.fate {
	case won, agreed:
		if !v.toBraze {
			t.why.add("unchanged", b.Name)
		}
	case looped:
		t.looped.add(b.Name, b.Raw)
		t.path, t.hops = f.way(), max(t.hops, f.hops)
	case owned, lost:
		t.why.add("conflict", b.Name)
	case stale:
		t.why.add("stale", b.Name)
	}
	if v.conflict {
		winner := inBraze
		if v.fate == won {
			winner = inCRM
		}
		t.row.Conflicts = append(t.row.Conflicts, conflict(b.Name, v.was.text, string(b.Raw), winner, owner))
	}
	if v.toBraze {
		t.forward = append(t.forward, *b)
		f.toBraze = sent{hash: f.win.hash, planned: t.judge.now}
		travelled(t.row, f)
	}
	if kept {
		return // it was given back what both are to have, and has made the same of it again
	}
	if given := f.given(&e); v.toCRM && len(given) > 0 && t.o.key != "" {
		t.restore.add(b.Name, given)
		f.expect(t.write, t.judge.now)
		travelled(t.upright, f)
	}
}

// comesBack says why a value is not an edit at all: it is a write of ours that comes back, or one that has come back by
// another way already and which something newer has replaced, or what our account did before the write that the system
// has now. A real edit ends the wait for what came before it.
func (t *incoming) comesBack(f *field, e *edit, b *rules.BackField) string {
	switch {
	case t.ours && f.echo(e.hash, e.at, t.reliable, t.judge.skew):
		f.listen(e)
		return "echo"
	case f.heard == (heard{e.hash, e.at}) && f.win.hash != e.hash:
		return "stale"
	case t.ours && t.signed && t.reliable && e.at < f.heard.at && f.heard.hash == f.win.hash:
		return "stale"
	}
	if grant(b) && b.Owner != rules.OwnerCRM && !f.mayGrant() {
		return "consent"
	}
	f.edited(e.at, t.judge.skew)
	return ""
}

// grant reports whether a field says that somebody may be sent to.
func grant(b *rules.BackField) bool {
	if b.Subscription != nil {
		return b.Subscription.State == "subscribed"
	}
	return consent(&b.Field) && (string(b.Value) == `"subscribed"` || string(b.Value) == `"opted_in"`)
}

// mayGrant reports whether the system can mean it. One that reports whole records says so of everybody whose box nobody
// has ever ticked, and of who has withdrawn in Braze until it has been told: only a withdrawal that it has itself
// spoken of is there for it to take back. A system that owns the field may do as it likes.
func (f *field) mayGrant() bool {
	return f.win.side == inCRM || f.win.side == inBraze && f.heard.hash == f.win.hash
}

// listen notes the newest thing that the system has said.
func (f *field) listen(e *edit) {
	if e.at >= f.heard.at {
		f.heard = heard{e.hash, e.at}
	}
}

// tell writes the rows.
func (t *incoming) tell(ch *event.Change, out *decision) {
	if !t.looped.empty() {
		w := t.sub.row(circled, "", crm.Braze, profileObject, "", t.sub.key, crm.Upsert)
		w.Origin, w.Version = ch.System, ch.Version
		out.row(circle(w, &t.looped, t.path, t.hops))
	}
	t.row.Fields, t.row.Groups = forBraze(t.forward)
	switch {
	case len(t.forward) > 0:
		out.row(*t.row)
	case t.looped.empty() || len(t.row.Conflicts) > 0:
		t.row.Settled = t.why.settled()
		t.row.Fields = ch.Changes
		out.row(*t.row)
	}
	if !t.restore.empty() {
		t.upright.Fields = t.restore.json()
		out.row(*t.upright)
	}
}

// link notes which object of the system an object is, and says so under the object's own key where it is news: what
// comes without a user is looked up there.
func (c *core) link(o *object, id string, sub *subject, out *decision) {
	if id == "" || o.id == id || sub.user == (event.User{}) {
		return
	}
	o.id = id
	out.links = append(out.links, event.Change{
		ID: "link:" + writeID(o.target, o.object, id, sub.key), User: only(sub.user), Kind: event.Linked,
		System: o.target, Object: o.object, ObjectID: id, OccurredAt: sub.at, ReceivedAt: sub.at, Source: source,
	})
}

// source is what the planner's records go by.
const source = "crm-writeback"
