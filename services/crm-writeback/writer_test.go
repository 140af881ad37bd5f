package crmwriteback_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func TestRowsReachTheirTargetInFullCalls(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	e.form.Rows, e.took = 100, 2*time.Millisecond
	s.systems[0].Linger = 300 * time.Millisecond
	const rows, objects = 10_000, 9_000
	var writes []crm.Write
	for i := range rows {
		writes = append(writes, row("crm", fmt.Sprintf("w%05d", i), fmt.Sprintf("u%d", i%objects), fmt.Sprintf(`{"A":%d}`, i)))
	}
	s.write(writes...)
	r := s.start()
	r.settled("crm", rows)
	if wrong := e.complaints(); len(wrong) > 0 {
		t.Errorf("the target complains: %v", wrong[:min(3, len(wrong))])
	}
	// A customer with two rows is written once or twice, as the second came before or after the first had gone.
	sent := 0
	for _, c := range e.calls {
		sent += len(c)
	}
	if fill := float64(sent) / float64(100*len(e.calls)); fill < 0.9 {
		t.Errorf("%d calls carry %d rows: they are filled to %.0f %%, want 90 %%", len(e.calls), sent, 100*fill)
	}
	for i := range objects {
		want := i
		if i+objects < rows {
			want = i + objects
		}
		if got := e.fields(fmt.Sprintf("u%d", i)); got != fmt.Sprintf(`{"A":%d}`, want) {
			t.Fatalf("u%d holds %s, want A to be %d", i, got, want)
		}
	}
	for id, d := range s.once() {
		if d.Outcome.Kind != outcome.Delivered || d.CRMID != "crm-"+d.Key || d.RequestID == "" || d.Attempts != 1 {
			t.Fatalf("the delivery of %s: %+v", id, d)
		}
	}
	r.holds("crm")
	if accepted, _ := r.law("crm"); accepted != rows {
		t.Errorf("%d rows are accepted, want %d", accepted, rows)
	}
}

func TestRowsThatWaitForOneObjectBecomeOne(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	hold := make(chan struct{})
	e.hold = hold
	r := s.start()
	s.write(row("crm", "w0", "u", `{"A":0}`))
	r.await("the first call", func() bool { return e.made() == 1 })
	s.write(
		row("crm", "w1", "u", `{"A":1,"B":"x"}`),
		row("crm", "w2", "u", `{"A":2}`),
		row("crm", "w3", "u", `{"B":null}`),
	)
	note := row("crm", "n1", "u", `{"Subject":"called"}`)
	note.Mode = crm.Note
	s.write(note)
	r.await("all rows", func() bool { return r.stats("crm").Held == 5 })
	e.set(func(e *end) { e.hold = nil })
	close(hold)
	r.settled("crm", 5)

	all := s.once()
	got := map[string]string{}
	for id, d := range all {
		got[id] = strings.TrimSpace(d.Outcome.Kind.String() + " " + d.Outcome.Reason)
	}
	want := map[string]string{"w0": "delivered", "w1": "delivered folded", "w2": "delivered folded", "w3": "delivered", "n1": "delivered"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
	if all["w1"].RequestID != all["w3"].RequestID || all["w1"].RequestID == all["w0"].RequestID {
		t.Errorf("folded rows name other calls: %s, %s, %s", all["w0"].RequestID, all["w1"].RequestID, all["w3"].RequestID)
	}
	var folded sent
	for _, c := range e.calls[1:] {
		for _, row := range c {
			if row.Key == "u" && !strings.Contains(row.Fields, "Subject") {
				folded = row
			}
		}
	}
	if folded.Fields != `{"A":2,"B":null}` {
		t.Errorf("the folded row says %s", folded.Fields)
	}
	if slices.Contains([]string{"w1", "w2", "w3"}, folded.ID) {
		t.Errorf("the folded row has the id of a single one: %s", folded.ID)
	}
	r.holds("crm")
}

func TestOfAFoldedRowOnlyTheOneAtFaultIsRefused(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	hold := make(chan struct{})
	e.hold = hold
	e.script = func(_ int, rows []*target.Row) (target.Answer, bool) {
		a := allTaken(rows)
		for i, r := range rows {
			if strings.Contains(string(r.Fields), "Bad") {
				a.Each[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Refused, Reason: "INVALID_FIELD", Detail: "No such column 'Bad'"}}
			}
		}
		return a, true
	}
	r := s.start()
	s.write(row("crm", "w0", "u", `{"A":0}`))
	r.await("the first call", func() bool { return e.made() == 1 })
	s.write(row("crm", "w1", "u", `{"A":1}`), row("crm", "w2", "u", `{"Bad":2}`), row("crm", "w3", "u", `{"C":3}`))
	r.await("all rows", func() bool { return r.stats("crm").Held == 4 })
	e.set(func(e *end) { e.hold = nil })
	close(hold)
	r.settled("crm", 4)

	all := s.once()
	for id, want := range map[string]outcome.Kind{"w0": outcome.Delivered, "w1": outcome.Delivered, "w2": outcome.Refused, "w3": outcome.Delivered} {
		if all[id].Outcome.Kind != want {
			t.Errorf("%s is %v, want %v", id, all[id].Outcome, want)
		}
	}
	if got := e.fields("u"); got != `{"A":1,"C":3}` {
		t.Errorf("the object holds %s", got)
	}
	letters := s.letters()
	if len(letters) != 1 {
		t.Fatalf("there are %d dead letters, want one", len(letters))
	}
	l := letters[0]
	headers := map[string]string{}
	for _, h := range l.Headers {
		headers[h.Key] = string(h.Value)
	}
	again, err := crm.ReadWrite(l.Value)
	if err != nil || again.ID != "w2" || l.EventID != "w2" {
		t.Errorf("the letter holds %+v: %v", again, err)
	}
	if l.Reason != "INVALID_FIELD" || l.Detail != "target crm: No such column 'Bad'" || headers["target"] != "crm" || headers["reason"] != "INVALID_FIELD" {
		t.Errorf("the letter says %s, %q, %v", l.Reason, l.Detail, headers)
	}
	r.holds("crm")
}

