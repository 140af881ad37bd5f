package crmwriteback_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func down(int, []*target.Row) (target.Answer, bool) {
	return target.Deferred("unavailable", "Server Unavailable", 0), true
}

func TestADeadTargetDelaysNoOther(t *testing.T) {
	s := newScene(t, "dead", "alive")
	s.ends["dead"].script = down
	r := s.start()
	const each = 500
	var writes []crm.Write
	for i := range each {
		key := fmt.Sprintf("u%d", i)
		writes = append(writes, row("dead", fmt.Sprintf("d%d", i), key, `{"A":1}`), row("alive", fmt.Sprintf("a%d", i), key, `{"A":1}`))
	}
	s.write(writes...)
	r.settled("alive", each)
	r.await("the breaker", func() bool { return r.stats("dead").State == "open" })
	if n := s.ends["dead"].made(); n > 30 {
		t.Errorf("a target that is down was called %d times", n)
	}
	if _, ended := r.law("dead"); ended["held"] != each {
		t.Errorf("of the dead target's rows came %v", ended)
	}
	if got := r.stats("alive").State; got != "running" {
		t.Errorf("the other target is %s", got)
	}
	s.ends["dead"].set(func(e *end) { e.script = nil })
	r.settled("dead", each)
	s.once()
	r.holds("dead")
	r.holds("alive")
}

func TestATargetThatHaltsIsAskedGentlyAndLosesNothing(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	e.script = func(int, []*target.Row) (target.Answer, bool) {
		a := target.Deferred("invalid_grant", "authentication failure", 0)
		a.Halt, a.Status = true, 401
		return a, true
	}
	r := s.start()
	for i := range 40 {
		s.write(row("crm", fmt.Sprintf("w%d", i), fmt.Sprintf("u%d", i), `{"A":1}`))
	}
	r.await("the halt", func() bool { return r.stats("crm").State == "halted" })
	failing := r.health.Failing(t.Context())
	if err := failing["target crm"]; err == nil || !strings.Contains(err.Error(), "invalid_grant: authentication failure") {
		t.Errorf("readiness says %v", failing)
	}
	e.set(func(e *end) { e.script = nil })
	r.settled("crm", 40)
	if n := e.made(); n > 10 {
		t.Errorf("it was called %d times", n)
	}
	if failing = r.health.Failing(t.Context()); len(failing) > 0 {
		t.Errorf("readiness still says %v", failing)
	}
	for id, d := range s.once() {
		if d.Outcome.Kind != outcome.Delivered {
			t.Errorf("%s is %v", id, d.Outcome)
		}
	}
	if letters := s.letters(); len(letters) > 0 {
		t.Errorf("there are %d dead letters", len(letters))
	}
	r.holds("crm")
}

func TestWhatWasWrittenOutOfOrderIsNotWrittenAgainAfterACrash(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	locked := true
	e.script = func(_ int, rows []*target.Row) (target.Answer, bool) {
		a := allTaken(rows)
		for i, r := range rows {
			if locked && r.Key == "locked" {
				a.Each[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Deferred, Reason: "locked"}}
			}
		}
		return a, true
	}
	// All in one partition: the locked row holds the commit up for what comes behind it.
	in := func(w crm.Write) crm.Write {
		w.User.ExternalID = "same"
		return w
	}
	r := s.start()
	s.write(in(row("crm", "l1", "locked", `{"A":1}`)), in(row("crm", "v1", "u", `{"A":1}`)))
	r.settled("crm", 1)
	s.write(in(row("crm", "v2", "u", `{"A":2}`)))
	r.settled("crm", 2)
	r.stop()
	r.holds("crm")
	e.set(func(*end) { locked = false })
	r = s.start()
	r.settled("crm", 1)
	s.write(in(row("crm", "v3", "u", `{"B":3}`)))
	r.settled("crm", 2)
	if diff := cmp.Diff([]string{"v1", "v2", "v3"}, e.ids("u")); diff != "" {
		t.Errorf("rows of u (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"l1"}, e.ids("locked")); diff != "" {
		t.Errorf("rows of the locked object (-want +got):\n%s", diff)
	}
	s.once()
	r.holds("crm")
}

func TestACallUnderWayIsAnsweredBeforeTheServiceEnds(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	e.form.Calls, s.systems[0].Concurrency = 1, 1
	hold := make(chan struct{})
	e.hold = hold
	r := s.start()
	s.write(row("crm", "w1", "u", `{"A":1}`))
	r.await("the call", func() bool { return e.made() == 1 })
	s.write(row("crm", "w2", "v", `{"A":1}`)) // it is queued, and stays on the topic
	r.await("the second row", func() bool { return r.stats("crm").Held == 2 })
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.stop()
	}()
	select {
	case <-ended:
		t.Error("the service ends while a call is under way")
	case <-time.After(100 * time.Millisecond):
	}
	close(hold)
	<-ended
	if _, law := r.law("crm"); law["delivered"] != 1 || law["returned"] != 1 {
		t.Errorf("of two rows came %v", law)
	}
	r.holds("crm")
	e.set(func(e *end) { e.hold = nil })
	r = s.start()
	r.settled("crm", 1)
	if n := e.made(); n != 2 {
		t.Errorf("%d calls were made, want two", n)
	}
	s.once()
	r.holds("crm")
}

