package crmwriteback

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// still is a target that nobody calls.
type still struct{ form target.Form }

func (s *still) Form() target.Form                                      { return s.form }
func (s *still) Write(context.Context, []*target.Row) (a target.Answer) { return a }
func (s *still) Close() error                                           { return nil }

// desk is a writer without Kafka: its calls are landed by hand, with a clock of the test's own.
type desk struct {
	*writer
	now time.Time
	on  *part
}

func newDesk(s System, form target.Form) *desk {
	m := &member{
		name: "crm", window: windowOf(32<<20, form.Rows), metrics: newMetrics(prometheus.NewRegistry()).of("crm"),
		config: Config{Writeback: Options{RowPatience: time.Hour, CallTimeout: time.Minute}},
	}
	if s.Concurrency == 0 {
		s.Concurrency = 1
	}
	d := &desk{writer: newWriter(m, s, &still{form}), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), on: &part{}}
	d.quota.SetShare(d.now, 1)
	return d
}

// put queues upserts of objects, one for each key.
func (d *desk) puts(keys ...string) {
	for _, k := range keys {
		w := crm.Write{ID: k, Target: "crm", Object: "Contact", Key: k, Mode: crm.Upsert, Fields: []byte(`{"A":1}`)}
		it := &item{part: d.on, write: w, row: target.Row{ID: k, Object: "Contact", Key: k, Mode: crm.Upsert, Fields: w.Fields}}
		d.put(it, d.now)
	}
}

// keys names so many objects.
func keys(n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("u%03d", i))
	}
	return list
}

// step starts what may start now.
func (d *desk) step() (calls []*flight, again time.Time) {
	again = d.writer.step(d.now, func(f *flight) { calls = append(calls, f) })
	return calls, again
}

// next moves the clock until a call starts. Of two that may start it starts one.
func (d *desk) next(t *testing.T) *flight {
	t.Helper()
	for range 10_000 {
		most := d.system.Concurrency
		d.system.Concurrency = len(d.flights) + 1
		calls, again := d.step()
		d.system.Concurrency = most
		if len(calls) == 1 {
			return calls[0]
		}
		if again.IsZero() {
			t.Fatalf("nothing more would ever start: %d objects wait", len(d.objects))
		}
		d.now = later(d.now, again)
	}
	t.Fatal("no call starts")
	return nil
}

// fails lands a call that came to nothing.
func (d *desk) fails(f *flight) {
	d.land(f, target.Deferred("unavailable", "", 0), time.Millisecond, d.now)
}

// each lands a call row by row; deferred rows alone, so that nothing is to be settled.
func (d *desk) each(f *flight, what func(key string) outcome.Outcome) (ends []ending) {
	a := target.Answer{}
	for _, l := range f.loads {
		a.Each = append(a.Each, target.Result{Outcome: what(l.row.Key)})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.flights, f)
	d.fared(f, a, d.now)
	for i := range f.loads {
		ends = append(ends, d.judge(&f.loads[i], a.Of(i), answer{}, d.now)...)
	}
	return ends
}

// settles ends what came to an end, as if its delivery were durable.
func (d *desk) settles(ends []ending) {
	d.writing.rows += len(ends)
	for _, e := range ends {
		d.ended(e.object, e.item, true)
	}
}

func (f *flight) keys() (list []string) {
	for _, l := range f.loads {
		list = append(list, l.row.Key)
	}
	return list
}

var delivered = outcome.Outcome{Kind: outcome.Delivered}

func TestACallWaitsForCompanyButNotForEver(t *testing.T) {
	d := newDesk(System{Linger: time.Second}, target.Form{Rows: 3})
	d.puts("a", "b")
	calls, again := d.step()
	if len(calls) != 0 || !again.Equal(d.now.Add(time.Second)) {
		t.Fatalf("%d calls start before the linger is over; the next look is at %s", len(calls), again)
	}
	d.puts("c", "d")
	if calls, _ = d.step(); len(calls) != 1 || !cmp.Equal(calls[0].keys(), []string{"a", "b", "c"}) {
		t.Fatalf("a full call does not start: %v", calls)
	}
	if more, _ := d.step(); len(more) != 0 {
		t.Fatal("a second call starts beside the only one that may be under way")
	}
	d.settles(d.each(calls[0], func(string) outcome.Outcome { return delivered }))
	if f := d.next(t); !cmp.Equal(f.keys(), []string{"d"}) || f.closed != byLinger {
		t.Errorf("the last call carries %v, closed by %s", f.keys(), f.closed)
	}
}

