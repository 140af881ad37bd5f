package brazesender_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

func crowd(users, each int) []event.Event {
	var events []event.Event
	for seq := range each {
		for u := range users {
			events = append(events, newEvent(fmt.Sprintf("user-%d", u), seq))
		}
	}
	return events
}

func TestEventsReachBrazeInOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.produce(t, crowd(50, 40)...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2000})
	for _, req := range s.braze.requests {
		if n := len(req.Events) + len(req.Attributes); n > 75 {
			t.Errorf("a request of %d objects", n)
		}
	}
}

func TestEveryObjectOfAnAnswerIsReadAndPinnedOnItsRecord(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.braze.answer = func(_ int, r request) (int, string) {
		var errs []string
		for i, e := range r.Events {
			if e.Properties.Seq%5 == 3 {
				errs = append(errs, fmt.Sprintf(`{"index":%d,"input_array":"events","type":"no threes and eights"}`, i))
			}
		}
		return http.StatusCreated, `{"message":"success","errors":[` + strings.Join(errs, ",") + `]}`
	}
	events := crowd(20, 10)
	s.produce(t, events...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 160, outcome.Refused: 40})
	byID := map[string]event.Event{}
	for _, e := range events {
		byID[e.ID] = e
	}
	letters := s.letters(t)
	if len(letters) != 40 {
		t.Fatalf("%d dead letters, want 40", len(letters))
	}
	for _, l := range letters {
		e := byID[l.EventID]
		if !bytes.Equal(l.Value, avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e)) || string(l.Key) != e.User.ExternalID {
			t.Errorf("the dead letter of %s does not hold its bytes", l.EventID)
		}
		if l.Reason != "item_error" || l.Detail != "events: no threes and eights" || !strings.HasSuffix(l.EventID, "-3") && !strings.HasSuffix(l.EventID, "-8") {
			t.Errorf("dead letter %s: %s, %s", l.EventID, l.Reason, l.Detail)
		}
	}
}

func TestAMalformedBatchIsHalvedUntilTheCulpritStandsAlone(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.braze.answer = func(_ int, r request) (int, string) {
		for _, e := range r.Events {
			if e.ExternalID == "user-7" && e.Properties.Seq == 2 {
				return http.StatusBadRequest, `{"message":"Something in here is wrong"}`
			}
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, crowd(20, 5)...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 99, outcome.Refused: 1})
	if l := s.letters(t); len(l) != 1 || l[0].EventID != "user-7-2" || l[0].Reason != "rejected" || !strings.Contains(l[0].Detail, "Something in here") {
		t.Errorf("%d dead letters: %s", len(l), summary(l))
	}
}

func TestWhatFailsForNoReasonOfItsOwnIsSentAgainInOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var calls atomic.Int64
	s.braze.answer = func(int, request) (int, string) {
		switch calls.Add(1) % 4 {
		case 1:
			return http.StatusServiceUnavailable, `{"message":"later"}`
		case 2:
			return http.StatusTooManyRequests, `{"message":"slower"}`
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, crowd(10, 20)...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 200})
}

func TestAKeyThatBrazeDoesNotKnowStopsTheLaneAndRefusesNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var letIn atomic.Bool
	var turnedAway atomic.Int64
	s.braze.answer = func(int, request) (int, string) {
		if !letIn.Load() {
			turnedAway.Add(1)
			return http.StatusUnauthorized, `{"message":"Invalid API key"}`
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, crowd(200, 2)...)
	r := s.start(t)
	awaitHealth(t, r, "red, with what to do", func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "BRAZE_API_KEY")
	})
	first := turnedAway.Load()
	s.braze.await(t, "another try", func() bool { return turnedAway.Load() > first })
	if n := len(s.receipts(t)); n > 0 {
		t.Errorf("%d records were settled while Braze let nobody in", n)
	}
	before := turnedAway.Load() // the gate lets one through at a time, not sixteen
	if before > 20 {
		t.Errorf("%d requests while Braze let nobody in", before)
	}
	letIn.Store(true)
	s.awaitSettled(t)
	awaitHealth(t, r, "green again", func(err error) bool { return err == nil })
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 400})
}

