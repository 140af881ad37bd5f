package crmwriteback

import (
	"context"
	"sync"
	"time"
)

// dispatch makes calls until the context ends, and returns when none is under way.
func (w *writer) dispatch(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	for ctx.Err() == nil {
		now := time.Now()
		w.mu.Lock()
		again := w.step(now, func(f *flight) {
			f.ctx, f.cancel = context.WithTimeout(ctx, w.config.Writeback.CallTimeout)
			calls.Go(func() { w.fly(f) })
		})
		w.mu.Unlock()
		w.sleep(ctx, now, again)
	}
}

// sleep waits until a time, or until it is woken; only for the latter when the time is zero.
func (w *writer) sleep(ctx context.Context, now, until time.Time) {
	var ring <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(until.Sub(now))
		defer timer.Stop()
		ring = timer.C
	}
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-ring:
	}
}

// step starts every call that may be made now, and says when to look again, as far as time alone decides. The lock is held.
func (w *writer) step(now time.Time, start func(*flight)) (again time.Time) {
	w.fire(now)
	if len(w.timers) > 0 {
		again = w.timers[0].at
	}
	if until := w.fresh.until(now); !until.IsZero() {
		return sooner(again, until)
	}
	for w.ask(); len(w.flights) < w.calls; w.ask() {
		if w.writing.rows > 0 && now.Sub(w.writing.at) > overdue {
			break // a delivery that becomes durable wakes us
		}
		l, closed, due := w.due(now)
		if closed == "" {
			return sooner(again, due)
		}
		p, shut, ok := w.gate.enter(now)
		if !ok {
			return sooner(again, shut)
		}
		if pause := w.quota.Take(now); pause > 0 {
			w.gate.giveBack(p)
			return sooner(again, now.Add(pause))
		}
		f := w.take(l, p, closed)
		w.flights[f] = struct{}{}
		start(f)
	}
	return again
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// why a batch was closed.
type why string

const (
	byRows   why = "rows" // as many as there may be
	byBytes  why = "bytes"
	byLinger why = "linger" // the first has waited long enough
	byMemory why = "memory" // nothing more is taken from Kafka before something is settled
	bySplit  why = "split"  // half of one that was not taken as a whole
	byProbe  why = "probe"  // it tries whether the target takes anything again
)

// due finds what may be handed over: a half first, else the line that has waited longest among those that are full or have
// waited enough. Where there is none it says when there will be.
func (w *writer) due(now time.Time) (l *line, closed why, at time.Time) {
	if len(w.halves) > 0 {
		return nil, bySplit, now
	}
	pressed := w.pressed()
	for _, c := range w.lines {
		reason, since := why(""), c.first().since
		switch ends := since.Add(w.system.Linger); {
		case c.objects.Len() >= w.form.Rows:
			reason = byRows
		case w.form.Bytes > 0 && c.bytes >= w.form.Bytes:
			reason = byBytes
		case !ends.After(now):
			reason = byLinger
		case pressed && c == w.longest():
			reason = byMemory
		default:
			at = sooner(at, ends)
			continue
		}
		if l == nil || since.Before(l.first().since) {
			l, closed = c, reason
		}
	}
	return l, closed, at
}

func (w *writer) longest() (l *line) {
	for _, c := range w.lines {
		if l == nil || c.objects.Len() > l.objects.Len() {
			l = c
		}
	}
	return l
}

// pressed reports whether so much is held that waiting for company would only wait for what cannot come.
func (w *writer) pressed() bool {
	return w.heldBytes.Load() >= w.window.bytes*3/4 || w.held.Load() >= int64(w.window.records)*3/4
}
