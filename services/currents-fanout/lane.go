package currentsfanout

import (
	"context"
	"slices"
	"time"
)

// lane is the queue of some customers' events: all events of one customer are in one lane, and a lane has one batch under way. That
// is what keeps them in order. The runner's lock guards it.
type lane struct {
	runner *runner
	wake   chan struct{}

	queue    []*item // in order; the first flight of them are under way
	bytes    int64   // of the queue
	flight   int
	cuts     []int     // sizes of the next batches: of halves, and of what comes again
	attempts int       // of the batch at the head, without anything of it coming to an end
	until    time.Time // nothing is handed over before
	cancel   context.CancelFunc
	waiting  map[string]*waiting // customers apart from the queue, by key
	next     time.Time           // when the first of them may come back; zero when it has to be looked for
	lone     bool                // the last batch was one that comes alone

	slab *slab // of the batch under way, or of the last one; the lane's own
}

// why a batch was closed.
type why string

const (
	byEvents why = "events" // as many as there may be
	byBytes  why = "bytes"
	byLinger why = "linger" // the oldest has waited long enough
	byMemory why = "memory" // nothing more is taken from Kafka before something is settled
	bySplit  why = "split"  // half of one that was not taken as a whole
	byRetry  why = "retry"  // it comes again
	byDrain  why = "drain"  // its partition goes
)

func (l *lane) put(it *item) {
	if len(l.waiting) > 0 {
		if w := l.waiting[customer(it)]; w != nil {
			w.items = append(w.items, it)
			return
		}
	}
	l.queue = append(l.queue, it)
	l.bytes += int64(it.size())
}

// run hands batches over until the context ends.
func (l *lane) run(ctx context.Context) {
	for ctx.Err() == nil {
		now := time.Now()
		until, due := l.due(now)
		var p pass
		if due {
			if p, until, due = l.runner.gate.enter(now); due {
				l.once(ctx, p)
				continue
			}
		}
		l.sleep(ctx, now, until)
	}
}

// sleep waits until a time, or until it is woken; only for the latter when the time is zero.
func (l *lane) sleep(ctx context.Context, now, until time.Time) {
	var ring <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(until.Sub(now))
		defer timer.Stop()
		ring = timer.C
	}
	select {
	case <-ctx.Done():
	case <-l.wake:
	case <-ring:
	}
}

// due reports whether a batch may be handed over, and when one may, as far as time alone decides.
func (l *lane) due(now time.Time) (until time.Time, due bool) {
	l.runner.mu.Lock()
	defer l.runner.mu.Unlock()
	until = l.comeBack(now)
	switch {
	case len(l.queue) == 0:
		return until, false
	case now.Before(l.until):
		return l.until, false
	case l.closed(now) != "":
		return time.Time{}, true
	}
	return earlier(until, time.Unix(0, l.queue[0].taken).Add(l.runner.config.Batch.Linger)), false
}

// closed says why the batch at the head is closed; "" when it may grow. The lock is held.
func (l *lane) closed(now time.Time) why {
	b := l.runner.config.Batch
	switch {
	case len(l.cuts) > 0 && l.attempts == 0:
		return bySplit
	case len(l.cuts) > 0:
		return byRetry
	case l.queue[0].blamed > 0:
		return byRetry
	case l.queue[0].part.gone:
		return byDrain
	case len(l.queue) >= b.Events:
		return byEvents
	case l.bytes >= int64(b.Bytes):
		return byBytes
	case l.runner.pressed():
		return byMemory
	case now.Sub(time.Unix(0, l.queue[0].taken)) >= b.Linger:
		return byLinger
	}
	return ""
}

