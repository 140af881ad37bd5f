package currentsfanout

import (
	"fmt"
	"slices"
	"time"
)

// waiting is a customer of whom an event was not taken while those of others were, or came to nothing by itself. It comes
// again by and by, and what stands behind it waits with it, for the order; everybody else's events go on. So an
// event that a far end answers 500 for ever holds up one customer, and is lost as little as any other.
//
// Rejected: giving it up after so many tries. Nobody but the far end knows whether it will take it tomorrow.
type waiting struct {
	items []*item
	until time.Time
	shut  bool // it has tried whether a far end is up that was not: nobody knows anything against it
}

// together is how exactly the waits are kept: what was not taken together comes again in one batch, mostly.
const together = 50 * time.Millisecond

// longBlamed is how often an event was not taken that has waited for seconds by then.
const longBlamed = 6

// tellAt is how often an event is not taken before somebody should know.
const tellAt = 10

// park has the first n events of the queue wait apart from it, each with whatever else there is of its customer. Where
// nothing came of the whole batch it was one event, which comes alone from now on: among others it would fail them too. The
// lock is held.
func (l *lane) park(n int, s settlement) {
	now := time.Now()
	if l.waiting == nil {
		l.waiting = map[string]*waiting{}
	}
	kept := l.queue[:0]
	taken := make([]int, len(l.cuts)) // out of each cut
	cut, end := 0, n                  // the cut in which an event stands, and where that ends
	for i, it := range l.queue {
		for i >= end && cut < len(l.cuts) {
			end += l.cuts[cut]
			cut++
		}
		key := customer(it)
		w := l.waiting[key]
		switch {
		case w == nil && i >= n:
			kept = append(kept, it)
			continue
		case w == nil:
			w = &waiting{until: now.Add(l.again(int(it.blamed), it)).Truncate(together).Add(together), shut: s.probe}
			l.waiting[key] = w
			l.next = earlier(l.next, w.until)
			it.alone = it.alone || s.whole
			it.blamed = min(it.blamed, 254) + 1
			l.tell(it)
		case i >= n && i < end:
			taken[cut-1]++
		}
		it.event = nil // it would keep all of its slab
		l.bytes -= int64(it.size())
		w.items = append(w.items, it)
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	l.lone = l.lone || s.whole
	for i, n := range taken {
		l.cuts[i] -= n
	}
	l.cuts = slices.DeleteFunc(l.cuts, func(n int) bool { return n <= 0 })
}

// customer is whose events wait for one another: those of one key. An event without one is nobody's, and waits for none.
func customer(it *item) string {
	if key := it.delivery.KeyText(); key != "" {
		return key
	}
	return fmt.Sprintf("\x00%s/%d/%d", it.part.Topic, it.part.Number, it.delivery.Offset())
}

// tell logs an event that is not taken, once.
func (l *lane) tell(it *item) {
	if is, _, _ := l.runner.gate.look(); it.blamed != tellAt || is == broken || is == halted {
		return
	}
	l.runner.log.Warn().Str("topic", it.part.Topic).Int32("partition", it.part.Number).Int64("offset", it.delivery.Offset()).
		Msg("an event is not taken while others are: it comes again at most half a minute apart, and only its customer's wait for it")
}

// again is how long to wait before an event comes again; not long where its partition goes, since others wait for that.
func (l *lane) again(attempt int, it *item) time.Duration {
	d := l.runner.schedule.Next(attempt, 0)
	if it.part.gone {
		return min(d, 5*together)
	}
	return d
}

// comeBack puts those back to the head of the queue who have waited long enough, and says when the next one has; the zero
// time when nobody waits. The lock is held.
func (l *lane) comeBack(now time.Time) (next time.Time) {
	if len(l.waiting) == 0 {
		return time.Time{}
	}
	if now.Before(l.next) {
		return l.next
	}
	// One that comes alone takes turns with everything else.
	alone := len(l.queue) == 0 || !l.queue[0].alone && (!l.lone || l.closed(now) == "")
	var back []*item
	var turn *waiting // of those who come alone, the one who has waited longest
	var whose string
	for key, w := range l.waiting {
		switch {
		case now.Before(w.until):
			next = earlier(next, w.until)
		case !w.items[0].alone:
			back = append(back, w.items...)
			delete(l.waiting, key)
		case turn == nil || w.until.Before(turn.until):
			turn, whose = w, key
		}
	}
	if turn != nil {
		next = now // there may be more of them
		if alone {
			back = append(slices.Clone(turn.items), back...)
			delete(l.waiting, whose)
		}
	}
	l.next = next
	if len(back) == 0 {
		return next
	}
	for _, it := range back {
		l.bytes += int64(it.size())
	}
	l.queue = append(back, l.queue...)
	if len(l.cuts) > 0 { // they were counted without these
		l.cuts = append([]int{len(back)}, l.cuts...)
	}
	return next
}

// hasten lets those come back soon who wait for an event of a partition that goes. The lock is held.
func (l *lane) hasten(p *part) {
	soon := time.Now().Add(together)
	if l.until.After(soon) {
		l.until = soon
	}
	for _, w := range l.waiting {
		if w.items[0].part == p && w.until.After(soon) {
			w.until = soon
		}
	}
	l.next = time.Time{}
}

// takeOutWaiting gives back what waits. Who waited for something of that waits no more. The lock is held.
func (l *lane) takeOutWaiting(which func(*item) bool) {
	for key, w := range l.waiting {
		first := w.items[0]
		w.items = slices.DeleteFunc(w.items, func(it *item) bool {
			if !which(it) {
				return false
			}
			l.runner.release(it.part, 1, int64(it.size()))
			return true
		})
		switch {
		case len(w.items) == 0:
			delete(l.waiting, key)
		case w.items[0] != first:
			w.until = time.Time{}
		}
	}
	l.next = time.Time{}
}

// hurry has everything tried soon that waits only because the far end took nothing from anybody: it does now. All is for one that
// has taken what it would not take for long: it was mended, and may take the rest of that too.
func (r *runner) hurry(all bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		l.until, l.attempts, l.next = time.Time{}, 0, time.Time{}
		for _, w := range l.waiting {
			if w.shut || all {
				w.until, w.items[0].blamed = time.Time{}, 1
			}
		}
	}
}

// apart is how many customers wait in the lanes.
func (r *runner) apart() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, l := range r.lanes {
		n += len(l.waiting)
	}
	return n
}

// earlier is the earlier of two times; a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