func TestALinesOldestGoFirstAndAlikeOnly(t *testing.T) {
	d := newDesk(System{}, target.Form{Rows: 10, Alike: func(a, b *target.Row) bool { return a.Key[0] == b.Key[0] }})
	for _, k := range []string{"b1", "a1", "b2", "a2"} {
		d.puts(k)
		d.now = d.now.Add(time.Millisecond)
	}
	var got [][]string
	for range 2 {
		f := d.next(t)
		got = append(got, f.keys())
		d.settles(d.each(f, func(string) outcome.Outcome { return delivered }))
	}
	if diff := cmp.Diff([][]string{{"b1", "b2"}, {"a1", "a2"}}, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestNoMoreCallsThanTheRate(t *testing.T) {
	d := newDesk(System{Rate: quota.Rate{Count: 10, Per: 10 * time.Second}}, target.Form{Rows: 1})
	d.puts(keys(50)...)
	began := d.now
	for range 50 {
		d.settles(d.each(d.next(t), func(string) outcome.Outcome { return delivered }))
	}
	if took := d.now.Sub(began); took < 40*time.Second || took > 60*time.Second {
		t.Errorf("50 calls at 10 in 10 s took %s", took)
	}
}

func TestTheRowThatEveryCallStumblesOverIsFoundByHalves(t *testing.T) {
	d := newDesk(System{Linger: time.Second}, target.Form{Rows: 16})
	d.puts(keys(64)...)
	done, calls := map[string]bool{}, 0
	for ; len(done) < 63; calls++ {
		f := d.next(t)
		bad := false
		for _, k := range f.keys() {
			bad = bad || k == "u005"
		}
		if bad {
			d.fails(f)
		} else {
			d.settles(d.each(f, func(k string) outcome.Outcome { done[k] = true; return delivered }))
		}
		if calls > 60 {
			t.Fatalf("after %d calls %d rows of 63 are done", calls, len(done))
		}
	}
	if done["u005"] {
		t.Error("the bad row is done")
	}
}

func TestARowThatIsPutOffForEverIsGivenUpOnlyWhileOthersAreTaken(t *testing.T) {
	lock := outcome.Outcome{Kind: outcome.Deferred, Reason: "UNABLE_TO_LOCK_ROW", Detail: "unable to obtain exclusive access"}
	for name, others := range map[string]bool{"others are taken": true, "nothing is taken": false} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(System{}, target.Form{Rows: 10})
			d.puts("locked")
			began := d.now
			var ends []ending
			for n := 0; d.now.Sub(began) < 5*time.Hour && len(ends) == 0; n++ {
				d.now = d.now.Add(30 * time.Second)
				if others {
					d.puts(fmt.Sprintf("u%d", n))
				}
				f := d.next(t)
				for _, e := range d.each(f, func(k string) outcome.Outcome {
					if k == "locked" {
						return lock
					}
					return delivered
				}) {
					if e.what.Kind == outcome.Refused {
						ends = append(ends, e)
					} else {
						d.settles([]ending{e})
					}
				}
			}
			switch {
			case !others && len(ends) > 0:
				t.Errorf("the row is given up after %s although nothing was taken: %v", d.now.Sub(began), ends[0].what)
			case others && (len(ends) != 1 || ends[0].what.Reason != "gave_up"):
				t.Errorf("the row is not given up: %v", ends)
			case others && d.now.Sub(began) < time.Hour:
				t.Errorf("the row is given up after %s", d.now.Sub(began))
			}
		})
	}
}

// TestARowThatEveryCallOfItsOwnStumblesOverIsGivenUpOnlyWhileOthersAreTaken is of targets whose calls have one row: what
// they say of it they say of the call.
func TestARowThatEveryCallOfItsOwnStumblesOverIsGivenUpOnlyWhileOthersAreTaken(t *testing.T) {
	for name, others := range map[string]bool{"others are taken": true, "nothing is taken": false} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(System{}, target.Form{Rows: 1})
			d.puts("bad")
			began := d.now
			var ends []ending
			for n := 0; d.now.Sub(began) < 5*time.Hour && len(ends) == 0; n++ {
				d.now = d.now.Add(30 * time.Second)
				if others {
					d.puts(fmt.Sprintf("u%d", n))
				}
				f := d.next(t)
				if f.keys()[0] != "bad" {
					d.settles(d.each(f, func(string) outcome.Outcome { return delivered }))
					continue
				}
				a := target.Deferred("unavailable", "answered 500 Internal Server Error", 0)
				a.Status = 500
				d.mu.Lock()
				delete(d.flights, f)
				d.fared(f, a, d.now)
				ends = d.again(f, a, answer{status: 500}, d.now)
				d.mu.Unlock()
			}
			switch {
			case !others && len(ends) > 0:
				t.Errorf("the row is given up after %s although nothing was taken: %v", d.now.Sub(began), ends[0].what)
			case others && (len(ends) != 1 || ends[0].what.Reason != "gave_up" || ends[0].answer.status != 500):
				t.Errorf("the row is not given up: %v", ends)
			case others && d.now.Sub(began) < time.Hour:
				t.Errorf("the row is given up after %s", d.now.Sub(began))
			}
		})
	}
}