// once hands one batch over and settles what came of it.
func (l *lane) once(ctx context.Context, p pass) {
	r := l.runner
	if r.limiter != nil {
		if err := r.limiter.Wait(ctx); err != nil {
			r.giveBack(p)
			return
		}
		var ok bool
		if p, ok = r.stillOpen(p); !ok {
			return
		}
	}
	flightCtx, cancel := context.WithTimeout(ctx, r.service.Fanout.WriteTimeout)
	defer cancel()
	batch, closed := l.take(p, cancel)
	if len(batch) == 0 { // it was given back meanwhile
		r.giveBack(p)
		return
	}
	p.lone = l.lone
	events, unfit := l.pack(flightCtx, batch)
	if len(events) == 0 {
		r.giveBack(p)
		l.land(batch, unfit, settlement{})
		return
	}
	began := time.Now()
	answer := r.sink.Write(flightCtx, events)
	now := time.Now()
	r.metrics.batch(closed, len(events), now.Sub(began))
	l.land(batch, unfit, r.conclude(p, events, answer, now))
}

// stillOpen asks again after a wait for the rate, in which the gate may have been shut.
func (r *runner) stillOpen(p pass) (pass, bool) {
	if p.probe || r.limiter == nil {
		return p, true
	}
	p, _, ok := r.gate.enter(time.Now())
	return p, ok
}

// giveBack returns a pass that was not used, for another to take.
func (r *runner) giveBack(p pass) {
	r.gate.giveBack(p)
	if p.probe {
		r.wakeLanes()
	}
}

// take puts the batch at the head under way.
func (l *lane) take(p pass, cancel context.CancelFunc) (batch []*item, closed why) {
	r := l.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(l.queue) == 0 {
		return nil, ""
	}
	now := time.Now()
	if closed = l.closed(now); closed == "" {
		closed = byLinger // what was due has gone, and what came behind it goes in its place
	}
	most, bytes := r.config.Batch.Events, int64(0)
	l.lone = l.queue[0].alone
	switch {
	case l.lone:
		most = 1
	case len(l.cuts) > 0:
		most = l.cuts[0]
	}
	if p.most > 0 {
		most = min(most, p.most)
	}
	n := 0
	for ; n < min(most, len(l.queue)); n++ {
		if n > 0 && l.queue[n].alone {
			break
		}
		if bytes += int64(l.queue[n].size()); n > 0 && bytes > int64(r.config.Batch.Bytes) {
			break
		}
	}
	if len(l.cuts) > 0 { // what a probe, or a bound, leaves of it comes next
		if l.cuts[0] -= n; l.cuts[0] <= 0 {
			l.cuts = l.cuts[1:]
		}
	}
	l.flight, l.cancel = n, cancel
	for _, it := range l.queue[:n] {
		if it.first == 0 {
			it.first = now.UnixNano()
		}
		it.attempts++
		it.part.top = max(it.part.top, it.delivery.Offset())
	}
	return slices.Clone(l.queue[:n]), closed
}

// concerns reports whether something of these partitions is under way. The lock is held.
func (l *lane) concerns(parts []*part) bool {
	return slices.ContainsFunc(l.queue[:l.flight], func(it *item) bool { return slices.Contains(parts, it.part) })
}

// drop takes out what is queued of a partition and not under way; unless all is to go, not what stands before something
// that was handed over. The lock is held.
func (l *lane) drop(p *part, all bool) {
	l.hasten(p)
	l.takeOut(func(it *item) bool { return it.part == p && (all || it.delivery.Offset() > p.top) })
}

// dropGone takes out everything of partitions that go. The lock is held.
func (l *lane) dropGone() { l.takeOut(func(it *item) bool { return it.part.gone }) }

// takeOut gives back what is queued, or waits, and is not under way. The lock is held.
func (l *lane) takeOut(which func(*item) bool) {
	l.takeOutWaiting(which)
	kept := l.queue[:l.flight]
	for _, it := range l.queue[l.flight:] {
		if !which(it) {
			kept = append(kept, it)
			continue
		}
		l.bytes -= int64(it.size())
		l.runner.release(it.part, 1, int64(it.size()))
	}
	if len(kept) < len(l.queue) {
		l.cuts = nil // they were counted with these
	}
	clear(l.queue[len(kept):])
	l.queue = kept
	signal(l.wake)
}
