package brazesender

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// order is what a record says of a customer's order; with id 0, of something else that need not be told
// Braze twice.
type order struct {
	id     uint64 // hash of the customer and the order
	state  uint64 // hash of all that is said: shops report the same state again and again
	bytes  int64  // of the record
	places bool   // the order begins with it
	// replayed says that somebody had the record sent once more, on purpose: it neither says the same
	// again nor waits.
	replayed bool
	undoes   bool // it is a refund or a cancellation, which makes no sense before the order
}

// orderOf returns what a commerce event says of an order, nil when it is about none.
func orderOf(c *event.Commerce) *order {
	if c.OrderID == "" {
		return nil
	}
	h := xxhash.New()
	text := func(list ...string) {
		for _, s := range list {
			_, _ = h.WriteString(s)
			_, _ = h.Write([]byte{0xff}) // stands in no text, so that none runs into the next
		}
	}
	var number [8]byte
	whole := func(n int64) {
		binary.LittleEndian.PutUint64(number[:], uint64(n))
		_, _ = h.Write(number[:])
	}
	text(c.User.Key(), c.Source, c.OrderID)
	o := &order{id: h.Sum64()}
	text(string(c.Type))
	switch c.Type {
	case event.OrderPlaced:
		// An order is placed once, whatever is said of it later.
		o.places = true
	case event.OrderCancelled:
		o.undoes = true
	case event.OrderRefunded:
		// Two refunds of the same amount are two, if they are of different moments.
		o.undoes = true
		whole(c.OccurredAt.UnixMilli())
		text(string(c.Total), c.Currency)
	default:
		if c.Type == event.PaymentFailed || c.Type == event.PaymentRecovered {
			whole(c.OccurredAt.UnixMilli()) // it may fail, recover and fail again
		}
		text(string(c.Total), c.Currency, c.Reason, c.Carrier, c.Tracking)
		whole(c.DueAt.UnixMilli())
		for i := range c.Lines {
			text(c.Lines[i].ProductID, c.Lines[i].VariantID)
			whole(c.Lines[i].Quantity)
		}
		_, _ = h.Write(c.Metadata)
	}
	o.state = h.Sum64()
	return o
}

// orders remembers what has been said of orders, within bounds and for as long as the process lives; the
// lane's goroutine owns it.
type orders struct {
	placed recent
	states recent
	held   []heldBack // the one that has waited longest first
	wait   time.Duration
	bytes  int64 // of the records held
	// What is held keeps its partition's commit, and its bytes from others: it goes when it keeps too much.
	maxAhead int64 // records of its partition behind it
	maxBytes int64
}

// heldBack is a record that waits for its order.
type heldBack struct {
	*item
	until time.Time
}

// maxHeldBack is how many records may wait for their orders at once; what comes then does not wait.
const maxHeldBack = 1_000

// What is said of a record that says again what has been said.
var (
	sameState = outcome.Outcome{Kind: outcome.Skipped, Reason: "same_order_state", Detail: "an earlier record said the same of the order"}
	sameLink  = outcome.Outcome{Kind: outcome.Skipped, Reason: "same_link", Detail: "an earlier record said the same of the person"}
)

// again is the outcome of a record that says it once more.
func (o *order) again() outcome.Outcome {
	if o.id == 0 {
		return sameLink
	}
	return sameState
}

// linkOf returns what an event says of who somebody turned out to be. Clients say it with every page; it
// is treated as an order's state is, of no order.
func linkOf(e *event.Event) *order {
	h := xxhash.New()
	for _, s := range []string{e.User.Key(), "\xff", e.IdentifiedAs} {
		_, _ = h.WriteString(s)
	}
	return &order{state: h.Sum64()}
}

// admit decides about a record of an order: it may go, it says nothing new, or it waits for the order.
func (o *orders) admit(it *item, now time.Time) (goes, waits bool) {
	ord := it.order
	if o.states.has(ord.state) && !ord.replayed {
		return false, false
	}
	if ord.undoes && !ord.replayed && o.wait > 0 && !o.placed.has(ord.id) && len(o.held) < maxHeldBack && o.bytes+ord.bytes <= o.maxBytes {
		o.bytes += ord.bytes
		o.held = append(o.held, heldBack{it, now.Add(o.wait)})
		return false, true
	}
	o.states.add(ord.state)
	if ord.places {
		o.placed.add(ord.id)
	}
	return true, false
}

// release returns the records that waited for an order.
func (o *orders) release(id uint64) []*item {
	return o.take(func(h heldBack) bool { return h.order.id == id })
}

// due returns the records that have waited long enough: the order was placed before we can remember.
func (o *orders) due(now time.Time) []*item {
	return o.take(func(h heldBack) bool { return !h.until.After(now) })
}

// overtaken returns the records of whose partitions so much has come since that they have to go.
func (o *orders) overtaken(came []*item) []*item {
	if len(o.held) == 0 {
		return nil
	}
	newest := map[*stream.Partition]int64{}
	for _, it := range came {
		newest[it.delivery.Partition()] = it.delivery.Offset()
	}
	return o.take(func(h heldBack) bool {
		at, ok := newest[h.delivery.Partition()]
		return ok && at-h.delivery.Offset() > o.maxAhead
	})
}

// next is when the first of those that wait has waited long enough; zero when none waits.
func (o *orders) next() time.Time {
	if len(o.held) == 0 {
		return time.Time{}
	}
	return o.held[0].until
}

// take takes those out that match, in order. What one of them says may have been said by another since.
func (o *orders) take(match func(heldBack) bool) (taken []*item) {
	kept := o.held[:0]
	for _, h := range o.held {
		if match(h) {
			taken = append(taken, h.item)
			o.bytes -= h.order.bytes
		} else {
			kept = append(kept, h)
		}
	}
	clear(o.held[len(kept):])
	o.held = kept
	return taken
}

// unsay forgets what a record said that goes away unsent: whoever reads it again is to send it.
func (o *orders) unsay(it *item) {
	if it.order == nil {
		return
	}
	o.states.remove(it.order.state)
	if it.order.places {
		o.placed.remove(it.order.id)
	}
}

// forget drops the records of partitions that are gone.
func (o *orders) forget(gone map[*stream.Partition]bool) {
	o.take(func(h heldBack) bool { return gone[h.delivery.Partition()] })
}

// recent remembers at least the last maxRecent numbers, and at most twice as many.
type recent struct{ young, old map[uint64]struct{} }

const maxRecent = 200_000

func (r *recent) has(n uint64) bool {
	_, young := r.young[n]
	_, old := r.old[n]
	return young || old
}

func (r *recent) add(n uint64) {
	if len(r.young) >= maxRecent {
		r.old, r.young = r.young, nil
	}
	if r.young == nil {
		r.young = map[uint64]struct{}{}
	}
	r.young[n] = struct{}{}
}

func (r *recent) remove(n uint64) {
	delete(r.young, n)
	delete(r.old, n)
}
