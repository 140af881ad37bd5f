package crmwriteback

import (
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// judge does what one row's result asks for.
func (w *writer) judge(l *load, r target.Result, a answer, now time.Time) []ending {
	o, what := l.object, r.Outcome
	a.crmID = r.ID
	switch {
	case what.Kind == outcome.Deferred:
		w.stumbled(&o.fate, now)
		o.fate.calls, o.fate.failures = 0, 0
		if !w.worn(o, now) {
			if w.release(o) {
				w.putOff(o, now.Add(w.schedule.Next(o.fate.tries-1, 0)))
			}
			return nil
		}
		what = o.fate.givenUp(what, now)
	case what.Kind == outcome.Refused && len(l.items) > 1 && !o.fate.doubted:
		for _, it := range l.items { // nobody knows for whose sake
			it.alone = true
		}
		o.doubt = nil
		w.metrics.deferred("unfolded", len(l.items))
		if w.release(o) {
			w.enqueue(o, now, true)
		}
		return nil
	}
	return endings(l, what, a)
}

// endings are those of a row's items.
func endings(l *load, what outcome.Outcome, a answer) []ending {
	ends := make([]ending, len(l.items))
	for i, it := range l.items {
		ends[i] = ending{l.object, it, what, a}
		if what.Kind == outcome.Delivered && i < len(l.items)-1 {
			ends[i].what.Reason = "folded"
		}
	}
	return ends
}

// stumbled notes that the row at the head was put off.
func (w *writer) stumbled(f *fate, now time.Time) {
	if f.tries == 0 {
		f.since, f.taken = now, w.taken
	}
	f.tries++
}

// givenUp is what becomes of a row that was put off for too long.
func (f *fate) givenUp(why outcome.Outcome, now time.Time) outcome.Outcome {
	return outcome.Outcome{
		Kind: outcome.Refused, Reason: "gave_up",
		Detail: fmt.Sprintf("put off for %s while others were taken: %s: %s", now.Sub(f.since).Round(time.Second), why.Reason, why.Detail),
	}
}

// worn reports whether a row has been put off for so long, while the target took others, that it would be for ever.
func (w *writer) worn(o *object, now time.Time) bool {
	patience := w.config.Writeback.RowPatience
	return o.fate.tries >= fewestTries && now.Sub(o.fate.since) >= patience && w.taken > o.fate.taken && now.Sub(w.takenAt) < patience
}

// fewestTries is how often a row comes again at least.
const fewestTries = 10
