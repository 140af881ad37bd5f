package plan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// turn is a key's turn in a batch.
type turn struct {
	p         *Planner
	tx        transaction
	now       time.Time
	partition int32
	key       []byte
	about     byte // what the state is about: ofUser or ofObject
	user      state
	object    link
	out       decision
	event     uint64 // hash of the record's id, once it is remembered
}

const (
	// largest is the size of a record whose row surely fits into one.
	largest = 512 << 10
	// What a record may bring along that is kept, or written once more for each of its rows.
	longestID  = 1_000
	longestKey = 1_100
	// ahead is how far a source's clock may be ahead of the record's stamp.
	ahead = 5 * time.Minute
)

// serve takes in what concerns a key and writes what comes of it.
func (p *Planner) serve(ctx context.Context, tx transaction, now time.Time, tasks []task) error {
	first := &tasks[0]
	due, value := first.record == nil, first.value
	if !due {
		var err error
		if value, _, err = tx.Get(first.partition, first.key); err != nil {
			return fmt.Errorf("reading the state: %w", err)
		}
	}
	t := &p.batch.turn
	*t = turn{p: p, tx: tx, now: now, partition: first.partition, key: first.key, user: t.user, out: t.out}
	if err := t.load(value); err != nil {
		return err
	}
	t.user.prune(p.core.judge.now)
	for i := range tasks {
		r := tasks[i].record
		if r == nil {
			continue
		}
		if err := t.take(ctx, r); err != nil {
			return err
		}
	}
	if err := t.giveUp(); err != nil {
		return err
	}
	return t.keep(value, due)
}

// load reads what is known under the key.
func (t *turn) load(value []byte) error {
	t.user.reset()
	t.about = 0
	if len(value) > 1 {
		t.about = value[1]
	}
	var err error
	if t.about == ofObject {
		err = t.object.decode(value)
	} else {
		err = t.user.decode(t.key, value)
	}
	switch {
	case errors.Is(err, errNewer): // to begin anew would forget which echoes are still to come
		return fmt.Errorf("reading the state of a user in partition %d: %w", t.partition, err)
	case err != nil:
		t.p.batch.tally.unread++
		t.about = 0
		t.p.o.Log.Error().Err(err).Int32("partition", t.partition).Msg("what is known of a user cannot be read; it begins anew")
	}
	return nil
}

// take takes one record in.
func (t *turn) take(ctx context.Context, r *stream.Record) error {
	k := t.p.kinds[r.Topic]
	t.out = decision{rows: t.out.rows[:0], links: t.out.links[:0]}
	t.event = 0
	id, err := t.decide(ctx, r, k)
	if err != nil {
		u, ok := avro.AsUnreadable(err)
		if !ok {
			return err
		}
		t.out.settle(outcome.Outcome{Kind: outcome.Refused, Reason: u.Reason, Detail: u.Detail})
	}
	for i := range t.out.rows {
		t.emit(&t.out.rows[i], r)
	}
	for i := range t.out.links {
		if err := t.pass(&t.out.links[i], event.ObjectKey(t.out.links[i].System, t.out.links[i].Object, t.out.links[i].ObjectID), nil); err != nil {
			return err
		}
	}
	switch {
	case t.out.what.Kind == outcome.Refused:
		t.user.forget(t.event) // an operator may send it once more
		return t.refuse(r, k, id, t.out.what)
	case t.out.what.Kind.Final() && k != aDelivery:
		t.p.batch.tally.ended[ending{k, t.out.what.Kind, t.out.what.Reason}]++
	}
	return nil
}

// decide reads a record and decides what becomes of it. It returns the record's id, as far as it could be read.
func (t *turn) decide(ctx context.Context, r *stream.Record, k kind) (id string, err error) {
	if len(r.Value) > largest {
		t.refused("too_large", fmt.Sprintf("%d bytes; at most %d can be written anywhere", len(r.Value), largest))
		return "", nil
	}
	switch k {
	case anAction:
		a := &t.p.batch.action
		stated, err := t.p.actions.Decode(ctx, r.Value, a)
		if err != nil {
			return "", err
		}
		if sub, ok := t.subject(r, k, &a.User, a.Key(), stated, a.ID, a.Name, &a.OccurredAt); ok {
			drafts, err := t.p.core.rules.Action(a)
			t.drafts(drafts, err, &sub)
		}
		return a.ID, nil
	case anEngagement:
		e := &t.p.batch.engagement
		stated, err := t.p.engagements.Decode(ctx, r.Value, e)
		if err != nil {
			return "", err
		}
		if sub, ok := t.subject(r, k, &e.User, e.Key(), stated, e.ID, "", &e.OccurredAt); ok {
			drafts, err := t.p.core.rules.Engagement(e)
			t.drafts(drafts, err, &sub)
		}
		return e.ID, nil
	case aChange:
		return t.change(ctx, r)
	case aDelivery, inputs:
	}
	d, err := crm.ReadDelivery(r.Value)
	if err == nil && t.about == ofUser {
		t.p.core.feedback(&t.user, &d, &subject{key: string(t.key), user: t.user.who, at: d.SettledAt, cause: d.Cause}, &t.out)
	}
	return "", nil
}

// drafts decides about each of what the rules want.
func (t *turn) drafts(drafts []rules.Draft, err error, sub *subject) {
	if err != nil {
		t.refused("rule_failed", err.Error())
		return
	}
	if len(drafts) == 0 {
		t.out.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: "no_rule"})
	}
	for i := range drafts {
		t.p.core.outbound(&t.user, &drafts[i], sub, &t.out)
	}
}

func (t *turn) refused(reason, detail string) {
	t.out.settle(outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail})
}

// keep stores what is known now, if it is not what was known before.
func (t *turn) keep(before []byte, due bool) error {
	b := &t.p.batch
	var at time.Time
	b.scratch = b.scratch[:0]
	switch {
	case t.about == ofObject:
		b.scratch = t.object.append(b.scratch)
		if len(t.object.waiting) > 0 {
			at = time.UnixMilli(t.object.waiting[0].since).Add(t.p.core.rules.LinkWait())
		}
	case !t.user.empty():
		b.scratch = t.user.append(b.scratch)
		at = t.user.due()
	}
	switch {
	case len(b.scratch) == 0 && len(before) == 0:
		return nil
	case len(b.scratch) == 0:
		return t.tx.Delete(t.partition, t.key)
	case !due && bytes.Equal(before, b.scratch):
		return nil
	}
	err := t.tx.Put(t.partition, t.key, b.memory.keep(b.scratch), at)
	if errors.Is(err, table.ErrTooLarge) {
		return fmt.Errorf("storing %d bytes of what is known of a user: %w", len(b.scratch), err)
	}
	return err
}
