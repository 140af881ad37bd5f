package crmwriteback

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/stream"
)

// recall remembers which rows beyond the last commit an earlier owner has settled. Without it a row that was written out
// of order before a crash would be written again, and after a newer one of its object.
type recall struct {
	mu      sync.Mutex
	settled map[*stream.Partition]map[int64]int64 // offset of the row, to the offset of its delivery
}

// read reads the deliveries that a commit points to, and keeps those of rows at or beyond it. Every group reads all of
// them; which are its own the fences of its commits tell.
func (c *recall) read(ctx context.Context, kafka stream.Config, deliveries string, parts []*stream.Partition) (n int, err error) {
	from, byNumber := make(map[int32]int64, len(parts)), make(map[int32]*stream.Partition, len(parts))
	for _, p := range parts {
		from[p.Number], byNumber[p.Number] = p.Start.Receipt, p
	}
	found := make(map[*stream.Partition]map[int64]int64, len(parts))
	err = stream.Read(ctx, kafka, stream.Range{Topic: deliveries, From: from}, func(r *stream.Record) error {
		p := byNumber[r.Partition]
		if p == nil || !p.Counts(r) {
			return nil
		}
		d, err := crm.ReadDelivery(r.Value)
		if err != nil || d.Partition != p.Number || d.Offset < p.Start.Offset || !d.Outcome.Kind.Final() {
			return nil // nobody of ours wrote it, or it tells nothing: the row is written, which is the safe side
		}
		if found[p] == nil {
			found[p] = map[int64]int64{}
		}
		if _, known := found[p][d.Offset]; !known {
			found[p][d.Offset] = r.Offset
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reading deliveries: %w", err)
	}
	for p, offsets := range found {
		last, first := int64(0), int64(math.MaxInt64)
		for offset, delivery := range offsets {
			last, first = max(last, offset), min(first, delivery)
		}
		p.HoldReceipts(last+1, first)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settled == nil {
		c.settled = map[*stream.Partition]map[int64]int64{}
	}
	for p, offsets := range found {
		c.settled[p] = offsets
	}
	return n, nil
}

// take tells where the delivery of a row stands that is settled already. It tells so once.
func (c *recall) take(d stream.Delivery) (delivery int64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offsets := c.settled[d.Partition()]
	if delivery, ok = offsets[d.Offset()]; ok {
		delete(offsets, d.Offset())
	}
	return delivery, ok
}

// forget drops what is known of partitions that are gone.
func (c *recall) forget(parts []*stream.Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range parts {
		delete(c.settled, p)
	}
}
