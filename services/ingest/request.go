package ingest

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// request is all that one request needs from its body to its answer, kept for the next one to use
// again. Nothing of it may be used again before every record has been called back, so a request that
// gave up waiting is left to the garbage collector instead.
type request struct {
	service  *Service
	window   *window // that remembers its ids
	holder   *holder
	counts   *counts
	received time.Time
	path     string // as the client asked for it
	trace    []byte // the traceparent header, if it is valid

	body        []byte // read so far
	packed      []byte // the body as it came, where that was compressed
	held        int64  // bytes that count as held
	scan        scanner
	envelope    envelope // of the tracking API
	inner       scanner  // for what translating looks at again
	items       []item
	engagements []event.Engagement // of items
	tracking    bool               // the client does not learn of single items
	buries      bool               // what Kafka would never take becomes a dead letter
	kept        []stream.Header    // of the request, for its dead letters

	slots   []slot
	slab    []byte          // values, keys and ids of the records
	headers []stream.Header // of the records
	out     []byte          // the answer

	waiting atomic.Int32  // records without a verdict, and one for the hand that produces them
	done    chan struct{} // told when there is none left
	failed  atomic.Bool   // Kafka did not take one of them
}

// slot is the place of one item's record.
type slot struct {
	record  stream.Record
	request *request
	index   int // of the item
	claim   claim
	verdict atomic.Uint32
	done    func(*stream.Record, error) // slot.settled, bound once
}

// Beyond these a request's memory is not kept for the next.
const (
	keepBytes = 1 << 20
	keepItems = MaxItems
)

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

func (s *Service) newRequest() *request {
	rq := requests.Get().(*request)
	rq.service, rq.window, rq.received = s, s.window, time.Now()
	return rq
}

// release gives the request's memory back. Nothing that it lent may be in use any more.
func (rq *request) release() {
	if cap(rq.body) > keepBytes || cap(rq.packed) > keepBytes || cap(rq.engagements) > 2*keepItems || cap(rq.slab) > 2*keepBytes || cap(rq.items) > 2*keepItems || cap(rq.envelope.messages) > 2*keepItems || cap(rq.out) > keepBytes || rq.scan.pool.size() > 2*keepItems {
		return
	}
	rq.service, rq.window, rq.holder, rq.counts, rq.trace, rq.kept, rq.tracking, rq.buries = nil, nil, nil, nil, nil, nil, false, false
	rq.body, rq.packed, rq.items, rq.out = rq.body[:0], rq.packed[:0], rq.items[:0], rq.out[:0]
	requests.Put(rq)
}

// makeSlots makes one slot for each item.
func (rq *request) makeSlots() {
	n := len(rq.items)
	if n > cap(rq.slots) {
		rq.slots = make([]slot, n, n+n/4)
		all := rq.slots[:cap(rq.slots)]
		for i := range all {
			all[i].request, all[i].index = rq, i
			all[i].done = all[i].settled
		}
	}
	rq.slots = rq.slots[:n]
	for i := range rq.slots {
		rq.slots[i].claim = 0
		rq.slots[i].verdict.Store(uint32(pending))
	}
	rq.failed.Store(false)
	rq.waiting.Store(1)
}

// hold notes that one more record has no verdict yet.
func (rq *request) hold() { rq.waiting.Add(1) }

// letGo is the opposite of hold.
func (rq *request) letGo() {
	if rq.waiting.Add(-1) == 0 {
		rq.done <- struct{}{}
	}
}

// wait returns once every record has a verdict, or when the context ends. Only then may it be false:
// some records may still be called back.
func (rq *request) wait(ctx context.Context) bool {
	rq.letGo()
	select {
	case <-rq.done:
		return true
	case <-ctx.Done():
	}
	// The client library gives up on what it has not sent yet when the context ends, but what is on
	// its way to the broker it cannot call back.
	select {
	case <-rq.done:
		return true
	case <-time.After(lastCall):
		return false
	}
}

// lastCall is how long records may take to be called back once the deadline is over.
const lastCall = 250 * time.Millisecond

// settled is called by Kafka's client, from a goroutine of its own, once every in-sync replica has the
// record or it is certain that they will not.
func (sl *slot) settled(_ *stream.Record, err error) {
	switch {
	case err == nil:
		sl.finish(accepted, true)
	case stream.Permanent(err) && sl.request.buries:
		go sl.bury() // not from within the client's own callback, which must not be kept waiting
	case stream.Permanent(err) && !sl.request.tracking: // else nobody would learn of it
		sl.finish(rejected, false)
	default:
		sl.finish(unavailable, false)
	}
}

// bury keeps the bytes of an item that Kafka would never take. It works on a copy: the request may have given
// up waiting, and be reading its items.
func (sl *slot) bury() {
	rq := sl.request
	ctx, cancel := context.WithTimeout(context.Background(), rq.service.options.DeliveryTimeout)
	it := rq.items[sl.index]
	it.fate, it.problem = deadLetter, problem{why: refusedByKafka}
	it.lighten()
	rq.service.letters.Write(ctx, rq.letter(&it), func(err error) {
		cancel()
		sl.buried(err)
	})
}

// buried is called once a dead letter is durable, or certain never to be.
func (sl *slot) buried(err error) {
	if err == nil {
		sl.finish(rejected, true)
		return
	}
	sl.finish(unavailable, false)
}

// finish gives a slot whose record went to Kafka its verdict, and its id a memory.
func (sl *slot) finish(v verdict, durable bool) {
	if v == unavailable {
		sl.request.failed.Store(true)
	}
	sl.request.window.settle(sl.claim, durable, v)
	sl.decide(v)
}

// decide gives the slot its verdict, unless the request has given up waiting for it. After that the
// slot is no longer ours: its request may be over, and used again.
func (sl *slot) decide(v verdict) {
	rq := sl.request
	if !sl.verdict.CompareAndSwap(uint32(pending), uint32(v)) && v == accepted {
		rq.counts.late.Inc()
	}
	rq.letGo()
}

// verdictOf is what became of item i. Whoever asks waits no longer: an item without a verdict is
// unavailable from now on.
func (rq *request) verdictOf(i int) verdict {
	sl := &rq.slots[i]
	sl.verdict.CompareAndSwap(uint32(pending), uint32(unavailable))
	return verdict(sl.verdict.Load())
}
