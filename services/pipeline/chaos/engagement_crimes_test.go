package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// blameless is what a blameless currents-fanout leaves behind: a thousand records of events of which some stand twice, all of
// them everywhere, and one event that came again because the process that brought it was killed.
func blameless(seed uint64) *reports {
	const events = 800
	dice := rand.New(rand.NewPCG(seed, 5))
	r := &reports{
		events: events, well: []string{healthySink}, absent: absentSink,
		harm: []harm{{}, {killed: true}, {}, {takenForDead: true}}, unrest: []span{{time.Second, 2 * time.Second}},
		books: []books{{"fanout-a.1", healthySink, 1000, 790, 200, 0, 7, 3}},
	}
	for n := range int32(events) {
		r.records = append(r.records, standing{n, fmt.Sprint("customer-", n%37)})
		if n%4 == 0 {
			r.records = append(r.records, standing{n / 2, fmt.Sprint("customer-", n/2%37)})
		}
	}
	// Customers overtake each other, and themselves never.
	order := make([]int32, events)
	for i := range order {
		order[i] = int32(i)
	}
	for range events {
		if i := dice.IntN(events - 1); order[i]%37 != order[i+1]%37 {
			order[i], order[i+1] = order[i+1], order[i]
		}
	}
	r.ends = []*receiver{{name: healthySink, first: order, again: []repeated{{order[9], 2, 1, span{3 * time.Second, 4 * time.Second}}}}}
	r.stores = []store{{name: filesSink, events: slices.Clone(order)}}
	r.halfway = map[string]int64{healthySink: int64(len(r.records))}
	return r
}

// TestTheLawsOfReportsNoticeEachCrime: what is without a flaw has no findings, and each crime has.
func TestTheLawsOfReportsNoticeEachCrime(t *testing.T) {
	again := func(r *reports, before, by uint16, from, to time.Duration) {
		r.ends[0].again = append(r.ends[0].again, repeated{5, by, before, span{from, to}})
	}
	for _, tc := range []struct {
		name  string
		crime func(r *reports)
		want  string // law; none where it is empty
	}{
		{"nothing", func(*reports) {}, ""},
		{"an event is lost on its way to the topic", func(r *reports) {
			r.records = slices.DeleteFunc(r.records, func(s standing) bool { return s.event == 300 })
			r.halfway[healthySink] = int64(len(r.records))
		}, Lost},
		{"a far end has not got one", func(r *reports) { r.ends[0].first = slices.Delete(r.ends[0].first, 40, 41) }, Lost},
		{"a store has not got one", func(r *reports) { r.stores[0].events = r.stores[0].events[1:] }, Lost},
		{"a store has one twice", func(r *reports) { r.stores[0].events = append(r.stores[0].events, 3) }, Double},
		{"a store has one that there is not", func(r *reports) { r.stores[0].events = append(r.stores[0].events, 800) }, Strange},
		{"a customer's events have changed places", func(r *reports) {
			i, j := slices.Index(r.ends[0].first, 100), slices.Index(r.ends[0].first, 137)
			r.ends[0].first[i], r.ends[0].first[j] = 137, 100
		}, Disorder},
		{"one comes again and nobody came to harm", func(r *reports) { again(r, 2, 2, 3*time.Second, 4*time.Second) }, Double},
		{"one comes again from a process that is killed later", func(r *reports) { again(r, 1, 1, 3*time.Second, 4*time.Second) }, Double},
		{"one comes again while partitions are shared out", func(r *reports) { again(r, 2, 2, 0, 1500*time.Millisecond) }, ""},
		{"one comes again from a process that was taken for dead", func(r *reports) { again(r, 3, 3, 3*time.Second, 4*time.Second) }, ""},
		{"a sink waits for another", func(r *reports) { r.halfway[healthySink]-- }, Untimely},
		{"a sink is said to have what nobody took", func(r *reports) { r.halfway[absentSink] = 1 }, Strange},
		{"a good event is refused", func(r *reports) { r.letters = 1 }, DeadLetters},
		{"the books do not add up", func(r *reports) { r.books[0].skipped-- }, Lost},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(10) {
				r := blameless(seed)
				tc.crime(r)
				r.check()
				if tc.want == "" && len(r.findings) > 0 {
					t.Fatalf("seed %d:\n%s", seed, r)
				}
				if tc.want != "" && !slices.ContainsFunc(r.findings, func(f Finding) bool { return f.Law == tc.want }) {
					t.Fatalf("seed %d: nothing %s was found:\n%s", seed, tc.want, r)
				}
			}
		})
	}
}