func awaitHealth(t *testing.T, r *running, what string, cond func(braze error) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for !cond(r.process.Health.Failing(t.Context())["braze"]) {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("readiness is not %s: %v", what, r.process.Health.Failing(t.Context()))
		}
	}
}

func TestARestartSkipsWhatWasDeliveredOutOfOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var open atomic.Bool
	s.braze.answer = func(_ int, r request) (int, string) {
		for _, e := range r.Events {
			if strings.HasPrefix(e.ExternalID, "blocked") && !open.Load() {
				return http.StatusServiceUnavailable, `{"message":"not now"}`
			}
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	// One blocked user per partition stands before everyone else: nothing can be committed. Its
	// requests carry nobody else, since the others arrive later.
	var blocked []event.Event
	for i := range 12 {
		blocked = append(blocked, newEvent(fmt.Sprintf("blocked-%d", i), 0))
	}
	s.produce(t, blocked...)
	r := s.start(t)
	s.braze.await(t, "the blocked users to fail", func() bool { return len(s.braze.requests) > 0 })
	s.produce(t, crowd(30, 10)...)
	s.awaitReceipts(t, 300)
	r.drain(t)
	s.braze.mu.Lock()
	s.braze.requests = nil
	s.braze.mu.Unlock()

	open.Store(true)
	r2 := s.start(t)
	s.awaitSettled(t)
	r2.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 312})
	if n := len(s.braze.taken); n != 312 {
		t.Errorf("Braze took %d events, want each of 312 once", n)
	}
}

func TestDrainingLeavesNothingUnsettledThatBrazeHas(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	release := make(chan struct{})
	s.braze.answer = func(int, request) (int, string) {
		<-release
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, crowd(300, 10)...)
	r := s.start(t)
	s.braze.await(t, "requests under way", func() bool { return len(s.braze.requests) >= 3 })
	r.stop()
	close(release)
	r.drain(t)
	s.braze.mu.Lock()
	taken := len(s.braze.taken)
	s.braze.mu.Unlock()
	if taken == 0 || taken == 3000 {
		t.Fatalf("%d events were taken: the drain was not in the middle of anything", taken)
	}
	if got := len(s.receipts(t)); got != taken {
		t.Errorf("Braze has %d events, %d have a receipt", taken, got)
	}
	r2 := s.start(t)
	s.awaitSettled(t)
	r2.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3000})
}

func TestABrazeThatIsDownDoesNotGrowMemoryBeyondTheWindow(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.config.Sender.Window = 500
	var up atomic.Bool
	s.braze.answer = func(int, request) (int, string) {
		if !up.Load() {
			return http.StatusServiceUnavailable, `{"message":"down"}`
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, crowd(600, 20)...)
	r := s.start(t)
	s.braze.await(t, "the lane to notice", func() bool { return len(s.braze.requests) >= 30 })
	if held := r.gauge(t, "sluice_sender_held"); held < 400 || held > 500 {
		t.Errorf("%v records are held with a window of 500", held)
	}
	up.Store(true)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 12_000})
}

func TestInDoubtIsParkedWhereThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.config.Sender.InDoubt = "park"
	s.braze.answer = func(_ int, r request) (int, string) {
		for _, e := range r.Events {
			if e.ExternalID == "user-1" {
				return dropConnection, ""
			}
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, newEvent("user-1", 0))
	r := s.start(t)
	s.awaitSettled(t)
	s.produce(t, newEvent("user-2", 0))
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 1})
	if l := s.letters(t); len(l) != 1 || l[0].Reason != "in_doubt" || l[0].Attempts != 1 {
		t.Errorf("%d dead letters: %s", len(l), summary(l))
	}
}

