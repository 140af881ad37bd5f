package brazesender_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
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

func awaitHealth(t *testing.T, r *running, what string, cond func(err error) bool) {
	t.Helper()
	awaitFailing(t, r, "braze", what, cond)
}

func awaitFailing(t *testing.T, r *running, check, what string, cond func(err error) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for !cond(r.process.Health.Failing(t.Context())[check]) {
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

func TestRecordsOutOfAllBoundsStopNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	e := newEvent("u", 1)
	e.ID = strings.Repeat("x", 900_000)
	s.produce(t, e)
	good := newEvent("u", 2)
	value := avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &good)
	s.produceRaw(t,
		&stream.Record{Key: bytes.Repeat([]byte("k"), 600_000), Value: value},
		&stream.Record{Key: []byte("\xff\xfe"), Value: value},
		&stream.Record{Key: []byte("u"), Value: []byte("garbage"), Headers: []stream.Header{{Key: "h", Value: make([]byte, 900_000)}}},
	)
	s.produce(t, good)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 4})
	for _, slip := range s.receipts(t) {
		if !utf8.ValidString(slip.UserID) || len(slip.UserID) > 1000 || len(slip.EventID) > 1000 {
			t.Errorf("a receipt names user %.20q and event %.20q, of %d and %d bytes", slip.UserID, slip.EventID, len(slip.UserID), len(slip.EventID))
		}
	}
}

func TestARegistryThatIsAwayHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	target, err := url.Parse(registryURL)
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusServiceUnavailable)
			return
		}
		r.Host = target.Host
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.config.Registry.URL = front.URL
	s.produce(t, newEvent("first", 0))
	r := s.start(t)
	s.awaitSettled(t)

	// A schema that the sender has not seen: ours with another doc, as an upstream team would have it.
	text := strings.Replace(schemas.Latest(schema.CustomerEvents), "A customer's key action.", "Our own words.", 1)
	reg, err := registry.New(registry.Config{URL: registryURL})
	if err != nil {
		t.Fatal(err)
	}
	id, err := reg.Register(t.Context(), s.config.Kafka.Topic("upstream")+"-value", text)
	if err != nil || id == s.ids[schema.CustomerEvents] {
		t.Fatalf("id %d, %v", id, err)
	}
	away.Store(true)
	foreign := newEvent("foreign", 1)
	s.produceRaw(t, &stream.Record{Key: []byte("foreign"), Value: avro.AppendEvent(nil, id, &foreign)})
	awaitFailing(t, r, "registry", "red", func(err error) bool { return err != nil })
	s.produce(t, newEvent("foreign", 2)) // behind the parked record, in its partition
	others := 0
	for i := range 30 { // two partitions of three go on
		s.produce(t, newEvent(fmt.Sprintf("other-%d", i), 1))
	}
	s.braze.await(t, "other customers' events", func() bool {
		others = len(s.braze.taken) - 1
		return others >= 10
	})
	away.Store(false)
	s.awaitSettled(t)
	awaitFailing(t, r, "registry", "green", func(err error) bool { return err == nil })
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 33})
}

func TestADrainDoesNotWaitForTheBudgetOfAHalvedRequest(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.config.Braze.Rate = quota.Rate{Count: 1, Per: time.Hour}
	s.braze.answer = func(int, request) (int, string) { return http.StatusBadRequest, `{"message":"no"}` }
	s.produce(t, crowd(10, 1)...)
	r := s.start(t)
	s.braze.await(t, "the refusal of the whole", func() bool { return len(s.braze.requests) == 1 })
	r.drain(t) // fails after a minute; the budget comes back in an hour
	if n := len(s.receipts(t)); n != 0 {
		t.Errorf("%d records were settled: nobody has found the culprit yet", n)
	}
}

func TestARecordThatAlwaysDrawsA5xxTravelsAloneInTheEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var cured atomic.Bool
	s.braze.answer = func(_ int, r request) (int, string) {
		for _, e := range r.Events {
			if e.ExternalID == "poison" && !cured.Load() {
				return http.StatusInternalServerError, `{"message":"oops"}`
			}
		}
		return http.StatusCreated, `{"message":"success"}`
	}
	s.produce(t, newEvent("poison", 0))
	s.produce(t, crowd(40, 10)...)
	s.produce(t, newEvent("poison", 1))
	r := s.start(t)
	s.awaitReceipts(t, 400)
	s.braze.await(t, "the culprit without company", func() bool {
		last := s.braze.requests[len(s.braze.requests)-1]
		return !slices.ContainsFunc(last.Events, func(e sentEvent) bool { return e.ExternalID != "poison" })
	})
	cured.Store(true)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 402})
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
