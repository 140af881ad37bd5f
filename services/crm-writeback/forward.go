package crmwriteback

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// forwarder takes changes on their way back to customer.profiles. That is a topic for everybody, so it is not written
// within the planner's transactions: not every reader asks for committed records only. It also writes the deliveries of rows
// about which everything was known when they were planned, and gives up those that nobody can read or nobody is there for.
type forwarder struct {
	*member
	profiles string // the topic, on the cluster
	schema   int    // its id
	systems  map[string]bool

	mu    sync.Mutex
	parts map[int32]*part
	quiet *sync.Cond
}

// forwardMemory is the forwarder's window: whatever waits for Kafka there has room in the producer, whose callbacks must
// never have to wait for it.
const forwardMemory = 32 << 20

func (s *Service) newForwarder() (*forwarder, error) {
	m, err := s.newMember(crm.Braze, windowOf(forwardMemory, 1))
	if err != nil {
		return nil, err
	}
	f := &forwarder{
		member: m, profiles: s.config.Kafka.Topic(schema.CustomerProfiles), schema: s.ids[schema.CustomerProfiles],
		systems: map[string]bool{crm.Braze: true}, parts: map[int32]*part{},
	}
	f.quiet = sync.NewCond(&f.mu)
	for _, w := range s.writers {
		f.systems[w.name] = true
	}
	return f, nil
}

// Assigned reads back what an earlier owner forwarded beyond its last commit.
func (f *forwarder) Assigned(ctx context.Context, parts []*stream.Partition) error {
	if err := f.remember(ctx, parts); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, given := range parts {
		f.parts[given.Number] = &part{Partition: given}
	}
	return nil
}

// Take forwards rows, each user's in order: one producer writes them, and their key places them.
func (f *forwarder) Take(ctx context.Context, lent []stream.Delivery) error {
	now := time.Now()
	for _, d := range lent {
		if f.recalled(d) {
			continue
		}
		w, err := crm.ReadWrite(d.Value())
		f.mu.Lock()
		p := f.parts[d.Partition().Number] // the consumer lends of no other
		if err == nil && w.Settled == nil && w.Target != crm.Braze && f.systems[w.Target] {
			f.passOver(p, d)
			f.mu.Unlock()
			continue
		}
		it := newItem(d, p, w)
		p.open++
		f.mu.Unlock()
		f.accept(it)
		switch {
		case err != nil:
			f.refuse(it, "undecodable", err.Error())
		case w.Settled != nil:
			f.settled(it)
		case w.Target != crm.Braze:
			f.refuse(it, "unknown_target", "writeback.yaml has no target "+w.Target)
		default:
			f.forward(ctx, it, now)
		}
	}
	return nil
}

// refuse gives a row up. One that nobody can read has no delivery: there is nothing to say in it.
func (f *forwarder) refuse(it *item, reason, detail string) {
	what := outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}
	if it.write.ID != "" {
		f.settle(it, what, answer{}, true, func(bool) { f.ended(it) })
		return
	}
	f.letters.Write(context.Background(), f.letter(it, what), func(err error) {
		if err != nil {
			f.fail(fmt.Errorf("writing a dead letter: %w", err))
			f.giveBack(it)
		} else {
			it.delivery.Settle(ledger.NoReceipt)
			f.counted(it, what)
		}
		f.ended(it)
	})
}

// settled writes the delivery of a row that was settled when it was planned. If it was refused then, the planner has
// written its dead letter with it.
func (f *forwarder) settled(it *item) {
	s := it.write.Settled
	kind, ok := outcome.Parse(s.Outcome)
	if !ok || !kind.Final() {
		f.refuse(it, "undecodable", "settled as "+s.Outcome+", which is no outcome")
		return
	}
	f.settle(it, outcome.Outcome{Kind: kind, Reason: s.Reason, Detail: s.Detail}, answer{}, false, func(bool) { f.ended(it) })
}

