package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Plan is what would happen. Making it moves nothing.
type Plan struct {
	Order     Order     `json:"-"`
	Topic     string    `json:"topic"` // on the cluster
	Group     string    `json:"group"` // on the cluster
	Mode      string    `json:"mode"`  // move or copy
	Stretches []Stretch `json:"partitions"`
	Estimate  Estimate  `json:"estimate"`

	cluster    *Cluster
	partitions int32
	fates      map[int32][]fate // of each offset of a stretch
	delivered  map[uint64]struct{}
	stretch    map[int32]Stretch
}

// fate is what is known of a record: its outcome in the lower bits, and whether it was copied.
type fate uint8

const copied fate = 1 << 7

func (f fate) kind() outcome.Kind { return outcome.Kind(f &^ copied) }

// maxRecords bounds a plan: it keeps a byte for each record of its range.
const maxRecords = 200_000_000

// maxDelivered bounds the events that a plan remembers to have been delivered.
const maxDelivered = 20_000_000

// Make finds out what an order means.
func Make(ctx context.Context, c *Cluster, o Order) (*Plan, error) {
	p := &Plan{Order: o, Topic: c.Kafka.Topic(o.Topic), Group: c.Kafka.Group(o.Service), Mode: "move", cluster: c, fates: map[int32][]fate{}}
	if o.Copy {
		p.Mode = "copy"
	}
	if !o.Copy && !o.Until.IsZero() {
		return nil, errors.New("a group's offset is set back, and everything from there on is sent again: a range that ends needs --copy")
	}
	states, err := c.Admin.Topics(ctx, nil, p.Topic)
	if err != nil {
		return nil, err
	}
	if len(states) == 0 || !states[0].Exists {
		return nil, fmt.Errorf("there is no topic %s", p.Topic)
	}
	p.partitions = states[0].Partitions
	committed, err := c.Admin.Committed(ctx, p.Group)
	if err != nil {
		return nil, err
	}
	if committed[p.Topic] == nil {
		return nil, fmt.Errorf("the group %s has committed nothing on %s: it is not read by that service, or will be from its beginning", p.Group, p.Topic)
	}
	if p.Stretches, err = o.stretches(ctx, c, committed[p.Topic]); err != nil || len(p.Stretches) == 0 {
		return p, err
	}
	total := int64(0)
	for _, s := range p.Stretches {
		if total += s.Until - s.From; total > maxRecords {
			return nil, fmt.Errorf("the range has more than %d records: narrow it with --from, --until or --partition", maxRecords)
		}
	}
	p.stretch = map[int32]Stretch{}
	for _, s := range p.Stretches {
		p.fates[s.Partition], p.stretch[s.Partition] = make([]fate, s.Until-s.From), s
	}
	if err := p.learn(ctx); err != nil {
		return nil, err
	}
	if err := p.count(ctx); err != nil {
		return nil, err
	}
	return p, p.estimateProfiles(ctx)
}

// learn reads what became of the records of the range.
func (p *Plan) learn(ctx context.Context) error {
	numbers := map[int32]bool{}
	for _, s := range p.Stretches {
		numbers[s.Partition] = true
	}
	since := Before(p.Order.From.At, SameID+Ahead)
	p.delivered = map[uint64]struct{}{}
	remember := p.Order.Copy && !p.Order.Everything
	err := p.cluster.Receipts(ctx, p.Order.Service, numbers, since, func(slip *receipt.Receipt) error {
		if slip.Topic != p.Topic {
			return nil
		}
		if f := p.at(slip.Partition, slip.Offset); f != nil && f.kind() != outcome.Delivered { // once delivered is delivered
			*f = *f&copied | fate(slip.Outcome.Kind)
		}
		if remember && slip.Outcome.Kind == outcome.Delivered && slip.EventID != "" {
			if len(p.delivered) == maxDelivered {
				return fmt.Errorf("more than %d events have been delivered in this time: narrow the range", maxDelivered)
			}
			p.delivered[sameEvent(slip.UserID, slip.EventID)] = struct{}{}
		}
		return nil
	})
	if err != nil || !remember {
		return err
	}
	return p.learnCopies(ctx)
}

