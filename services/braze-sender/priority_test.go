package brazesender_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// urgentRoute makes events named urgent transactional. The rest is live.
const urgentRoute = `
routes:
  - name: urgent
    match: {topic: customer.events, event: urgent}
    priority: transactional
    send: [{event: {name: urgent}}]
`

// record is an event's record with headers in pairs.
func (s *scene) record(user, name string, seq int, headers ...string) *stream.Record {
	e := newEvent(user, seq)
	e.Name = name
	r := &stream.Record{Key: []byte(e.User.Key()), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e)}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, stream.Header{Key: headers[i], Value: []byte(headers[i+1])})
	}
	return r
}

// fill puts as many requests of each priority on the topic, one after the other in turn. The users'
// names say which they are.
func (s *scene) fill(t *testing.T, requests int) {
	t.Helper()
	var records []*stream.Record
	for i := range requests * s.config.Braze.MaxObjects {
		mark := []string{"priority", "backfill"}
		if i%2 == 0 {
			mark = []string{"replayed-from", "customer.events/0/17"}
		}
		records = append(records,
			s.record(fmt.Sprintf("past-%d", i), "happened", i, mark...),
			s.record(fmt.Sprintf("live-%d", i), "happened", i),
			s.record(fmt.Sprintf("urgent-%d", i), "urgent", i),
		)
	}
	s.produceRaw(t, records...)
}

// priorities are the requests' priorities in the order in which they came in.
func priorities(t *testing.T, wires []wire) []string {
	t.Helper()
	slices.SortStableFunc(wires, func(a, b wire) int { return a.At.Compare(b.At) })
	var list []string
	for _, w := range wires {
		kinds := map[string]bool{}
		kind := ""
		for _, th := range w.things(t) {
			kind, _, _ = strings.Cut(th.User, "-")
			kinds[kind] = true
		}
		if len(kinds) != 1 {
			t.Fatalf("a request for %v", kinds)
		}
		list = append(list, kind)
	}
	return list
}

func TestEveryPriorityHasItsReservedPartWhileTheUrgentGoFirst(t *testing.T) {
	tests := []struct {
		name     string
		rate     quota.Rate
		inFlight int
		latency  time.Duration
	}{
		{name: "the budget is small", rate: quota.Rate{Count: 200, Per: time.Second}, inFlight: 16},
		{name: "few requests may be under way", rate: quota.Rate{Count: 100_000, Per: time.Second}, inFlight: 4, latency: 10 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSandboxScene(t, brazefake.Options{Knobs: brazefake.Knobs{LatencyMin: tt.latency, LatencyMax: tt.latency}})
			s.route(t, urgentRoute)
			s.config.Braze.MaxObjects, s.config.Braze.Rate, s.config.Sender.InFlight = 2, tt.rate, tt.inFlight
			const each = 250 // requests of each priority
			s.fill(t, each)
			r := s.start(t)
			s.awaitSettled(t)
			r.drain(t)
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: s.produced})
			s.assertManners(t)

			order := priorities(t, s.front.seen())
			if len(order) < 3*each {
				t.Fatalf("%d requests, want %d at least", len(order), 3*each)
			}
			// The first few went before everything was taken, the last few lingered.
			crowded := order[20:220]
			count := map[string]int{}
			for _, kind := range crowded {
				count[kind]++
			}
			if count["urgent"] < 170 || count["live"] < 9 || count["past"] < 9 {
				t.Errorf("of 200 requests while all had something to send: %v; want urgent first, and about 10 of each other", count)
			}
			last := map[string]int{}
			for i, kind := range order {
				last[kind] = i
			}
			if !(last["urgent"] < last["live"] && last["live"] < last["past"]) {
				t.Errorf("the last of each went at %v, want the past to come last", last)
			}
			after := map[string]int{} // the urgent, without the stragglers
			for _, kind := range order[last["urgent"]+1 : last["urgent"]+101] {
				after[kind]++
			}
			if after["live"] < 90 || after["past"] < 4 {
				t.Errorf("of the 100 requests after the urgent: %v; want the live first, and about 5 of the past", after)
			}
		})
	}
}

func TestThePastTravelsInBulkWhereThatIsEnabled(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.Bulk = true
	var records []*stream.Record
	for seq := range 150 {
		for u := range 20 {
			records = append(records, s.record(fmt.Sprintf("past-%d", u), "happened", seq, "priority", "backfill"))
		}
	}
	// 150 of these are three megabytes.
	note := strings.Repeat(`"`+strings.Repeat("x", 198)+`",`, 100)
	for u := range 150 {
		e := newEvent(fmt.Sprintf("long-%d", u), 0)
		e.Properties = fmt.Appendf(nil, `{"seq":0,"notes":[%s"end"]}`, note)
		records = append(records, &stream.Record{
			Key: []byte(e.User.Key()), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e),
			Headers: []stream.Header{{Key: "replayed-from", Value: []byte("customer.events/0/17")}},
		})
	}
	for u := range 30 {
		records = append(records, s.record(fmt.Sprintf("live-%d", u), "happened", 0))
	}
	s.produceRaw(t, records...)
	s.config.Sender.Linger = 200 * time.Millisecond
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: s.produced})
	s.assertManners(t)

	most, longest := 0, 0
	next := map[string]int{}
	for _, w := range s.front.seen() {
		perUser := map[string]int{}
		things := w.things(t)
		for _, th := range things {
			kind, _, _ := strings.Cut(th.User, "-")
			if bulk := w.Path == braze.UsersTrackBulk.Path; bulk == (kind == "live") {
				t.Errorf("an event of %s went to %s", th.User, w.Path)
			}
			perUser[th.User]++
			if th.Seq != fmt.Sprint(next[th.User]) {
				t.Errorf("event %s of %s where %d was due", th.Seq, th.User, next[th.User])
			}
			next[th.User]++
		}
		for user, n := range perUser {
			if n > braze.MaxBulkPerUser {
				t.Errorf("%d events of %s in a request", n, user)
			}
		}
		most, longest = max(most, len(things)), max(longest, len(w.Body))
	}
	if most <= braze.MaxObjects || most > braze.UsersTrackBulk.MaxItems {
		t.Errorf("the fullest request had %d objects, want more than /users/track takes and 1000 at most", most)
	}
	if longest < 1<<20 || longest > braze.UsersTrackBulk.MaxBody {
		t.Errorf("the longest request had %d bytes, want more than half of 2 MB and no more than that", longest)
	}
	t.Logf("at most %d objects and %d bytes in a request", most, longest)
}

func TestTwoBudgetsThatAreSpentKeepNobodyBusy(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, `
routes:
  - name: reminder
    match: {topic: customer.events, event: urgent}
    send: [{campaign: {id: c-1}}]
`)
	hourly := quota.Rate{Count: 1, Per: time.Hour}
	s.config.Braze.Rate, s.config.Sender.Rates.General = hourly, hourly
	s.config.Braze.MaxObjects = 2
	var records []*stream.Record
	for u := range 200 {
		records = append(records, s.record(fmt.Sprintf("a-%d", u), "happened", 0), s.record(fmt.Sprintf("b-%d", u), "urgent", 0))
	}
	s.produceRaw(t, records...)
	r := s.start(t)
	s.front.await(t, "one request out of each budget", func(wires []wire) bool { return len(wires) == 2 })
	r.drain(t) // fails after a minute
}