func TestACallThatNeverEndsIsCutOff(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	s.config.Writeback.Drain = 50 * time.Millisecond
	e.hold = make(chan struct{})
	r := s.start()
	s.write(row("crm", "w1", "u", `{"A":1}`))
	r.await("the call", func() bool { return e.made() == 1 })
	r.stop()
	if _, law := r.law("crm"); law["returned"] != 1 {
		t.Errorf("of the row came %v", law)
	}
	r.holds("crm")
	e.set(func(e *end) { e.hold = nil })
	r = s.start()
	r.settled("crm", 1)
	s.once()
}

func TestMemoryIsBoundedWhileATargetIsDown(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	e.form.Rows, e.script = 100, down
	s.systems[0].Memory = 4 << 20 // a window of a MiB, or 1024 rows
	r := s.start()
	const rows = 6000
	text := strings.Repeat("x", 400)
	var writes []crm.Write
	for i := range rows {
		writes = append(writes, row("crm", fmt.Sprintf("w%05d", i), fmt.Sprintf("u%d", i%5000), fmt.Sprintf(`{"A":%d,"B":%q}`, i, text)))
	}
	s.write(writes...)
	r.await("a full window", func() bool { return r.stats("crm").Held >= 1000 })
	r.await("the breaker", func() bool { return r.stats("crm").State == "open" })
	// What one poll brings may go beyond the window, but not all of it.
	if got := r.stats("crm"); got.HeldBytes > 2<<20 || got.Held > 3000 {
		t.Errorf("%d rows of %d bytes are held", got.Held, got.HeldBytes)
	}
	e.set(func(e *end) { e.script = nil })
	r.settled("crm", rows)
	for i := range 5000 {
		want := i
		if i < 1000 {
			want += 5000
		}
		if got := e.fields(fmt.Sprintf("u%d", i)); !strings.HasPrefix(got, fmt.Sprintf(`{"A":%d,`, want)) {
			t.Fatalf("u%d holds %.20s", i, got)
		}
	}
	s.once()
	r.holds("crm")
}

func TestRowsMoveBetweenReplicasWithoutBeingWrittenTwice(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	e.took = 10 * time.Millisecond
	first := s.start()
	const rows = 3000
	var writes []crm.Write
	for i := range rows {
		writes = append(writes, row("crm", fmt.Sprintf("w%05d", i), fmt.Sprintf("u%d", i%1000), fmt.Sprintf(`{"A":%d}`, i)))
	}
	s.write(writes[:1000]...)
	first.settled("crm", 200)
	second := s.start()
	s.write(writes[1000:]...)
	both := func() int {
		n := 0
		for _, r := range []*replica{first, second} {
			_, ended := r.law("crm")
			n += ended["delivered"] + ended["delivered folded"]
		}
		return n
	}
	second.await("a share of it", func() bool {
		accepted, _ := second.law("crm")
		return accepted > 0 || both() == rows
	})
	first.stop()
	if accepted, _ := second.law("crm"); accepted == 0 {
		t.Error("the second replica has taken nothing while the first was there")
	}
	second.await("the rest", func() bool { return both() == rows })
	if wrong := e.complaints(); len(wrong) > 0 {
		t.Errorf("the target complains: %v", wrong[:min(3, len(wrong))])
	}
	for i := range 1000 {
		if got := e.fields(fmt.Sprintf("u%d", i)); got != fmt.Sprintf(`{"A":%d}`, 2000+i) {
			t.Errorf("u%d holds %s", i, got)
		}
	}
	s.once()
	first.holds("crm")
	second.holds("crm")
}

func TestATargetWithFewRowsHasNotEverybodysDeliveriesRead(t *testing.T) {
	s := newScene(t, "busy", "idle")
	r := s.start()
	s.write(row("idle", "i1", "u0", `{"A":1}`))
	r.settled("idle", 1)
	for round := range 10 { // so that what is passed over comes after deliveries of others
		var writes []crm.Write
		for i := range 90 {
			writes = append(writes, row("busy", fmt.Sprintf("w%d-%d", round, i), fmt.Sprintf("u%d", i), `{"A":1}`))
		}
		s.write(writes...)
		r.settled("busy", 90*(round+1))
	}
	r.await("the end of the topic", func() bool { return r.stats("idle").Behind == 0 })
	r.stop()
	r.holds("idle")
	r = s.start()
	r.await("the partitions", func() bool { return r.stats("idle").Partitions == partitions })
	from, sum := r.service.ReceiptsFrom("idle"), int64(0)
	for _, offset := range from {
		sum += offset
	}
	if sum < 700 { // of 901 deliveries
		t.Errorf("deliveries of the idle target are looked for from %v on", from)
	}
}
