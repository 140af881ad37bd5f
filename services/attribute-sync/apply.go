package attributesync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// turn is a customer's turn in a batch.
type turn struct {
	s    *Service
	tx   *table.Tx
	at   place
	key  []byte // of it
	user *user
	said event.Profile // the record at hand

	waiting []waiting        // records that were taken in and whose outcome the difference tells
	bytes   int              // of their values
	live    bool             // one of them is no backfill
	trace   []byte           // traceparent of the last of them
	lost    []event.Declined // reports of cases that did not win
	cases   bool             // something is new of the support cases, or their time has come
	spent   bool             // something is new of orders
	causes  []event.Cause    // of the update at hand
}

// waiting is a record that has been taken in.
type waiting struct {
	record *stream.Record
	kind   kind
	cause  event.Cause
	reason string // why nothing came of it; empty: the difference tells
}

const (
	// largest is the size of a record whose change surely fits into one for Braze. What is folded comes to
	// about as much at most.
	largest = 512 << 10
	// longestFold is how many records become one for Braze at most: it names each of them.
	longestFold = 500
	// What a record may bring along that is written once more for each of its fields, or kept.
	longestID     = 1_000
	longestSource = 255
	longestKey    = 1_100
	// skew is how far a source's clock may be ahead of the record's stamp.
	skew = 5 * time.Minute
)

// serve takes in what concerns a customer and writes what comes of it.
func (s *Service) serve(ctx context.Context, tx *table.Tx, tasks []task) error {
	b, first := &s.batch, &tasks[0]
	due, value := first.record == nil, first.value
	if !due {
		var err error
		if value, _, err = tx.Get(first.partition, first.key); err != nil {
			return fmt.Errorf("reading the state: %w", err)
		}
	}
	t := &b.turn
	*t = turn{
		s: s, tx: tx, at: place{first.partition, string(first.key)}, key: first.key, user: &b.user, cases: due,
		waiting: t.waiting[:0], causes: t.causes[:0],
	}
	switch err := t.user.decode(t.key, value); {
	case errors.Is(err, errNewer): // to begin anew would tell Braze totals that begin anew too
		return fmt.Errorf("reading the state of a customer in partition %d: %w", first.partition, err)
	case err != nil:
		b.tally.unread++
		s.log.Error().Err(err).Int32("partition", first.partition).Msg("a customer's state cannot be read in part; that part begins anew")
	}
	for i := range tasks {
		r := tasks[i].record
		if r == nil {
			continue // they are due, which tell sees to
		}
		if t.bytes+len(r.Value) > largest || len(t.waiting) == longestFold {
			t.tell()
		}
		if err := t.take(ctx, r); err != nil {
			return err
		}
	}
	t.tell()
	return t.keep(value, due)
}

// take lets one record change the customer's state.
func (t *turn) take(ctx context.Context, r *stream.Record) error {
	k := t.s.kinds[r.Topic]
	if k == aReceipt {
		t.receipt(r)
		return nil
	}
	if len(r.Value) > largest {
		return t.refuse(r, k, "", outcome.Outcome{Reason: "too_large", Detail: fmt.Sprintf("%d bytes; at most %d can be told to Braze", len(r.Value), largest)})
	}
	cause, what, err := t.change(ctx, r, k)
	id := cause.ID
	if err != nil {
		if u, ok := avro.AsUnreadable(err); ok {
			return t.refuse(r, k, id, outcome.Outcome{Reason: u.Reason, Detail: u.Detail})
		}
		return err // the registry is away: nothing is given up that might be readable
	}
	if what.Kind == outcome.Refused {
		return t.refuse(r, k, id, what)
	}
	cause.Topic, cause.Partition, cause.Offset = r.Topic, r.Partition, r.Offset
	t.waiting = append(t.waiting, waiting{r, k, cause, what.Reason})
	t.bytes += len(r.Value)
	t.note(r.Headers)
	return nil
}

// change does what a record's kind asks for. What it returns names the record, as far as it could be read.
func (t *turn) change(ctx context.Context, r *stream.Record, k kind) (event.Cause, outcome.Outcome, error) {
	switch k {
	case anOrder:
		return t.order(ctx, r)
	case aCase:
		return t.aCase(ctx, r)
	case aProfile, aReceipt:
	}
	return t.profile(ctx, r)
}

// note keeps what the headers say to whoever comes after.
func (t *turn) note(headers []stream.Header) {
	backfill := false
	for _, h := range headers {
		switch h.Key {
		case "priority":
			backfill = string(h.Value) == "backfill"
		case "traceparent":
			t.trace = h.Value
		}
	}
	t.live = t.live || !backfill
}

