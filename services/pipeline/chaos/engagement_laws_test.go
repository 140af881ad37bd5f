package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Untimely is the law that a sink which is down delays no other.
const Untimely = "delayed by another"

// reports is what a run of Braze's reports leaves behind. Events have numbers, from 0 on.
type reports struct {
	events  int
	records []standing // on the topic, of each partition in its order
	harm    []harm     // that came to each process, by its number
	unrest  []span     // when groups may have shared partitions out anew
	posted  posted
	ends    []*receiver
	stores  []store
	halfway map[string]int64 // records that each sink had committed when those in good health had them all
	absent  string           // who was down until then
	well    []string         // those in good health
	letters int
	books   []books

	findings []Finding
	rank     []int32 // of each event, among those of its customer
	customer []int32 // of each event
	doubles  int
	excuses  map[string][2]int // of each receiver: repeats by cause
}

// harm is what can come to a process, so that it has no time to say what was taken, or does not know what is its own.
type harm struct{ killed, takenForDead bool }

// standing is a record of braze.engagements.
type standing struct {
	event    int32
	customer string
}

// posted is how the front door fared.
type posted struct {
	events, batches, calls, away, lost int // of calls: told 503, and without an answer
}

// receiver is what the far end of a sink got.
type receiver struct {
	name     string
	requests int
	failed   int        // answered 500: nothing of it counts
	first    []int32    // events, in the order in which they came for the first time
	again    []repeated // and whatever came after that
	strange  []string
}

// repeated is an event that came to a far end once more.
type repeated struct {
	event  int32
	by     uint16 // process, by its number
	before uint16 // the one that brought it last
	span          // from the last time to this
}

// span is a time, since the story began.
type span struct{ from, to time.Duration }

func (s span) meets(other span) bool { return s.from <= other.to && other.from <= s.to }

// store is a sink that has each event once, by what it is.
type store struct {
	name   string
	events []int32 // as anybody sees them who looks into it
	says   string  // for a person
}

// books are what a process says of a sink.
type books struct {
	process, sink                                     string
	accepted, delivered, skipped, refused, back, held int
}

func (r *reports) broken(law, format string, args ...any) {
	r.findings = append(r.findings, Finding{law, fmt.Sprintf(format, args...)})
}

// check holds everything to the laws.
func (r *reports) check() {
	r.index()
	for _, e := range r.ends {
		r.whole(e.name, e.first)
		r.ordered(e)
		r.explained(e)
		for _, s := range e.strange {
			r.broken(Strange, "%s: %s", e.name, s)
		}
	}
	for _, s := range r.stores {
		r.whole(s.name, s.events)
	}
	r.isolated()
	if r.letters > 0 {
		r.broken(DeadLetters, "%d, and every event was good", r.letters)
	}
	for _, b := range r.books {
		if b.accepted != b.delivered+b.skipped+b.refused+b.back+b.held || b.refused > 0 {
			r.broken(Lost, "%s says of %s: %d accepted, %d delivered, %d skipped, %d refused, %d given back, %d held",
				b.process, b.sink, b.accepted, b.delivered, b.skipped, b.refused, b.back, b.held)
		}
	}
}

// index finds the place of every event among those of its customer.
func (r *reports) index() {
	r.rank, r.customer = make([]int32, r.events), make([]int32, r.events)
	for i := range r.rank {
		r.rank[i] = -1
	}
	ids, next := map[string]int32{}, []int32{}
	for _, rec := range r.records {
		if int(rec.event) >= r.events || rec.event < 0 {
			r.broken(Strange, "event %d stands on the topic", rec.event)
			continue
		}
		if r.rank[rec.event] >= 0 {
			r.doubles++
			continue
		}
		id, known := ids[rec.customer]
		if !known {
			id = int32(len(ids))
			ids[rec.customer], next = id, append(next, 0)
		}
		r.customer[rec.event], r.rank[rec.event] = id, next[id]
		next[id]++
	}
	for n, rank := range r.rank {
		if rank < 0 {
			r.broken(Lost, "event %d does not stand on the topic", n)
		}
	}
}

