package trace

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// findWrites finds what was planned because of the records found: what has no receipt yet is still held. The topic is
// that service's own, and no table.
func (f *finder) findWrites(ctx context.Context) error {
	numbers := map[int32]bool{}
	for place, e := range f.entries {
		if readBy(e.Topic, writer()) && place.Partition >= 0 {
			numbers[place.Partition] = true
		}
	}
	topic := f.cluster.Kafka.Topic(schema.Writes(writer()))
	states, err := f.cluster.Admin.Topics(ctx, nil, topic)
	if err != nil || len(numbers) == 0 || !states[0].Exists {
		return err
	}
	return f.cluster.Read(ctx, stream.Range{Topic: topic, From: replay.Partitions(numbers)}, func(r *stream.Record) error {
		w, err := crm.ReadWrite(r.Value)
		if err != nil {
			return nil //nolint:nilerr // nobody can say what it comes from
		}
		e := f.entries[replay.Place{Topic: w.Cause.Topic, Partition: w.Cause.Partition, Offset: w.Cause.Offset}]
		if e == nil {
			return nil
		}
		if e.writes == nil {
			e.writes = map[string]bool{}
		}
		e.writes[w.ID] = true
		return nil
	})
}

// writer is the service that writes to CRMs: it makes any number of writes of a record, or none.
func writer() string {
	t, _ := schema.Find(schema.CRMDeliveries)
	return t.WrittenBy
}

// writebackFate is what became of a record with that service: of several writes the worst. A record that no rule wants
// leaves nothing behind.
func (e *Entry) writebackFate(past bool) (fate Fate, delivered int) {
	times := map[string]int{}
	last := map[string]Fate{}
	for id := range e.writes {
		last[id] = Held
	}
	for _, r := range e.Receipts {
		if r.Service != writer() {
			continue
		}
		switch r.Outcome {
		case "delivered":
			times[r.WriteID]++
			delivered = max(delivered, times[r.WriteID])
			last[r.WriteID] = Fate(r.Outcome)
		case "skipped", "refused":
			last[r.WriteID] = Fate(r.Outcome)
		}
	}
	for _, l := range e.Letters {
		if l.Service == writer() && len(last) == 0 {
			return "refused", 0
		}
	}
	for _, of := range last {
		if fate == "" || gravity[of] > gravity[fate] {
			fate = of
		}
	}
	switch {
	case fate != "":
		return fate, delivered
	case !past:
		return Held, 0
	}
	return "skipped", 0
}

// gravity is which fate of a record's writes is told as its own.
var gravity = map[Fate]int{"skipped": 0, "delivered": 1, Held: 2, "refused": 3}

// where is the object that a receipt of a write is about; empty for any other.
func (r Receipt) where() string {
	if r.Target == "" {
		return ""
	}
	where := r.Target + " " + r.Object + "  "
	if r.Hops > 0 {
		where = fmt.Sprintf("%s%d hops  ", where, r.Hops)
	}
	return where
}