func TestACallThatIsNotTakenAsAWholeIsHalved(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	s.systems[0].Concurrency = 1
	s.systems[0].Linger = 500 * time.Millisecond
	e.script = func(_ int, rows []*target.Row) (target.Answer, bool) {
		if !slices.ContainsFunc(rows, func(r *target.Row) bool { return r.Key == "u3" }) {
			return target.Answer{}, false
		}
		if len(rows) == 1 {
			return target.Refused("malformed", "it cannot be read"), true
		}
		a := target.Deferred("malformed", "something in it cannot be read", 0)
		a.Split = true
		return a, true
	}
	r := s.start()
	var writes []crm.Write
	for i := range 10 {
		writes = append(writes, row("crm", fmt.Sprintf("w%d", i), fmt.Sprintf("u%d", i), `{"A":1}`))
	}
	s.write(writes...)
	r.settled("crm", 10)
	for id, d := range s.once() {
		if want := map[bool]outcome.Kind{true: outcome.Refused, false: outcome.Delivered}[id == "w3"]; d.Outcome.Kind != want {
			t.Errorf("%s is %v", id, d.Outcome)
		}
	}
	if n := len(e.calls); n > 9 { // 10 = 5 + 5, 5 = 3 + 2, 2 = 1 + 1 or 3 = 2 + 1: with both halves of each
		t.Errorf("it took %d calls", n)
	}
	r.holds("crm")
}

func TestALockedObjectHoldsUpNoOther(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	locked := true
	e.script = func(_ int, rows []*target.Row) (target.Answer, bool) {
		a := allTaken(rows)
		for i, r := range rows {
			if locked && r.Key == "locked" {
				a.Each[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Deferred, Reason: "UNABLE_TO_LOCK_ROW"}}
			}
		}
		return a, true
	}
	r := s.start()
	s.write(row("crm", "l1", "locked", `{"A":1}`))
	note := row("crm", "l2", "locked", `{"A":2}`)
	note.Mode = crm.Update // another mode: it may not overtake, nor be folded
	s.write(note)
	for i := range 50 {
		s.write(row("crm", fmt.Sprintf("w%d", i), fmt.Sprintf("u%d", i), `{"A":1}`))
	}
	r.settled("crm", 50)
	e.set(func(*end) { locked = false })
	r.settled("crm", 52)
	if diff := cmp.Diff([]string{"l1", "l2"}, e.ids("locked")); diff != "" {
		t.Errorf("the locked object's rows (-want +got):\n%s", diff)
	}
	all := s.once()
	if all["l1"].Attempts < 2 || all["w49"].Attempts != 1 {
		t.Errorf("attempts: %d of the locked, %d of another", all["l1"].Attempts, all["w49"].Attempts)
	}
	r.holds("crm")
}
