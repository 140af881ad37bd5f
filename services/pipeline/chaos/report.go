package chaos

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// Report is what Check has found.
type Report struct {
	*History
	Findings []Finding

	Accepted      int                  // events that the front door promised
	Rewritten     int                  // records that stand on the topic once more
	Ends          map[outcome.Kind]int // records by their end
	TwoReceipts   int                  // further receipts of a record that has one
	Doubles       map[Cause]int        // applications of an event beyond one, by cause
	Unexplained   int                  // those without a cause
	Waited        time.Duration        // longest that an answer had been there without a receipt, at a kill
	KilledSenders int
	KilledDoors   int
	Left          int // processes that were asked to stop, and did in good order
}

// Broken reports whether a finding is about the law.
func (r *Report) Broken(law string) bool {
	for _, f := range r.Findings {
		if f.Law == law {
			return true
		}
	}
	return false
}

// shown is how many findings about one law a report spells out.
const shown = 10

// String is the report for a person: the law in numbers, then what was broken.
func (r *Report) String() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s "+format+"\n", append([]any{name}, args...)...)
	}

	users := map[string]bool{}
	for e := range r.Asked {
		users[e.User] = true
	}
	row("events", "%d accepted of %d sent, %d users", r.Accepted, len(r.Asked), len(users))
	held := len(r.Topic) - r.Ends[outcome.Delivered] - r.Ends[outcome.Skipped] - r.Ends[outcome.Refused]
	row("records", "%d = %d delivered + %d skipped + %d refused + %d held",
		len(r.Topic), r.Ends[outcome.Delivered], r.Ends[outcome.Skipped], r.Ends[outcome.Refused], held)
	row("requests", "%s", r.requests())
	row("kills", "%d: braze-sender %d, ingest %d; %d left in good order, %d joined; a broker was away %d times",
		r.KilledSenders+r.KilledDoors, r.KilledSenders, r.KilledDoors, r.Left, r.Joined, r.Outages)
	row("duplicates", "%s", r.duplicates())
	if r.Doubles[Unreceipted] > 0 {
		row("", "an answer had waited %v for its receipt at most when its sender was killed", r.Waited.Round(time.Millisecond))
	}
	row("time", "%v", r.Took.Round(100*time.Millisecond))
	b.WriteString(r.findings())
	return b.String()
}

func (r *Report) requests() string {
	var applied, objects, unanswered, throttled, failed int
	for _, q := range r.Requests {
		objects += len(q.Events) + len(q.Marks)
		switch {
		case q.Status == 0:
			unanswered++
		case q.Status == 429:
			throttled++
		case q.Status >= 500:
			failed++
		}
		if q.Applied {
			applied++
		}
	}
	return fmt.Sprintf("%d with %d objects: %d applied; %d unanswered, %d answered 429, %d answered 5xx",
		len(r.Requests), objects, applied, unanswered, throttled, failed)
}

func (r *Report) duplicates() string {
	total := 0
	var parts []string
	for c := InDoubt; c <= Twice; c++ {
		total += r.Doubles[c]
		parts = append(parts, fmt.Sprintf("%d %s", r.Doubles[c], c))
	}
	return fmt.Sprintf("%d at Braze: %s; %d unexplained; %d records written twice, %d receipted twice",
		total+r.Unexplained, strings.Join(parts, ", "), r.Unexplained, r.Rewritten, r.TwoReceipts)
}

func (r *Report) findings() string {
	if len(r.Findings) == 0 {
		return "  nothing lost, nobody out of order, every duplicate explained\n"
	}
	var b strings.Builder
	told := map[string]int{}
	for _, f := range r.Findings {
		if told[f.Law]++; told[f.Law] <= shown {
			fmt.Fprintf(&b, "  BROKEN %s: %s\n", f.Law, f.Detail)
		}
	}
	for _, law := range sorted(told, strings.Compare) {
		if told[law] > shown {
			fmt.Fprintf(&b, "  BROKEN %s: and %d more\n", law, told[law]-shown)
		}
	}
	return b.String()
}
