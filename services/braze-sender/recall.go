package brazesender

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/stream"
)

// recall remembers which records beyond the last commit an earlier owner has settled. Without it
// everything that was delivered out of order before a crash would be delivered again.
type recall struct {
	mu      sync.Mutex
	settled map[*stream.Partition]map[int64]recalled // by offset of the record
}

// recalled is the last receipt that was found of a record.
type recalled struct {
	offset int64 // of the first receipt there is
	kind   outcome.Kind
	parts  int // that Braze has; of a record that is not done with
}

// read reads the receipts that a commit points to and keeps those of records at or beyond it. It
// returns how many there are.
func (c *recall) read(ctx context.Context, kafka stream.Config, receipts string, parts []*stream.Partition) (int, error) {
	from := make(map[int32]int64, len(parts))
	byNumber := make(map[int32][]*stream.Partition, len(parts))
	for _, p := range parts {
		if first, ok := from[p.Number]; !ok || p.Start.Receipt < first {
			from[p.Number] = p.Start.Receipt
		}
		byNumber[p.Number] = append(byNumber[p.Number], p)
	}
	found := make(map[*stream.Partition]map[int64]recalled, len(parts))
	n := 0
	err := stream.Read(ctx, kafka, stream.Range{Topic: receipts, From: from}, func(r *stream.Record) error {
		slip, err := receipt.Read(r.Value)
		if err != nil || !slip.Outcome.Kind.Final() && slip.PartsDone == 0 {
			return nil // not one of ours, or it tells nothing: the record is sent, which is the safe side
		}
		for _, p := range byNumber[r.Partition] {
			if slip.Topic == p.Topic && slip.Partition == p.Number && slip.Offset >= p.Start.Offset && r.Offset >= p.Start.Receipt && p.Counts(r) {
				if found[p] == nil {
					found[p] = map[int64]recalled{}
				}
				earlier, known := found[p][slip.Offset]
				if !known {
					earlier.offset = r.Offset
					n++
				}
				found[p][slip.Offset] = recalled{earlier.offset, slip.Outcome.Kind, slip.PartsDone}
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reading receipts: %w", err)
	}
	for p, offsets := range found {
		last, first := int64(0), int64(math.MaxInt64)
		for offset, r := range offsets {
			last, first = max(last, offset), min(first, r.offset)
		}
		p.HoldReceipts(last+1, first)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = found
	return n, nil
}

// take tells what is known of a record. That it is settled is told once.
func (c *recall) take(d stream.Delivery) (recalled, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offsets := c.settled[d.Partition()]
	r, ok := offsets[d.Offset()]
	if ok && r.kind.Final() {
		delete(offsets, d.Offset())
	}
	return r, ok
}

// forget drops what is known of partitions that are gone.
func (c *recall) forget(parts []*stream.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range parts {
		delete(c.settled, p)
	}
}
