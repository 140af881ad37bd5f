package brazesender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// window remembers what was delivered not long ago, so that a record that tells of the same once more is
// skipped, whoever put it on the topic again: a client, another replica of ingest, an upstream's retry.
//
// Its memory is the receipts: of those in braze.deliveries that say delivered there is a local copy by
// identity, so an entry is durable exactly when its receipt is, and a new owner of a partition finds it
// there. Between a record's first sight and its receipt, claims has it: what tells of the same waits
// behind it in the queue of their customer, and is judged when its turn comes.
type window struct {
	delivered deliveredView
	claims    [64]claims
	failed    context.CancelCauseFunc // ends the service: without a disk nobody can say what was delivered

	restore  restore
	patience time.Duration // with it, while a rebalance waits
}

// deliveredView is the local copy, a table.View. Its keys are identities, its values places.
type deliveredView interface {
	Assign(ctx context.Context, partitions []int32) error
	Revoke(partitions []int32)
	Get(partition int32, key []byte) (value []byte, ok bool, err error)
	Add(partition int32, offset int64, at time.Time, key, value []byte)
}

// claims are the records of some partitions that are on their way, by half of their identity: of several
// that tell of the same, the first. One whose half meets another's has no claim.
type claims struct {
	mu    sync.Mutex
	first map[uint64]*item
}

// duplicate is the outcome of a record that tells of what was delivered.
var duplicate = outcome.Outcome{Kind: outcome.Skipped, Reason: "duplicate", Detail: "an earlier record with its source and id was delivered"}

// restoring reports whether nobody knows yet what was delivered.
func (w *window) restoring() bool { return w != nil && w.restore.waiting.Load() }

// admit returns the items that are still to be sent, and ends the others. Items that tell of the same as
// one on its way are marked: they are judged when it has come to its end.
//
// The claim comes first: a record whose receipt has become durable is added to the view before it gives its
// claim up, so one of the two has it at any time.
func (w *window) admit(items []*item, end func(*item)) []*item {
	if w == nil {
		return items
	}
	kept := items[:0]
	for _, it := range items {
		switch {
		case it.identity == (identity{}) || it.replayed:
		case w.claim(it) != nil:
			it.again = true
		case w.has(it):
			end(it)
			continue
		}
		kept = append(kept, it)
	}
	return kept
}

// judge reports whether a marked item is a repeat after all, now that whatever came before it in the queue of
// its customer has come to an end. If not the claim is its own, unless the first still waits for something
// else, such as an order.
func (w *window) judge(it *item) (repeat bool) {
	it.again = false
	if first := w.claim(it); first != nil {
		return first.delivered
	}
	return w.has(it)
}

// has reports whether what an item tells of was delivered in another record. The very same record comes
// again only where somebody wants it to.
func (w *window) has(it *item) bool {
	value, found, err := w.delivered.Get(it.delivery.Partition().Number, it.identity[:])
	if err != nil && !errors.Is(err, table.ErrNotAssigned) { // what went away is not sent anyway
		w.failed(fmt.Errorf("looking for a duplicate: %w", err))
	}
	if !found || placeOf(value) == it.delivery.Offset() {
		return false
	}
	w.giveUp(it)
	return true
}

func (w *window) of(it *item) *claims {
	return &w.claims[uint32(it.delivery.Partition().Number)%uint32(len(w.claims))]
}

// claim gives an item the claim, or returns the item that has it.
func (w *window) claim(it *item) (first *item) {
	c, half := w.of(it), it.identity.half()
	c.mu.Lock()
	defer c.mu.Unlock()
	first = c.first[half]
	switch {
	case first == nil:
		if c.first == nil {
			c.first = map[uint64]*item{}
		}
		c.first[half] = it
		return nil
	case first == it || first.identity != it.identity:
		return nil
	}
	return first
}

// giveUp ends an item's claim, if it has it: what tells of the same may be sent.
func (w *window) giveUp(it *item) {
	if it.identity == (identity{}) {
		return
	}
	c, half := w.of(it), it.identity.half()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first[half] == it {
		delete(c.first, half)
	}
}

// add enters a record whose receipt has become durable.
func (w *window) add(it *item, receipt *stream.Record) {
	if it.identity == (identity{}) {
		return
	}
	var place [8]byte
	w.delivered.Add(receipt.Partition, receipt.Offset, receipt.Timestamp, it.identity[:], appendPlace(place[:0], it.delivery.Offset()))
	w.giveUp(it)
}

// forget drops the claims of partitions that go away.
func (w *window) forget(parts []*stream.Partition) {
	if w == nil {
		return
	}
	gone := map[*stream.Partition]bool{}
	for _, p := range parts {
		gone[p] = true
	}
	for i := range w.claims {
		c := &w.claims[i]
		c.mu.Lock()
		for half, it := range c.first {
			if gone[it.delivery.Partition()] {
				delete(c.first, half)
			}
		}
		c.mu.Unlock()
	}
}