// forward writes a change to customer.profiles, and then its delivery.
func (f *forwarder) forward(ctx context.Context, it *item, now time.Time) {
	p, err := profileOf(&it.write, now)
	switch {
	case err != nil:
		f.refuse(it, "undecodable", err.Error())
		return
	case p.User.Key() == "":
		f.refuse(it, "no_user", event.ErrNoUser.Error())
		return
	case p.Set == nil && p.Unset == nil && p.Subscriptions == nil:
		f.settle(it, outcome.Outcome{Kind: outcome.Skipped, Reason: "nothing_to_write"}, answer{}, false, func(bool) { f.ended(it) })
		return
	}
	it.attempts, it.first = 1, now
	record := &stream.Record{
		Topic: f.profiles, Key: []byte(p.User.Key()), Value: avro.AppendProfile(nil, f.schema, &p),
		Headers: []stream.Header{
			{Key: "event-id", Value: []byte(p.ID)},
			{Key: "source", Value: []byte(p.Source)},
			{Key: "origin", Value: []byte(it.write.Origin)},
			{Key: "hops", Value: strconv.AppendInt(nil, int64(it.write.Hops+1), 10)},
		},
	}
	f.receipts.Produce(context.WithoutCancel(ctx), record, func(r *stream.Record, err error) {
		switch {
		case err == nil:
			place := fmt.Sprintf("%s/%d/%d", schema.CustomerProfiles, r.Partition, r.Offset)
			f.settle(it, outcome.Outcome{Kind: outcome.Delivered}, answer{requestID: place, latency: time.Since(now)}, false, func(bool) { f.ended(it) })
		case stream.Permanent(err):
			// The letters have a producer of their own, which may make us wait: not in the callback of this one.
			go f.refuse(it, "too_large", err.Error())
		default:
			f.fail(fmt.Errorf("writing a profile: %w", err))
			f.giveBack(it)
			f.ended(it)
		}
	})
}

// counted takes a row out of the books that has no delivery.
func (f *forwarder) counted(it *item, what outcome.Outcome) {
	f.metrics.settled(what)
	f.held.Add(-1)
	f.heldBytes.Add(-it.size())
}

func (f *forwarder) ended(it *item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if it.part.open--; it.part.open == 0 {
		f.quiet.Broadcast()
	}
}

// Revoked waits until what was taken of partitions that go is durable.
func (f *forwarder) Revoked(ctx context.Context, parts []*stream.Partition) {
	ctx, cancel := context.WithTimeout(ctx, f.config.Writeback.Drain)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		f.mu.Lock()
		f.quiet.Broadcast()
		f.mu.Unlock()
	})
	defer stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	var going []*part
	for _, given := range parts {
		if p := f.parts[given.Number]; p != nil && p.Partition == given {
			delete(f.parts, given.Number)
			going = append(going, p)
		}
	}
	for slices.ContainsFunc(going, func(p *part) bool { return p.open > 0 }) && ctx.Err() == nil {
		f.quiet.Wait()
	}
	f.recall.forget(parts)
}

// profileOf is a change as customer.profiles has it: null unsets an attribute.
func profileOf(w *crm.Write, now time.Time) (event.Profile, error) {
	p := event.Profile{
		ID: w.ID, User: w.User, Source: w.Origin, Version: w.Version, OccurredAt: w.EditedAt, ReceivedAt: now,
		Subscriptions: w.Groups,
	}
	if len(w.Fields) == 0 {
		return p, nil
	}
	fields := map[string]jsontext.Value{}
	if err := json.Unmarshal(w.Fields, &fields); err != nil {
		return p, fmt.Errorf("reading the fields of %s: %w", w.ID, err)
	}
	for name, value := range fields {
		if value.Kind() == 'n' {
			p.Unset = append(p.Unset, name)
			delete(fields, name)
		}
	}
	slices.Sort(p.Unset)
	if len(fields) > 0 {
		text, err := json.Marshal(fields, json.Deterministic(true))
		if err != nil {
			return p, fmt.Errorf("encoding the fields of %s: %w", w.ID, err)
		}
		p.Set = text
	}
	return p, nil
}