func TestNothingIsWrittenWhileKafkaTakesNoDelivery(t *testing.T) {
	d := newDesk(System{}, target.Form{Rows: 1})
	d.puts("a", "b")
	ends := d.each(d.next(t), func(string) outcome.Outcome { return delivered })
	d.writing = writing{rows: len(ends), at: d.now}
	d.now = d.now.Add(overdue + time.Second)
	if calls, _ := d.step(); len(calls) != 0 {
		t.Fatal("a call starts although a delivery has not become durable for long")
	}
	d.settles(ends)
	d.writing = writing{}
	if calls, _ := d.step(); len(calls) != 1 {
		t.Error("no call starts after the delivery")
	}
}

func TestABreakerTriesWithFewRowsAndThenWithOne(t *testing.T) {
	d := newDesk(System{}, target.Form{Rows: 200})
	d.puts(keys(1000)...)
	var sizes []int
	for range breakAfter + probesOfTen + 3 {
		f := d.next(t)
		sizes = append(sizes, len(f.loads))
		d.fails(f)
	}
	want := []int{200, 200, 200, 200, 200, 10, 10, 10, 10, 10, 10, 1, 1, 1}
	if diff := cmp.Diff(want, sizes); diff != "" {
		t.Errorf("rows of the calls (-want +got):\n%s", diff)
	}
	if d.now.Sub(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)) < 5*time.Second {
		t.Error("the breaker hardly waits")
	}
	f := d.next(t)
	d.settles(d.each(f, func(string) outcome.Outcome { return delivered }))
	if is := d.gate.state(); is != running {
		t.Fatalf("the target is %s after a call that was taken", is)
	}
	if f = d.next(t); len(f.loads) != 200 {
		t.Errorf("the next call carries %d rows", len(f.loads))
	}
}

func TestAWriterThatHasTakenOverWaitsForAllOfItsRows(t *testing.T) {
	d := newDesk(System{}, target.Form{Rows: 10})
	d.fresh = fresh{on: true}
	began := d.now
	if calls, again := d.step(); len(calls) != 0 || !again.IsZero() {
		t.Fatalf("before the first row: %d calls, the next look at %s", len(calls), again)
	}
	d.fresh.first = d.now
	for d.now.Sub(began) < 300*time.Millisecond {
		d.fresh.last = d.now
		d.puts("a")
		if calls, _ := d.step(); len(calls) != 0 {
			t.Fatal("a call starts while rows still come")
		}
		d.now = d.now.Add(100 * time.Millisecond)
	}
	f := d.next(t)
	if len(f.loads) != 1 || len(f.loads[0].items) != 3 {
		t.Errorf("the first call carries %+v", f.loads)
	}
	if took := d.now.Sub(began); took != 700*time.Millisecond {
		t.Errorf("it starts after %s", took)
	}
}

func TestACallIsAsLargeAsTheTargetSaysThen(t *testing.T) {
	d := newDesk(System{Concurrency: 2}, target.Form{Rows: 200, Calls: 2})
	d.puts(keys(950)...)
	first := d.next(t)
	d.target.(*still).form.Rows = 600
	d.now = d.now.Add(time.Second)
	second := d.next(t)
	if len(first.loads) != 200 {
		t.Errorf("the first call carries %d rows", len(first.loads))
	}
	if len(second.loads) != 600 {
		t.Errorf("the second call carries %d rows", len(second.loads))
	}
}

func TestARowThatMayHaveBeenTakenComesAgainAsItWas(t *testing.T) {
	for status, want := range map[int]int{0: 2, 503: 2, 429: 3} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			d := newDesk(System{}, target.Form{Rows: 10})
			d.puts("a", "a")
			f := d.next(t)
			a := target.Deferred("unavailable", "", 0)
			a.Status = status
			d.land(f, a, time.Millisecond, d.now)
			d.puts("a")
			again := d.next(t)
			if n := len(again.loads[0].items); n != want {
				t.Fatalf("it comes again with %d rows in it, want %d", n, want)
			}
			if same := again.loads[0].row.ID == f.loads[0].row.ID; same != (want == 2) {
				t.Errorf("its id is %s, and was %s", again.loads[0].row.ID, f.loads[0].row.ID)
			}
			d.settles(d.each(again, func(string) outcome.Outcome { return delivered }))
			if want == 2 && len(d.next(t).loads[0].items) != 1 {
				t.Error("what came later does not go behind it")
			}
		})
	}
}
