package plan

import (
	"context"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// change takes in what a system reports: under its user's key for real, under its object's key only to find out whose it
// is.
func (t *turn) change(ctx context.Context, r *stream.Record) (id string, err error) {
	var c event.Change
	stated, err := t.p.changes.Decode(ctx, r.Value, &c)
	if err != nil {
		return "", err
	}
	object := event.ObjectKey(c.System, c.Object, c.ObjectID)
	if c.User == (event.User{}) || c.Kind == event.Linked && object == string(r.Key) {
		return c.ID, t.lookUp(ctx, r, &c, object)
	}
	sub, ok := t.subject(r, aChange, &c.User, c.Key(), stated, c.ID, c.System, &c.OccurredAt)
	if !ok {
		return c.ID, nil
	}
	back, err := t.p.core.rules.Back(&c)
	if err != nil {
		t.refused("rule_failed", err.Error())
		return c.ID, nil
	}
	t.p.core.inbound(&t.user, &c, &back, &sub, &t.out)
	return c.ID, nil
}

// lookUp finds out whose object a change is about, and sends the change on to its user; or lets it wait.
func (t *turn) lookUp(ctx context.Context, r *stream.Record, c *event.Change, object string) error {
	switch {
	case len(c.ID) > longestID || len(r.Key) > longestKey:
		t.refused("too_large", "event_id or key")
		return nil
	case c.ObjectID == "" || object != string(r.Key) || !utf8.Valid(r.Key) || !utf8.ValidString(c.ID):
		t.refused("key_mismatch", "neither a user is named nor the object that the key names")
		return nil
	case t.about == ofUser:
		t.refused("key_mismatch", "the key is that of a user")
		return nil
	}
	if c.Kind == event.Linked {
		t.about = ofObject
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "linked"})
		return t.linked(ctx, only(c.User))
	}
	back, err := t.p.core.rules.Back(c)
	if err != nil {
		t.refused("rule_failed", err.Error())
		return nil
	}
	if !back.Known {
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "unmapped"})
		return nil
	}
	t.about = ofObject
	if back.User != (event.User{}) && back.User.Key() != "" {
		if err := t.linked(ctx, only(back.User)); err != nil {
			return err
		}
	}
	hash := eventHash(aChange, c.System, c.ID)
	switch {
	case t.object.user != (event.User{}):
		c.User = t.object.user
		if err := t.pass(c, c.Key(), r.Headers); err != nil {
			t.refused("too_large", err.Error())
			return nil
		}
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "relayed"})
		if c.Kind == event.Deleted {
			t.object.user = event.User{}
		}
	case c.Kind == event.Deleted:
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "object_deleted"})
	case t.object.waits(hash):
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "duplicate"})
	default:
		for _, w := range t.object.wait(r, hash, t.p.core.judge.now) {
			if err := t.unknown(&w); err != nil {
				return err
			}
		}
	}
	return nil
}

// linked notes whose the object is, and sends on what has waited for that.
func (t *turn) linked(ctx context.Context, user event.User) error {
	waiting := t.object.waiting
	t.object.user, t.object.waiting = user, nil
	for i := range waiting {
		w := &waiting[i]
		var c event.Change
		_, err := t.p.changes.Decode(ctx, w.value, &c)
		if _, unreadable := avro.AsUnreadable(err); err != nil && !unreadable {
			return err
		}
		if err == nil {
			c.User = user
			err = t.pass(&c, c.Key(), w.headers)
		}
		if err == nil {
			t.p.batch.tally.ended[ending{aChange, outcome.Skipped, "relayed"}]++
		} else if err := t.unknown(w); err != nil {
			return err
		}
	}
	return nil
}

// giveUp ends the wait of what has waited long enough.
func (t *turn) giveUp() error {
	for _, w := range t.object.late(t.p.core.judge.now, t.p.core.rules.LinkWait().Milliseconds()) {
		if err := t.unknown(&w); err != nil {
			return err
		}
	}
	return nil
}

// unknown refuses a change of an object of which nobody knows whose it is.
func (t *turn) unknown(w *waiting) error {
	r := w.record(t.p.names[aChange], t.partition, t.key)
	return t.refuse(r, aChange, "", outcome.Outcome{Reason: "unknown_object", Detail: "nobody has said which user the object is"})
}