// profile takes in a change of a profile.
func (t *turn) profile(ctx context.Context, r *stream.Record) (cause event.Cause, what outcome.Outcome, err error) {
	p := &t.said
	userID, err := t.s.profiles.Decode(ctx, r.Value, p)
	if err != nil {
		return cause, what, err
	}
	cause = event.Cause{ID: p.ID, Source: p.Source}
	if what = t.whom(r, userID, &p.User, &cause); what.Kind != 0 {
		return cause, what, nil
	}
	if p.Source == supportSource || p.Source == commerceSource {
		return cause, refused("invalid", "source: "+p.Source+" is what is made here"), nil
	}
	p.OccurredAt = sane(p.OccurredAt, r)
	t.subscriptions(p)
	if no := t.s.fields.Profile.Apply(&t.user.profile, p, t.placeOf(r)); no != nil {
		return cause, refused(no.Reason, no.Error()), nil
	}
	return cause, what, nil
}

// sane is when something happened by its source's clock, unless that is ahead: it would win until time has
// caught up with it.
func sane(at time.Time, r *stream.Record) time.Time {
	if at.After(r.Timestamp.Add(skew)) {
		return r.Timestamp.UTC()
	}
	return at
}

// subscriptions lets the cases know what others say of the group that they hold, and holds back what the
// customer will be given again anyway.
func (t *turn) subscriptions(p *event.Profile) {
	if len(p.Subscriptions) == 0 {
		return
	}
	for _, sub := range p.Subscriptions {
		t.cases = t.user.cases.Stated(sub) || t.cases
	}
	if slices.ContainsFunc(p.Subscriptions, t.held) {
		p.Subscriptions = slices.DeleteFunc(slices.Clone(p.Subscriptions), t.held)
	}
}

func (t *turn) held(sub event.Subscription) bool { return t.user.cases.Holds(sub.GroupID) }

// order takes in a commerce event.
func (t *turn) order(ctx context.Context, r *stream.Record) (cause event.Cause, what outcome.Outcome, err error) {
	var c event.Commerce
	userID, err := t.s.commerce.Decode(ctx, r.Value, &c)
	if err != nil {
		return cause, what, err
	}
	cause = event.Cause{ID: c.ID, Source: c.Source}
	if what = t.whom(r, userID, &c.User, &cause); what.Kind != 0 {
		return cause, what, nil
	}
	c.OccurredAt = sane(c.OccurredAt, r)
	if !t.user.spending.Apply(&c) {
		return cause, outcome.Outcome{Reason: "not_for_profiles"}, nil
	}
	t.spent = true
	return cause, what, nil
}

// aCase takes in what happened to a support case.
func (t *turn) aCase(ctx context.Context, r *stream.Record) (cause event.Cause, what outcome.Outcome, err error) {
	var c event.Case
	userID, err := t.s.cases.Decode(ctx, r.Value, &c)
	if err != nil {
		return cause, what, err
	}
	cause = event.Cause{ID: c.ID, Source: c.Source}
	if what = t.whom(r, userID, &c.User, &cause); what.Kind != 0 {
		return cause, what, nil
	}
	result, no := t.s.fields.Support.Apply(&t.user.cases, &c, t.tx.Now)
	if no != nil {
		return cause, refused("invalid", no.Error()), nil
	}
	t.cases = t.cases || result.Changed
	what.Reason = result.Reason
	if result.Detail != "" {
		t.lost = append(t.lost, event.Declined{ID: c.ID, Source: c.Source, Field: "case " + c.CaseID, Reason: result.Reason, Detail: result.Detail})
	}
	return cause, what, nil
}

func refused(reason, detail string) outcome.Outcome {
	return outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}
}

// whom holds the record's key, its user_id and its identifiers to one another: where they differ nobody
// can say whose profile it is.
func (t *turn) whom(r *stream.Record, userID string, u *event.User, c *event.Cause) outcome.Outcome {
	switch {
	case len(c.ID) > longestID || len(c.Source) > longestSource || len(r.Key) > longestKey:
		return refused("too_large", fmt.Sprintf("an event_id has at most %d bytes, a source %d, a user %d", longestID, longestSource, longestKey))
	case !utf8.Valid(r.Key) || !utf8.ValidString(userID):
		return refused("undecodable", "user_id: not UTF-8")
	case !utf8.ValidString(c.ID) || !utf8.ValidString(c.Source): // they are said again where others read them
		return refused("undecodable", "event_id or source: not UTF-8")
	case *u == (event.User{}):
		return refused("no_user", event.ErrNoUser.Error())
	case !u.HasKey(r.Key):
		return refused("key_mismatch", fmt.Sprintf("the key (%d bytes) is not the canonical id of the record's identifiers", len(r.Key)))
	case userID != string(r.Key):
		return refused("key_mismatch", "user_id is not the record's key")
	}
	if t.user.who == (event.User{}) {
		t.user.who = only(*u)
	}
	return outcome.Outcome{}
}

func (t *turn) placeOf(r *stream.Record) profile.Place {
	return profile.Place{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Now: t.tx.Now}
}