// whole reports what is missing from a list of events, and what is there twice.
func (r *reports) whole(who string, events []int32) {
	times := make([]uint8, r.events)
	for _, n := range events {
		if n < 0 || int(n) >= r.events {
			r.broken(Strange, "%s has event %d", who, n)
			continue
		}
		if times[n]++; times[n] == 2 {
			r.broken(Double, "%s has event %d more than once", who, n)
		}
	}
	for n, t := range times {
		if t == 0 {
			r.broken(Lost, "%s has no event %d", who, n)
		}
	}
}

// ordered compares the order of first receipts with the topic's, customer by customer.
func (r *reports) ordered(e *receiver) {
	last := map[int32]int32{}
	for _, n := range e.first {
		if n < 0 || int(n) >= r.events {
			continue
		}
		before, some := last[r.customer[n]]
		if some && before > r.rank[n] {
			r.broken(Disorder, "%s got event %d, which is number %d of its customer, behind number %d", e.name, n, r.rank[n], before)
		}
		last[r.customer[n]] = r.rank[n]
	}
}

// explained looks for the cause of every repeat. Who brought the event before, or again, was killed or taken for dead: it had
// no time to say that the event was taken, or did not know that this was no more its affair. Or partitions were shared out anew in
// between: what was taken behind something that was not is not committed then, and comes again to whoever has the partition.
func (r *reports) explained(e *receiver) {
	var because [2]int
	for _, a := range e.again {
		before, by := r.harm[a.before], r.harm[a.by]
		switch {
		case before.killed && a.before != a.by, before.takenForDead, by.takenForDead:
			because[0]++
		case slices.ContainsFunc(r.unrest, a.meets):
			because[1]++
		default:
			r.broken(Double, "%s got event %d again from process %d after %v, and before from %d after %v; neither came to harm, and nothing was shared out anew",
				e.name, a.event, a.by, a.to, a.before, a.from)
		}
	}
	if r.excuses == nil {
		r.excuses = map[string][2]int{}
	}
	r.excuses[e.name] = because
}

// isolated compares who was where when the sinks in good health had everything.
func (r *reports) isolated() {
	for _, name := range r.well {
		if got := r.halfway[name]; got != int64(len(r.records)) {
			r.broken(Untimely, "%s had committed %d of %d records while %s was down", name, got, len(r.records), r.absent)
		}
	}
	if got := r.halfway[r.absent]; got != 0 {
		r.broken(Strange, "%s had committed %d records while it was down", r.absent, got)
	}
}

// String is the report for a person.
func (r *reports) String() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s "+format+"\n", append([]any{name}, args...)...)
	}
	customers := 0
	if len(r.customer) > 0 {
		customers = int(slices.Max(r.customer)) + 1
	}
	row("topic", "%d records of %d events of %d customers, %d of them doubles", len(r.records), r.events, customers, r.doubles)
	row("front door", "%d events in %d batches, which took %d calls: %d were told 503, %d heard nothing",
		r.posted.events, r.posted.batches, r.posted.calls, r.posted.away, r.posted.lost)
	for _, e := range r.ends {
		because := r.excuses[e.name]
		row(e.name, "%d events; %d came again: %d by the killed and those taken for dead, %d when partitions were shared out anew; %d requests, %d answered 500",
			len(e.first), len(e.again), because[0], because[1], e.requests, e.failed)
	}
	for _, s := range r.stores {
		row(s.name, "%d events, each once; %s", len(s.events), s.says)
	}
	var far []string
	for _, name := range sorted(r.halfway, strings.Compare) {
		far = append(far, fmt.Sprintf("%s %.0f %%", name, 100*float64(r.halfway[name])/float64(max(1, len(r.records)))))
	}
	row("isolation", "when those in good health had everything: %s", strings.Join(far, ", "))
	accepted, delivered, skipped, back := 0, 0, 0, 0
	for _, o := range r.books {
		accepted, delivered, skipped, back = accepted+o.accepted, delivered+o.delivered, skipped+o.skipped, back+o.back
	}
	row("law", "of the processes at the end: %d accepted = %d delivered + %d skipped + %d given back, in %d books", accepted, delivered, skipped, back, len(r.books))
	b.WriteString(listed(r.findings, "every sink has every event once, every customer's in order, every repeat explained"))
	return b.String()
}
