package hubspot

import (
	"context"
	"slices"
	"sync"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// work is one Write under way.
type work struct {
	t       *Target
	rows    []*target.Row
	about   subject
	results []target.Result // no Kind while a row's fate is open
	ids     []string        // HubSpot's id of the object that a row's key names; "" where it is not known
	last    reply           // the newest
}

func newWork(t *Target, rows []*target.Row) *work {
	w := &work{t: t, rows: rows, about: t.subjectOf(rows), results: make([]target.Result, len(rows)), ids: make([]string, len(rows))}
	for i := range rows {
		if w.about.property == "" || w.about.keys[i] == "" {
			w.results[i].Outcome = outcome.Outcome{Kind: outcome.Skipped, Reason: "no_key"}
		}
	}
	return w
}

// subject is what rows are about: objects that are named by a unique property.
type subject struct {
	object, property string
	keys             []string // by row
}

// subjectOf finds it. A note's key may be its own, the id of the write; then it is about the user.
func (t *Target) subjectOf(rows []*target.Row) subject {
	s := subject{object: rows[0].Object, property: rows[0].KeyField, keys: make([]string, len(rows))}
	note := rows[0].Mode == crm.Note
	if o := t.options.Notes; note && (s.object == o.Object || s.property == "") {
		s.property = o.Key
		if s.object == o.Object {
			s.object = o.About
		}
	}
	for i, r := range rows {
		s.keys[i] = r.Key
		if note && (r.Key == "" || r.Key == r.ID) {
			s.keys[i] = r.User.ExternalID
		}
	}
	return s
}

// scratch is what a call is made in.
type scratch struct {
	encoder encoder
	body    []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// longestKept bounds the buffers that are kept for the next call.
const longestKept = 1 << 20

// send makes one call whose body has an input for each row that is open, and returns the rows that stand in it. A row
// of which no input can be made is refused. The answer is set when nothing more can be done.
func (w *work) send(ctx context.Context, name, path string, input func(e *encoder, dst []byte, row int) ([]byte, error)) ([]int, *target.Answer) {
	s := scratches.Get().(*scratch)
	defer func() {
		if cap(s.body) <= longestKept {
			scratches.Put(s)
		}
	}()
	body, sent := append(s.body[:0], openInputs...), make([]int, 0, len(w.rows))
	for i := range w.rows {
		if w.results[i].Kind != 0 {
			continue
		}
		before := len(body)
		if len(sent) > 0 {
			body = append(body, ',')
		}
		var err error
		if body, err = input(&s.encoder, body, i); err != nil {
			body = body[:before]
			w.refuse(i, "unsupported_value", wire.Printable(err.Error()))
			continue
		}
		sent = append(sent, i)
	}
	s.body = append(body, `]}`...)
	if len(sent) == 0 {
		a := w.answer()
		return nil, &a
	}
	return sent, w.ask(ctx, name, path, s.body, len(sent))
}

// ask makes a call; the answer is set when it was not taken.
func (w *work) ask(ctx context.Context, name, path string, body []byte, rows int) *target.Answer {
	r, a := w.t.call(ctx, name, path, body)
	if a == nil {
		w.last = r
		a = w.t.judged(r, rows)
	}
	if a == nil {
		return nil
	}
	whole := w.whole(*a)
	return &whole
}

func (w *work) refuse(i int, reason, detail string) {
	w.results[i].Outcome = outcome.Outcome{Kind: outcome.Refused, Reason: reason, Detail: detail}
}

// whole is the answer where a call was not taken, and some rows may have been settled before it. Where the call may
// be taken in halves, or a person is needed, all come again, those too: an answer for each row could not say so.
func (w *work) whole(a target.Answer) target.Answer {
	settled := false
	for i := range w.results {
		settled = settled || w.results[i].Kind != 0
	}
	if !settled || a.Split || a.Halt {
		return a
	}
	for i := range w.results {
		if w.results[i].Kind == 0 {
			w.results[i].Outcome = a.All
		}
	}
	a.Each, a.All = w.results, outcome.Outcome{}
	return a
}

// done is the answer once all calls are made, where halt says that errors of rows ask for a person. That counts when
// nothing of the call is settled; what is left of another call will say so the next time.
func (w *work) done(halt bool) target.Answer {
	a := w.answer()
	if !halt || slices.ContainsFunc(w.results, func(r target.Result) bool { return r.Kind.Final() }) {
		return a
	}
	at := max(0, slices.IndexFunc(w.results, func(r target.Result) bool { return r.Reason == wire.Forbidden }))
	a.All, a.Each, a.Halt = w.results[at].Outcome, nil, true
	return a
}

// answer is what became of every row.
func (w *work) answer() target.Answer {
	a := target.Answer{Each: w.results, Status: w.last.status}
	for i := range w.results {
		if w.results[i].Kind == 0 {
			// It is neither among the results nor among the errors. To ask again does no harm.
			w.results[i].Outcome = outcome.Outcome{Kind: outcome.Deferred, Reason: wire.Unreadable, Detail: "the answer does not name it"}
		}
	}
	if w.last.header != nil {
		a.RequestID = w.last.requestID(failed{})
	}
	a.RetryAfter = w.t.limits.wait(w.t.now())
	return a
}
