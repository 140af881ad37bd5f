package brazesender_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// inThree is a record of three requests: its event, a campaign and a Canvas.
const inThree = `
routes:
  - name: three
    match: {topic: customer.events, event: Three}
    send:
      - event: {}
      - campaign: {id: c-1, properties: {seq: .properties.seq}}
      - canvas: {id: x-1, properties: {seq: .properties.seq}}
`

// blocked is a scene with users of whom Braze takes everything up to the campaign, or the Canvas, until
// it is opened.
func blocked(t *testing.T, users int, from string) (s *scene, open *atomic.Bool, want map[string][]thing) {
	t.Helper()
	s = newSandboxScene(t, brazefake.Options{})
	s.route(t, inThree)
	open = &atomic.Bool{}
	s.front.script(func(w wire) reply {
		if strings.HasPrefix(w.Path, from) && !open.Load() {
			return reply{status: http.StatusServiceUnavailable, body: `{"message":"later"}`}
		}
		return reply{}
	})
	want = map[string][]thing{}
	for i := range users {
		user := fmt.Sprint("user-", i)
		e := newEvent(user, 0)
		e.Name = "Three"
		s.produce(t, e, newEvent(user, 1))
		want[user] = []thing{{user, "Three", "0"}, {user, "campaign c-1", "0"}, {user, "campaign x-1", "0"}, {user, "happened", "1"}}
	}
	return s, open, want
}

// underWay reads the receipts that say how far a record has come.
func (s *scene) underWay(t *testing.T) map[string]int {
	t.Helper()
	done := map[string]int{}
	err := stream.Read(t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.BrazeDeliveries)}, func(r *stream.Record) error {
		slip, err := receipt.Read(r.Value)
		if err == nil && slip.Outcome.Kind == outcome.Deferred {
			done[slip.EventID] = slip.PartsDone
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// awaitParts waits until n receipts say that so many parts are done.
func (s *scene) awaitParts(t *testing.T, n, parts int) {
	t.Helper()
	s.front.await(t, "a request that is not let through", func(wires []wire) bool {
		taken := 0
		for i := range wires {
			if wires[i].Status >= 200 && wires[i].Status <= 299 {
				taken += len(wires[i].things(t))
			}
		}
		return taken == n*parts
	})
}

func TestARestartBetweenTheRequestsOfARecordRepeatsNone(t *testing.T) {
	t.Parallel()
	for from, parts := range map[string]int{"/campaigns": 1, "/canvas": 2} {
		t.Run(fmt.Sprint("after ", parts), func(t *testing.T) {
			t.Parallel()
			const users = 15
			s, open, want := blocked(t, users, from)
			for range 2 { // the second restart finds the same
				r := s.start(t)
				s.awaitParts(t, users, parts)
				s.awaitGauge(t, r, 2*users)
				r.drain(t)
			}
			done := s.underWay(t)
			for i := range users {
				if n := done[fmt.Sprintf("user-%d-0", i)]; n != parts {
					t.Errorf("the receipt of user-%d's event says that %d parts are done, want %d", i, n, parts)
				}
			}
			open.Store(true)
			r := s.start(t)
			s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2 * users})
			got := accepted(t, s.front.seen())
			for user, list := range want {
				if diff := cmp.Diff(list, got[user]); diff != "" {
					t.Errorf("%s (-want +got)\n%s", user, diff)
				}
			}
		})
	}
}

func TestATakeoverBetweenTheRequestsOfARecordRepeatsNone(t *testing.T) {
	t.Parallel()
	const users = 30
	s, open, want := blocked(t, users, "/campaigns")
	a := s.start(t)
	s.awaitParts(t, users, 1)
	b := s.start(t)
	s.awaitMembers(t, a, b)
	open.Store(true)
	s.awaitSettled(t)
	a.drain(t)
	b.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2 * users})
	got := accepted(t, s.front.seen())
	for user, list := range want {
		if diff := cmp.Diff(list, got[user]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", user, diff)
		}
	}
}

// TestARecordThatIsPartlyThereAndThenRefusedSaysSo: whoever replays the dead letter has to know.
func TestARecordThatIsPartlyThereAndThenRefusedSaysSo(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, inThree)
	var back atomic.Bool
	s.front.script(func(w wire) reply {
		if strings.HasPrefix(w.Path, "/campaigns") && !back.Load() {
			return reply{status: http.StatusBadRequest, body: `{"message":"The campaign is gone"}`}
		}
		return reply{}
	})
	e := newEvent("u", 0)
	e.Name = "Three"
	s.produce(t, e, newEvent("u", 1))
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 1})
	if slip := slips["u-0"]; slip.PartsDone != 1 || slip.Endpoint != "/campaigns/trigger/send" || slip.Outcome.Detail != "400: The campaign is gone" {
		t.Errorf("the receipt: %+v", slip)
	}
	if diff := cmp.Diff([]string{"Three", "happened"}, s.names("u")); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	if n := len(s.front.sandbox.Sends()); n != 0 {
		t.Errorf("%d sends, want none: the Canvas was to follow the campaign", n)
	}

	// Whoever replays the letter with its headers has the rest done, and nothing twice.
	letter := s.letters(t)[0]
	back.Store(true)
	s.produceRaw(t, &stream.Record{Key: letter.Key, Value: letter.Value, Headers: append(letter.Headers, stream.Header{Key: "replayed-from", Value: []byte("x")})})
	r = s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2, outcome.Refused: 1})
	if diff := cmp.Diff([]string{"Three", "happened"}, s.names("u")); diff != "" {
		t.Errorf("events after the replay (-want +got)\n%s", diff)
	}
	if n := len(s.front.sandbox.Sends()); n != 2 {
		t.Errorf("%d sends after the replay, want the campaign and the Canvas", n)
	}
}

func TestAPausedCanvasIsToldInTheReceipt(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{Campaigns: map[string]brazefake.Campaign{"x-1": {Kind: brazefake.Canvas, State: brazefake.Paused}}})
	s.route(t, `
routes:
  - name: welcome
    match: {topic: customer.events, event: happened}
    send:
      - canvas: {id: x-1}
`)
	s.produce(t, newEvent("u", 0))
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1})
	if slip := slips["u-0"]; !strings.Contains(slip.Outcome.Detail, "paused") {
		t.Errorf("Braze took it and sends nothing; the receipt says %q", slip.Outcome.Detail)
	}
}