// learnCopies finds what has been copied before: by headers on the topic, and by the marks among the
// service's dead letters, which are kept for longer.
func (p *Plan) learnCopies(ctx context.Context) error {
	mark := func(of Place) {
		if f := p.at(of.Partition, of.Offset); of.Topic == p.Topic && f != nil {
			*f |= copied
		}
	}
	all := map[int32]bool{} // a copy stands where its key belongs, whatever its original's partition
	for n := range p.partitions {
		all[n] = true
	}
	since := Before(p.Order.From.At, Ahead)
	if err := p.cluster.Copies(ctx, p.Topic, all, since, func(of Place, _ *stream.Record) { mark(of) }); err != nil {
		return err
	}
	letters := p.cluster.Kafka.Topic(schema.DeadLetters(p.Order.Service))
	existing, err := p.cluster.Existing(ctx)
	if err != nil || existing[letters] == 0 {
		return err
	}
	decoder := deadletter.NewDecoder(p.cluster.Schemas)
	return p.cluster.Read(ctx, stream.Range{Topic: letters, Since: since}, func(r *stream.Record) error {
		if reason := header(r.Headers, "reason"); reason != "" && reason != deadletter.Replayed {
			return nil
		}
		l, err := decoder.Decode(ctx, r.Value)
		if _, unreadable := avro.AsUnreadable(err); unreadable {
			return nil
		}
		if err == nil && l.Reason == deadletter.Replayed {
			mark(Place{l.OriginTopic, l.OriginPartition, l.OriginOffset})
		}
		return err
	})
}

// at is what is known of a record; nil for one outside the range.
func (p *Plan) at(partition int32, offset int64) *fate {
	if s, ok := p.stretch[partition]; ok && offset >= s.From && offset < s.Until {
		return &p.fates[partition][offset-s.From]
	}
	return nil
}

// verdict is what happens to a record.
type verdict uint8

const (
	again   verdict = iota // the service gets it once more
	anyway                 // the service has yet to come to it
	arrived                // kept back: Braze has it
	twice                  // kept back: it was copied before
)

// judge decides about the records of one reading of the range.
type judge struct {
	plan *Plan
	sent map[uint64]struct{} // events that go again, so that none goes twice
}

func (p *Plan) judge() *judge { return &judge{p, map[uint64]struct{}{}} }

func (j *judge) decide(r *stream.Record, eventID string) verdict {
	p := j.plan
	f := *p.at(r.Partition, r.Offset)
	// Receipts beyond the commit are believed by the service's next owner, but not after somebody has
	// moved its offset: nothing there is copied.
	if r.Offset >= p.stretch[r.Partition].Committed && (p.Order.Copy || !f.kind().Final()) {
		return anyway
	}
	if !p.Order.Copy || p.Order.Everything {
		return again
	}
	switch {
	case f.kind() == outcome.Delivered:
		return arrived
	case f&copied != 0:
		return twice
	case eventID == "":
		return again
	}
	same := sameEvent(string(r.Key), eventID)
	if _, ok := p.delivered[same]; ok {
		return arrived
	}
	if _, ok := j.sent[same]; ok {
		return twice
	}
	j.sent[same] = struct{}{}
	return again
}

// read calls each with every record of the range, and with the event in it where it is one.
func (p *Plan) read(ctx context.Context, each func(*stream.Record, *event.Event) error) error {
	r := stream.Range{Topic: p.Topic, From: map[int32]int64{}, Until: map[int32]int64{}}
	for _, s := range p.Stretches {
		r.From[s.Partition], r.Until[s.Partition] = s.From, s.Until
	}
	decoder := avro.NewEventDecoder(p.cluster.Schemas)
	return p.cluster.Read(ctx, r, func(rec *stream.Record) error {
		var e event.Event
		if p.Order.Topic == schema.CustomerEvents {
			_, err := decoder.Decode(ctx, rec.Value, &e)
			if _, unreadable := avro.AsUnreadable(err); err != nil && !unreadable {
				return err
			}
		}
		if e.ID == "" {
			e.ID = header(rec.Headers, "event-id")
		}
		return each(rec, &e)
	})
}

// Duration is how long a service takes for the requests of the estimate at the rate of the order.
func (p *Plan) Duration() time.Duration {
	if p.Order.Rate.IsZero() {
		return 0
	}
	return time.Duration(float64(p.Estimate.Requests) / float64(p.Order.Rate.Count) * float64(p.Order.Rate.Per))
}
