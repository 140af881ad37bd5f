package crmwriteback

import (
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// land reads what became of a call, puts back what has to come again, and settles the rest.
func (w *writer) land(f *flight, a target.Answer, took time.Duration, now time.Time) {
	var ends []ending
	w.mu.Lock()
	delete(w.flights, f)
	was := w.gate.state()
	w.fared(f, a, now)
	is, said := w.gate.state(), w.gate.halted
	switch {
	case a.Split:
		w.split(f)
	case a.Each == nil && a.All.Kind == outcome.Deferred:
		ends = w.again(f, a, answer{status: a.Status, requestID: a.RequestID, latency: took}, now)
	default:
		at := answer{status: a.Status, requestID: a.RequestID, latency: took}
		for i := range f.loads {
			ends = append(ends, w.judge(&f.loads[i], a.Of(i), at, now)...)
		}
	}
	if len(ends) > 0 {
		if w.writing.rows == 0 {
			w.writing.at = now
		}
		w.writing.rows += len(ends)
	}
	w.mu.Unlock()
	w.tell(was, is, said)
	for i := range ends {
		e := &ends[i]
		w.settle(e.item, e.what, e.answer, e.what.Kind == outcome.Refused, func(ok bool) { w.ended(e.object, e.item, ok) })
	}
	w.signal()
}

// ending is an item on its way out.
type ending struct {
	object *object
	item   *item
	what   outcome.Outcome
	answer answer
}

// fared tells the gate of an answer.
func (w *writer) fared(f *flight, a target.Answer, now time.Time) {
	delivered, deferred := 0, 0
	for i := range f.loads {
		switch a.Of(i).Kind {
		case outcome.Delivered:
			delivered++
		case outcome.Deferred:
			deferred++
			w.metrics.deferred(a.Of(i).Reason, len(f.loads[i].items))
		case outcome.Skipped, outcome.Refused:
		}
	}
	if delivered > 0 {
		w.taken += int64(delivered)
		w.takenAt = now
	}
	switch {
	case a.Halt:
		words := a.All.Reason
		if a.All.Detail != "" {
			words += ": " + a.All.Detail
		}
		w.gate.fail(f.pass, now, a.RetryAfter, orElse(words, "it takes nothing"))
		return
	case a.Each == nil && deferred == len(f.loads) && !a.Split:
		w.gate.fail(f.pass, now, a.RetryAfter, "")
		return
	}
	w.gate.succeed() // it takes something, or judges it at least
	if a.RetryAfter > 0 {
		w.gate.rest(now, a.RetryAfter)
	}
}

// split makes two calls of one. What they carry stays as it is.
func (w *writer) split(f *flight) {
	half := (len(f.loads) + 1) / 2
	w.halves = append([]*flight{{closed: bySplit, loads: f.loads[:half]}, {closed: bySplit, loads: f.loads[half:]}}, w.halves...)
	if w.anyGone(f) {
		w.dissolve(time.Now())
	}
}

func (w *writer) anyGone(f *flight) bool {
	return slices.ContainsFunc(f.loads, func(l load) bool {
		return slices.ContainsFunc(l.items, func(it *item) bool { return it.part.gone })
	})
}

// again puts back the rows of a call that came to nothing. They come back together, and not before the gate is open for others:
// if it is for one of them that the target stumbled, the others' success shows it. One that it stumbles over by itself, again and
// again while others go well, is given up as one that is put off is: nothing behind it could be committed for ever.
func (w *writer) again(f *flight, a target.Answer, at answer, now time.Time) []ending {
	calls := 0
	// Who is asked to stay away for long, or for the rate, is told nothing of the row.
	theirs := len(f.loads) == 1 && !a.Halt && a.Status != http.StatusTooManyRequests && a.RetryAfter < time.Minute
	for _, l := range f.loads {
		fate := &l.object.fate
		if a.Status == 0 || a.Status >= http.StatusInternalServerError {
			l.object.doubt = l.items[len(l.items)-1]
		}
		fate.calls++
		calls = max(calls, fate.calls)
		if fate.calls > 1 && w.taken > fate.seen {
			fate.failures++
			if theirs {
				w.stumbled(fate, now)
			}
		}
		fate.seen = w.taken
		fate.doubted = fate.doubted || a.Status == 0 || a.Status >= http.StatusInternalServerError
	}
	if l := &f.loads[0]; theirs && w.worn(l.object, now) {
		return endings(l, l.object.fate.givenUp(a.All, now), at)
	}
	until := later(now.Add(w.schedule.Next(calls-1, a.RetryAfter)), later(w.gate.until, w.gate.wish).Add(time.Millisecond))
	for _, l := range slices.Backward(f.loads) {
		switch {
		case !w.release(l.object):
		case a.Halt:
			w.enqueue(l.object, now, true) // the gate keeps it
		default:
			w.putOff(l.object, until)
		}
	}
	return nil
}

// ended takes a settled item out of its object's queue; with the last of a row the next may go. Where it could not be settled
// durably no other row of the object goes before it has been read again.
func (w *writer) ended(o *object, it *item, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing.rows--
	w.writing.at = time.Now()
	it.part.open--
	w.rest(it)
	o.stuck = o.stuck || !ok
	if i := slices.Index(o.queue, it); i >= 0 {
		o.queue = slices.Delete(o.queue, i, i+1)
		o.busy--
	}
	o.fate, o.doubt = fate{}, nil
	switch {
	case o.idle():
		w.enqueue(o, time.Now(), false)
	case len(o.queue) == 0:
		w.remove(o)
	}
	w.signal()
}

// release ends an object's call without settling it; it reports whether anything of it is still ours.
func (w *writer) release(o *object) bool {
	for _, it := range o.queue[:o.busy] {
		w.rest(it)
	}
	o.busy = 0
	o.queue = slices.DeleteFunc(o.queue, w.isGone)
	if len(o.queue) == 0 {
		w.remove(o)
		return false
	}
	return true
}

// rest notes that an item is under way no more.
func (w *writer) rest(it *item) {
	if it.part.busy--; it.part.busy == 0 && it.part.gone {
		w.quiet.Broadcast()
	}
}

func (w *writer) remove(o *object) {
	if w.objects[o.at] == o {
		delete(w.objects, o.at)
	}
	o.until = time.Time{}
}

// tell logs when the state of the target is another one.
func (w *writer) tell(was, is state, said string) {
	if was == is {
		return
	}
	switch is {
	case halted:
		w.log.Error().Str("said", said).Msg("the target takes nothing until somebody mends this; it is asked now and then, and nothing is given up")
	case broken:
		w.log.Warn().Msg("the target has failed several times in a row: it is tried now and then with a small call")
	case failing:
		w.log.Info().Msg("a call came to nothing; it is made again")
	case running:
		w.log.Info().Str("was", string(was)).Msg("the target takes rows again")
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
