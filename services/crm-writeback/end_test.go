package crmwriteback_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// end is the far end of a target. It answers as its script says, and complains of what no writer may do.
type end struct {
	mu      sync.Mutex
	form    target.Form
	script  func(call int, rows []*target.Row) (target.Answer, bool) // false: as if there were no script
	hold    chan struct{}                                            // a call waits until it is closed; nil: none does
	took    time.Duration                                            // how long a call takes
	objects map[string]map[string]jsontext.Value
	calls   [][]sent
	busy    map[string]int
	wrong   []string
}

// sent is a row as it was sent.
type sent struct {
	ID, Key, Fields string
	Taken           bool
}

func newEnd() *end {
	return &end{
		form: target.Form{Rows: 10, Calls: 2, Alike: func(a, b *target.Row) bool {
			return a.Object == b.Object && a.Mode == b.Mode && a.KeyField == b.KeyField
		}},
		objects: map[string]map[string]jsontext.Value{}, busy: map[string]int{},
	}
}

func (e *end) Form() target.Form { return e.form }
func (e *end) Close() error      { return nil }

func (e *end) Write(ctx context.Context, rows []*target.Row) target.Answer {
	call, hold := e.enter(rows)
	defer e.leave(rows)
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return target.Deferred("timeout", ctx.Err().Error(), 0)
		}
	}
	if e.took > 0 {
		select {
		case <-time.After(e.took):
		case <-ctx.Done():
			return target.Deferred("timeout", ctx.Err().Error(), 0)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a, scripted := target.Answer{}, false
	if e.script != nil {
		a, scripted = e.script(call, rows)
	}
	if !scripted {
		a = allTaken(rows)
	}
	if a.RequestID == "" {
		a.RequestID = fmt.Sprintf("call-%d", call)
	}
	for i, r := range rows {
		if a.Of(i).Kind == outcome.Delivered {
			e.calls[call][i].Taken = true
			e.apply(r)
		}
	}
	return a
}

func allTaken(rows []*target.Row) target.Answer {
	a := target.Answer{Status: 200}
	for _, r := range rows {
		a.Each = append(a.Each, target.Result{Outcome: outcome.Outcome{Kind: outcome.Delivered}, ID: "crm-" + r.Key})
	}
	return a
}

func (e *end) apply(r *target.Row) {
	fields := e.objects[r.Key]
	if fields == nil {
		fields = map[string]jsontext.Value{}
		e.objects[r.Key] = fields
	}
	if err := json.Unmarshal(r.Fields, &fields); err != nil {
		e.wrong = append(e.wrong, "fields of "+r.ID+": "+err.Error())
	}
}

func (e *end) enter(rows []*target.Row) (call int, hold chan struct{}) {
	e.mu.Lock()
	defer e.mu.Unlock()
	call = len(e.calls)
	var list []sent
	keys := map[string]bool{}
	for _, r := range rows {
		list = append(list, sent{ID: r.ID, Key: r.Key, Fields: string(r.Fields)})
		if r.Mode != crm.Note {
			if keys[r.Key] {
				e.wrong = append(e.wrong, fmt.Sprintf("the key %s stands in call %d twice", r.Key, call))
			}
			if e.busy[r.Key]++; e.busy[r.Key] > 1 {
				e.wrong = append(e.wrong, "two calls at once carry "+r.Key)
			}
		}
		keys[r.Key] = true
		if e.form.Alike != nil && !e.form.Alike(rows[0], r) {
			e.wrong = append(e.wrong, fmt.Sprintf("call %d carries rows that are not alike", call))
		}
	}
	if len(rows) == 0 || len(rows) > e.form.Rows {
		e.wrong = append(e.wrong, fmt.Sprintf("call %d carries %d rows", call, len(rows)))
	}
	e.calls = append(e.calls, list)
	return call, e.hold
}

func (e *end) leave(rows []*target.Row) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range rows {
		if r.Mode != crm.Note {
			e.busy[r.Key]--
		}
	}
}

// set changes the end while it is asked.
func (e *end) set(change func(*end)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

// made is how many calls were made.
func (e *end) made() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.calls)
}

// ids are the rows that were taken of an object, in order.
func (e *end) ids(key string) (ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.calls {
		for _, s := range c {
			if s.Key == key && s.Taken {
				ids = append(ids, s.ID)
			}
		}
	}
	return ids
}

// fields are what an object holds.
func (e *end) fields(key string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text, err := json.Marshal(e.objects[key], json.Deterministic(true))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// complaints are what no writer may do, and was done.
func (e *end) complaints() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.wrong)
}
