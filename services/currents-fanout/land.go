package currentsfanout

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// land settles a batch, and leaves at the head of the lane what has to come again.
func (l *lane) land(batch []*item, unfit []refusedItem, s settlement) {
	r := l.runner
	var refused []refusedItem
	r.mu.Lock()
	rest := make([]*item, 0, len(batch))
	ended := tally{r: r}
	left := false // something comes again elsewhere
	mended := false
	next := 0 // of s.what
	for _, it := range batch {
		what := noAnswer
		if len(unfit) > 0 && unfit[0].delivery == it.delivery {
			what, unfit = unfit[0].what, unfit[1:]
		} else if next < len(s.what) {
			what = s.what[next]
			next++
		}
		size := int64(it.size())
		switch {
		case what.Kind == outcome.Refused:
			refused = append(refused, refusedItem{*it, what})
		case what.Kind.Final():
			mended = mended || it.blamed >= longBlamed && what.Kind == outcome.Delivered
			ended.settle(it.part, it.delivery, what)
		case it.part.over:
			r.release(it.part, 1, size)
			left = true
		default:
			rest = append(rest, it)
			continue
		}
		l.bytes -= size
		*it = item{} // others of its slab may live on
	}
	ended.count()
	if len(rest) > 0 {
		l.slab = nil // what comes again stands in it
	}
	l.requeue(len(batch), rest, s)
	if left { // and so must whatever stands behind it
		l.dropGone()
	}
	idle := len(l.queue) == 0
	r.mu.Unlock()
	for i := range refused {
		r.refuse(&refused[i].item, refused[i].what)
	}
	if mended {
		r.hurry(true)
		r.wakeLanes()
	}
	if idle {
		l.slab = nil
	}
}

// doubtAfter is how often a batch comes to nothing before it is halved, as if the far end had said that one event in it is to
// blame: a batch that meets the rough half of a far end three times in a row is rare, one with such an event always does.
const doubtAfter = 3

// requeue puts what has to come again before everything else, or has it wait apart from what others can get by with. The
// lock is held.
func (l *lane) requeue(flight int, rest []*item, s settlement) {
	behind := l.queue[flight:]
	copy(l.queue[flight-len(rest):], rest)
	clear(l.queue[:flight-len(rest)])
	l.queue = l.queue[flight-len(rest):]
	if len(l.queue) == 0 || cap(l.queue) > 4*len(l.queue)+1024 { // the memory before the head
		l.queue = slices.Concat(rest, behind)
	}
	l.flight, l.cancel = 0, nil
	switch {
	case len(rest) == 0:
		l.answered()
	case s.split:
		l.halve(len(rest))
	case !s.deferred: // it was cut off before the sink was asked
		l.cuts = append([]int{len(rest)}, l.cuts...)
	case s.whole && len(rest) > 1:
		l.attempts++
		l.until = time.Now().Add(l.again(l.attempts-1, rest[0]))
		if !s.probe && l.attempts >= doubtAfter {
			l.halve(len(rest))
			return
		}
		l.cuts = append([]int{len(rest)}, l.cuts...)
	default: // others were taken, or it came to nothing by itself
		l.answered()
		l.park(len(rest), s)
	}
}

// answered begins to count anew, but for an answer to one that came alone, out of turn. The lock is held.
func (l *lane) answered() {
	if !l.lone {
		l.attempts = 0
	}
}

// halve makes two batches of what came to nothing. The lock is held.
func (l *lane) halve(n int) {
	half := (n + 1) / 2
	l.cuts = append([]int{half, n - half}, l.cuts...)
	l.attempts = 0
}
