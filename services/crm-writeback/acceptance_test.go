package crmwriteback_test

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// oneIn picks every n-th of some texts, always the same ones.
func oneIn(n uint32, text string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(text))
	return h.Sum32()%n == 0
}

func TestTenThousandRowsComeToAnEndInTheFewestCallsWhateverTheTargetDoes(t *testing.T) {
	s := newScene(t, "crm")
	e := s.ends["crm"]
	e.form.Rows = 200
	e.took = 5 * time.Millisecond
	s.systems[0].Linger = 300 * time.Millisecond
	locked, failures, judged := map[string]bool{}, 0, 0
	e.script = func(call int, rows []*target.Row) (target.Answer, bool) {
		switch {
		case call >= 20 && call < 23, call >= 40 && call < 46: // a hiccup, and an outage
			failures++
			return target.Deferred("unavailable", "Server Unavailable", 0), true
		case call == 30:
			failures++
			return target.Deferred("rate_limited", "Too Many Requests", 50*time.Millisecond), true
		}
		judged++
		a := allTaken(rows)
		for i, r := range rows {
			switch {
			case oneIn(100, r.Key):
				a.Each[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Refused, Reason: "FIELD_CUSTOM_VALIDATION_EXCEPTION"}}
			case oneIn(53, r.ID) && !locked[r.ID]:
				locked[r.ID] = true
				a.Each[i] = target.Result{Outcome: outcome.Outcome{Kind: outcome.Deferred, Reason: "UNABLE_TO_LOCK_ROW"}}
			}
		}
		return a, true
	}
	const rows = 10_000
	var writes []crm.Write
	refused := 0
	for i := range rows {
		key := fmt.Sprintf("u%d", i)
		if oneIn(100, key) {
			refused++
		}
		writes = append(writes, row("crm", fmt.Sprintf("w%05d", i), key, `{"A":1}`))
	}
	s.write(writes...)
	r := s.start()
	r.settled("crm", rows)
	got := map[outcome.Kind]int{}
	for _, d := range s.once() {
		got[d.Outcome.Kind]++
	}
	if got[outcome.Refused] != refused || got[outcome.Delivered] != rows-refused {
		t.Errorf("deliveries: %v; %d are to be refused", got, refused)
	}
	if letters := s.letters(); len(letters) != refused {
		t.Errorf("%d dead letters of %d", len(letters), refused)
	}
	if fewest := (rows + len(locked) + 199) / 200; judged*10 > fewest*11 {
		t.Errorf("%d calls were answered, and %d came to nothing; %d carry them all", judged, failures, fewest)
	}
	if wrong := e.complaints(); len(wrong) > 0 {
		t.Errorf("the target complains: %v", wrong[:min(3, len(wrong))])
	}
	r.holds("crm")
	t.Logf("%d calls answered, %d came to nothing, %d rows locked once", judged, failures, len(locked))
}
