package replay

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// Profiles is what attribute-sync is set to, for what changes of profiles would cost.
type Profiles struct {
	Fields  *attributesync.Fields
	Batch   int           // records that may be folded with one another
	Repeats time.Duration // how long the id of a record is remembered
}

// Backfill is what the records that attribute-sync gets would cost, with what it knows now: those it gets
// once more, and those that it has yet to come to. Records that come together are folded as they would be.
type Backfill struct {
	Users int `json:"customers"` // of whom Braze would be told something
	attributesync.Cost
}

// The bounds of an estimate: it keeps what is known of every customer of the range.
const (
	maxCustomers   = 2_000_000
	maxStateBytes  = 1 << 30
	maxBatch       = 20_000
	maxFoldedBytes = 64 << 20
)

// customer is one of the range.
type customer struct {
	state []byte
	told  bool
	batch []*stream.Record
}

// whose names a customer: the state is kept beside the records, whatever their producer has put where.
type whose struct {
	partition int32
	key       string
}

// backfill finds out what the records of a range of customer.profiles would cost.
type backfill struct {
	plan      *Plan
	customers map[whose]*customer
	touched   []whose // by the batch in hand
	records   int     // of the batch in hand
	bytes     int     // likewise
	preview   *attributesync.Preview
	found     Backfill
}

// estimateProfiles reads the range twice, and between the two what attribute-sync knows of its customers.
func (p *Plan) estimateProfiles(ctx context.Context) error {
	rules := p.Order.Profiles
	if rules == nil || p.Order.Topic != schema.CustomerProfiles || p.Order.Service != attributesync.Name {
		return nil
	}
	b := &backfill{
		plan: p, customers: map[whose]*customer{},
		preview: attributesync.NewPreview(rules.Fields, p.cluster.Schemas, rules.Repeats),
	}
	if err := b.gather(ctx); err != nil {
		return err
	}
	if err := b.learn(ctx); err != nil {
		return err
	}
	if err := b.apply(ctx); err != nil {
		return err
	}
	for _, c := range b.customers {
		if c.told {
			b.found.Users++
		}
	}
	p.Estimate.Backfill = &b.found
	points := int(b.found.DataPoints)
	p.Estimate.DataPoints = &points
	return nil
}

// each calls each with every record that attribute-sync gets, once more or for the first time.
func (b *backfill) each(ctx context.Context, each func(*stream.Record) error) error {
	judge := b.plan.judge()
	return b.plan.read(ctx, func(r *stream.Record, e *event.Event) error {
		if v := judge.decide(r, e.ID); v != again && v != anyway {
			return nil
		}
		return each(r)
	})
}

// gather learns whose records there are.
func (b *backfill) gather(ctx context.Context) error {
	return b.each(ctx, func(r *stream.Record) error {
		who := whose{r.Partition, string(r.Key)}
		if b.customers[who] != nil {
			return nil
		}
		if len(b.customers) == maxCustomers {
			return fmt.Errorf("the range has more than %d customers: narrow it with --from, --until or --partition", maxCustomers)
		}
		b.customers[who] = &customer{}
		return nil
	})
}

// learn reads what is known of them: the newest value of each key.
func (b *backfill) learn(ctx context.Context) error {
	topic := b.plan.cluster.Kafka.Topic(schema.State(attributesync.Name))
	states, err := b.plan.cluster.Admin.Topics(ctx, nil, topic)
	if err != nil {
		return err
	}
	if !states[0].Exists {
		return nil // nothing is known of anybody
	}
	numbers, size := map[int32]bool{}, 0
	for _, s := range b.plan.Stretches {
		if s.Partition < states[0].Partitions {
			numbers[s.Partition] = true
		}
	}
	return b.plan.cluster.Read(ctx, stream.Range{Topic: topic, From: Partitions(numbers)}, func(r *stream.Record) error {
		c := b.customers[whose{r.Partition, string(r.Key)}]
		if c == nil {
			return nil
		}
		if size += len(r.Value) - len(c.state); size > maxStateBytes {
			return fmt.Errorf("more than %d bytes are known of the range's customers: narrow it with --from, --until or --partition", maxStateBytes)
		}
		c.state = append(c.state[:0:0], r.Value...) // a record shares the memory of those that came with it
		return nil
	})
}

// apply lets the records come to those customers, batch by batch.
func (b *backfill) apply(ctx context.Context) error {
	batch := min(max(b.plan.Order.Profiles.Batch, 1), maxBatch)
	err := b.each(ctx, func(r *stream.Record) error {
		who := whose{r.Partition, string(r.Key)}
		c := b.customers[who]
		if c == nil {
			return nil // it came meanwhile
		}
		if len(c.batch) == 0 {
			b.touched = append(b.touched, who)
		}
		c.batch = append(c.batch, r)
		b.records++
		b.bytes += len(r.Value)
		if b.records < batch && b.bytes < maxFoldedBytes {
			return nil
		}
		return b.settle(ctx)
	})
	if err != nil {
		return err
	}
	return b.settle(ctx)
}

// settle ends a batch.
func (b *backfill) settle(ctx context.Context) error {
	now := time.Now()
	for _, who := range b.touched {
		c := b.customers[who]
		after, cost, err := b.preview.Apply(ctx, who.key, c.state, c.batch, now)
		if err != nil {
			return err
		}
		c.state, c.batch = after, nil
		c.told = c.told || cost.Updates > 0
		b.found.Add(cost)
	}
	b.touched, b.records, b.bytes = b.touched[:0], 0, 0
	return nil
}