func TestHostileRecordsBecomeDeadLettersAndThePartitionGoesOn(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	e := newEvent("u", 1)
	good := avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e)
	bad := newEvent("u", 2)
	bad.Properties = []byte(`{"a":1}},"x":{"b":2}`)
	long := newEvent("u", 3)
	long.Properties = []byte(`{"text":"` + strings.Repeat("x", 300) + `"}`)
	attributes := newEvent("u", 4)
	attributes.Attributes = []byte(`{"external_id":"someone else"}`)
	cases := []struct {
		key   string
		value []byte
		want  string
	}{
		{"u", []byte("garbage"), "not_avro"},
		{"u", nil, "tombstone"},
		{"u", append(avro.AppendHeader(nil, 999_999), good[avro.HeaderSize:]...), "unknown_schema"},
		{"u", append(avro.AppendHeader(nil, s.ids[schema.CustomerEvents]), 0xfe, 0xff, 0xff, 0xff, 0x0f), "undecodable"},
		{"somebody else", good, "key_mismatch"},
		{"u", avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &bad), "invalid"},
		{"u", avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &long), "invalid"},
		{"u", avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &attributes), "invalid"},
	}
	want := map[string]string{}
	for _, c := range cases {
		s.produceRaw(t, &stream.Record{Key: []byte(c.key), Value: c.value, Headers: []stream.Header{{Key: "source", Value: []byte("upstream")}}})
		want[string(c.value)+"|"+c.key] = c.want
	}
	s.produceRaw(t, &stream.Record{Value: good})
	want[string(good)+"|"] = "key_mismatch"
	s.produce(t, newEvent("u", 9))
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: len(cases) + 1})
	got := map[string]string{}
	for _, l := range s.letters(t) {
		got[string(l.Value)+"|"+string(l.Key)] = l.Reason
		if l.Detail == "" {
			t.Errorf("%s: no detail for a person", l.Reason)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dead letters by their original bytes (-want +got)\n%s", diff)
	}
}

func TestWhatIsNotMeantForBrazeIsSkippedWithAReceipt(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	page, disabled := newEvent("u", 1), newEvent("u", 2)
	page.Kind, disabled.BrazeDisabled = event.KindPage, true
	s.produce(t, page, disabled, newEvent("u", 3))
	r := s.start(t)
	receipts := s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Skipped: 2})
	reasons := map[string]string{}
	for _, slip := range receipts {
		reasons[slip.EventID] = slip.Outcome.Reason
	}
	if diff := cmp.Diff(map[string]string{"u-1": "page_view", "u-2": "integration_disabled", "u-3": ""}, reasons); diff != "" {
		t.Error(diff)
	}
}

func TestAnAttributeIsNotRewrittenWithinItsSpacing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var events []event.Event
	for seq, plan := range []string{"gold", "free", "free"} {
		e := newEvent("u", seq)
		e.Attributes = []byte(`{"plan":"` + plan + `"}`)
		events = append(events, e)
	}
	s.produce(t, events...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3})
	if n := len(s.braze.requests); n != 3 {
		t.Fatalf("%d requests, want 3: attributes may not pass the event before them", n)
	}
	if gap := s.braze.requests[1].At.Sub(s.braze.requests[0].At); gap < s.config.Sender.UserSpacing {
		t.Errorf("another value followed after %v", gap)
	}
	if gap := s.braze.requests[2].At.Sub(s.braze.requests[1].At); gap > s.config.Sender.UserSpacing {
		t.Errorf("the same value had to wait %v", gap)
	}
}

func TestASecondSenderTakesOverWithoutDoublingAnything(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.braze.answer = func(int, request) (int, string) {
		<-time.After(10 * time.Millisecond)
		return http.StatusCreated, `{"message":"success"}`
	}
	a := s.start(t)
	s.produce(t, crowd(40, 20)...)
	b := s.start(t)
	s.braze.await(t, "half of it", func() bool { return len(s.braze.taken) > 400 })
	more := crowd(40, 40)
	s.produce(t, more[800:]...)
	s.awaitReceipts(t, 1200)
	a.drain(t)
	s.produce(t, newEvent("late", 0))
	s.awaitSettled(t)
	b.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1601})
	if n := len(s.braze.taken); n != 1601 {
		t.Errorf("Braze took %d events, want each of 1601 once", n)
	}
}
