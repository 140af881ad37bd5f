package crmwriteback

import (
	"context"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// flight is one call: rows of as many objects.
type flight struct {
	pass   pass
	closed why
	loads  []load
	ctx    context.Context
	cancel context.CancelFunc
}

// load is one row of a call, and the items that are folded into it: the first busy of its object.
type load struct {
	object *object
	items  []*item
	row    *target.Row
}

// take forms a call of a line's oldest objects, or hands out a half that is formed already. The lock is held.
func (w *writer) take(l *line, p pass, closed why) *flight {
	if l == nil {
		f := w.halves[0]
		w.halves = w.halves[1:]
		f.pass = p
		return f
	}
	f := &flight{pass: p, closed: closed}
	most := w.form.Rows
	if p.probe {
		f.closed, most = byProbe, min(most, p.rows)
	}
	bytes := 0
	for l.objects.Len() > 0 && len(f.loads) < most {
		o := l.first()
		items := slices.Clone(o.run())
		row, err := fold(items)
		if err != nil { // no field of theirs has a name that stands twice: they were read. Each by itself, then.
			w.log.Error().Err(err).Msg("rows cannot be folded; each is written by itself")
			o.queue[0].alone = true
			items, row = items[:1], &items[0].row
		}
		size := weight(row)
		// A row with which calls come to nothing, while others go well, is looked for by halves.
		most = max(min(most, w.form.Rows>>max(o.fate.failures-suspect+1, 0)), 1)
		if len(f.loads) > 0 && (len(f.loads) >= most || w.form.Bytes > 0 && bytes+size > w.form.Bytes || !w.alike(f.loads[0].row, row)) {
			break
		}
		bytes += size
		w.dequeue(o)
		o.busy = len(items)
		for _, it := range items {
			it.part.busy++
		}
		f.loads = append(f.loads, load{o, items, row})
	}
	return f
}

// suspect is from which such failure on an object is taken for one that the target may stumble over.
const suspect = 2

// fly makes a call and lands it.
func (w *writer) fly(f *flight) {
	defer f.cancel()
	began := time.Now()
	rows := make([]*target.Row, len(f.loads))
	for i := range f.loads {
		rows[i] = f.loads[i].row
		for _, it := range f.loads[i].items { // busy: nobody else looks at them
			it.attempts++
			if it.first.IsZero() {
				it.first = began
			}
		}
	}
	a := w.target.Write(f.ctx, rows)
	now := time.Now()
	w.metrics.call(f.closed, len(rows), now.Sub(began))
	w.land(f, w.checked(f, a), now.Sub(began), now)
}

// noAnswer is what a target has made of a row of which it says nothing.
var noAnswer = outcome.Outcome{Kind: outcome.Deferred, Reason: "no_answer", Detail: "the target says nothing of it"}

// checked is the answer without what no target may say.
func (w *writer) checked(f *flight, a target.Answer) target.Answer {
	if a.Each != nil && len(a.Each) != len(f.loads) {
		w.log.Error().Int("rows", len(f.loads)).Int("answers", len(a.Each)).Msg("the target has answered for another number of rows: nothing of it counts")
		a.Each, a.All, a.Split = nil, noAnswer, false
	}
	if a.Each == nil && !known(a.All) {
		a.All = noAnswer
	}
	for i := range a.Each {
		if !known(a.Each[i].Outcome) {
			a.Each[i].Outcome = noAnswer
		}
	}
	a.Split = a.Split && a.Each == nil && a.All.Kind == outcome.Deferred && len(f.loads) > 1
	a.Halt = a.Halt && a.Each == nil && a.All.Kind == outcome.Deferred
	return a
}

func known(o outcome.Outcome) bool { return o.Kind.Final() || o.Kind == outcome.Deferred }
