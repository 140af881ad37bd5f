package httpsink

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// work is one Write under way: a batch that becomes one or more requests.
type work struct {
	batch []*sink.Event
	next  int // the first event of which nothing is decided, and that stands in no body

	// The request at hand.
	items  []int // the events in it, by their place in the batch
	body   []byte
	ids    []byte // scratch
	zipped bytes.Buffer
	zipper *gzip.Writer
	answer bytes.Buffer

	// What became of events. While all were delivered there are no fates, only how many.
	fates     []outcome.Outcome
	sofar     int  // without fates: the events before it are delivered
	delivered bool // any was
	held      map[string]struct{}
	answered  sink.Answer // without Each: RetryAfter and Halt
	failures  int         // of requests, one after another
}

var works = sync.Pool{New: func() any { return new(work) }}

// longestKept bounds the buffers that are kept for the next batch.
const longestKept = 4 << 20

func begin(batch []*sink.Event) *work {
	w := works.Get().(*work)
	w.batch = batch
	return w
}

// end lets go of what was lent, and keeps the buffers unless they are monstrous.
func (w *work) end() {
	if cap(w.body) > longestKept || w.zipped.Cap() > longestKept {
		return
	}
	w.zipped.Reset()
	w.answer.Reset()
	*w = work{
		items: w.items[:0], body: w.body[:0], ids: w.ids[:0],
		zipped: w.zipped, zipper: w.zipper, answer: w.answer,
	}
	works.Put(w)
}

// set says what became of one event.
func (w *work) set(i int, o outcome.Outcome) {
	if w.fates == nil {
		w.fates = make([]outcome.Outcome, len(w.batch))
		for j := range w.sofar {
			w.fates[j].Kind = outcome.Delivered
		}
	}
	w.fates[i] = o
}

// settle says what became of the events of a request.
func (w *work) settle(v verdict) {
	plain := v.rows == nil && v.all == outcome.Outcome{Kind: outcome.Delivered}
	if plain {
		w.delivered = true
		if w.fates == nil {
			w.sofar = w.next
			return
		}
	}
	for at, i := range w.items {
		o := v.all
		if v.rows != nil && v.rows[at].Kind != 0 {
			o = v.rows[at]
		}
		switch o.Kind {
		case outcome.Delivered:
			w.delivered = true
		case outcome.Deferred:
			w.hold(w.batch[i].Key)
		case outcome.Refused, outcome.Skipped:
		}
		w.set(i, o)
	}
}

// hold keeps the later events of a customer back in this batch, so that their order stays.
func (w *work) hold(key string) {
	if w.held == nil {
		w.held = map[string]struct{}{}
	}
	w.held[key] = struct{}{}
}

func (w *work) holds(key string) bool {
	_, held := w.held[key]
	return held
}

// stop gives up on the events that are left, which share the fate of the last request.
func (w *work) stop(o outcome.Outcome) {
	for ; w.next < len(w.batch); w.next++ {
		w.set(w.next, o)
	}
}

// result is the answer for the batch.
func (w *work) result() sink.Answer {
	if w.fates == nil {
		return sink.Delivered()
	}
	a := w.answered
	a.Each = w.fates
	return a
}
