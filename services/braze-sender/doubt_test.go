package brazesender_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// troubles is everything that may go wrong with a user's requests, one after the other: a 500, a 429 in
// each dialect, and a connection that is reset when Braze has the request.
func troubles() []func() reply {
	return []func() reply{
		func() reply { return reply{status: http.StatusInternalServerError, body: `{"message":"oops"}`} },
		func() reply { // the standard dialect: when the window ends, by the clock
			return reply{status: http.StatusTooManyRequests, body: `{"message":"slower"}`, header: http.Header{
				"X-Ratelimit-Limit": {"3000"}, "X-Ratelimit-Remaining": {"0"},
				"X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Add(time.Second).Unix(), 10)},
			}}
		},
		func() reply { // the newer one: how many seconds are left
			return reply{status: http.StatusTooManyRequests, body: `{"message":"slower"}`, header: http.Header{"X-Ratelimit-Retry-After": {"1"}}}
		},
		func() reply { return reply{status: dropConnection, passOn: true} },
	}
}

// troubled makes the requests that carry anything of the user end in one trouble after the other, and
// then well. It returns what the request that was reset had carried.
func (f *front) troubled(t *testing.T, user string) (lost func() []thing) {
	var mu sync.Mutex
	left := troubles()
	var carried []thing
	f.script(func(w wire) reply {
		mu.Lock()
		defer mu.Unlock()
		things := w.things(t)
		if len(left) == 0 || !slices.ContainsFunc(things, func(th thing) bool { return th.User == user }) {
			return reply{}
		}
		answer := left[0]()
		if left = left[1:]; len(left) == 0 {
			carried = things
		}
		return answer
	})
	return func() []thing {
		mu.Lock()
		defer mu.Unlock()
		return carried
	}
}

// TestOneTroubleAfterTheOtherKeepsTheOrderAndLosesNothing: what is in doubt is doubled at most, and only
// that; or refused, and never doubled.
func TestOneTroubleAfterTheOtherKeepsTheOrderAndLosesNothing(t *testing.T) {
	t.Parallel()
	for _, inDoubt := range []string{"resend", "park"} {
		t.Run(inDoubt, func(t *testing.T) {
			t.Parallel()
			s := newSandboxScene(t, brazefake.Options{})
			s.config.Sender.InDoubt = inDoubt
			lost := s.front.troubled(t, "user-3")
			const users, each = 8, 5
			s.produce(t, crowd(users, each)...)
			r := s.start(t)
			slips := byID(s.awaitSettled(t))
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)

			doubt := map[string]bool{}
			for _, th := range lost() {
				doubt[th.User+"-"+th.Seq] = true
			}
			if !doubt["user-3-0"] {
				t.Fatalf("the request that was reset carried %v", lost())
			}
			want := map[outcome.Kind]int{outcome.Delivered: users * each}
			if inDoubt == "park" {
				want = map[outcome.Kind]int{outcome.Delivered: users*each - len(doubt), outcome.Refused: len(doubt)}
			}
			s.assertLaw(t, want)

			times := map[string]int{} // that Braze took an event
			last := map[string]int{}
			for o := range s.front.sandbox.Received() {
				if !o.Fate.Applied() {
					continue
				}
				seq := sequence(t, o.Properties)
				id := fmt.Sprintf("%s-%d", o.User, seq)
				times[id]++
				if before, seen := last[o.User]; seen && seq <= before && times[id] == 1 {
					t.Errorf("%s came after event %d", id, before)
				}
				last[o.User] = seq
			}
			for id, slip := range slips {
				most := 1
				if doubt[id] && inDoubt == "resend" {
					most = 2
				}
				if times[id] < 1 || times[id] > most {
					t.Errorf("%s: Braze took it %d times, want 1 to %d", id, times[id], most)
				}
				if times[id] > 1 && slip.Attempts < 2 {
					t.Errorf("%s was doubled, and its receipt speaks of %d attempts", id, slip.Attempts)
				}
				if refused := slip.Outcome.Kind == outcome.Refused; refused != (doubt[id] && inDoubt == "park") || refused && slip.Outcome.Reason != "in_doubt" {
					t.Errorf("%s: %+v", id, slip.Outcome)
				}
			}
			if n := slips["user-3-0"].Attempts; n != 4 && n != 5 {
				t.Errorf("the receipt of the troubled user's first event speaks of %d attempts", n)
			}
		})
	}
}

// sequence is the number that an event's properties carry.
func sequence(t *testing.T, properties []byte) int {
	t.Helper()
	digits, ok := strings.CutPrefix(string(properties), `{"seq":`)
	n, err := strconv.Atoi(strings.TrimSuffix(digits, "}"))
	if !ok || err != nil {
		t.Fatalf("properties %s", properties)
	}
	return n
}

// TestASendInDoubtIsParkedOrDoubledAsItsRouteSays: a route may know better than the configuration.
func TestASendInDoubtIsParkedOrDoubledAsItsRouteSays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, general, route string
		sends                int
		want                 outcome.Outcome
	}{
		{"the route parks", "resend", "park", 1, outcome.Outcome{Kind: outcome.Refused, Reason: "in_doubt"}},
		{"the route sends again", "park", "resend", 2, outcome.Outcome{Kind: outcome.Delivered}},
		{"the configuration parks", "park", "", 1, outcome.Outcome{Kind: outcome.Refused, Reason: "in_doubt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSandboxScene(t, brazefake.Options{})
			policy := ""
			if c.route != "" {
				policy = ", in_doubt: " + c.route
			}
			s.route(t, `routes: [{name: told, match: {topic: customer.events, event: Told}, send: [{event: {}}, {campaign: {id: c-1, properties: {seq: .properties.seq}`+policy+`}}]}]`)
			s.config.Sender.InDoubt = c.general
			var once sync.Once
			s.front.script(func(w wire) (answer reply) {
				if w.Path == "/campaigns/trigger/send" {
					once.Do(func() { answer = reply{status: dropConnection, passOn: true} })
				}
				return answer
			})
			told := newEvent("u", 1)
			told.Name = "Told"
			s.produce(t, newEvent("u", 0), told, newEvent("u", 2))
			r := s.start(t)
			slips := s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)
			s.assertLaw(t, nil)
			if got := outcomes(slips)["u-1"]; got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if n := len(s.front.sandbox.Sends()); n != c.sends {
				t.Errorf("%d messages were sent, want %d", n, c.sends)
			}
			if diff := cmp.Diff([]string{"happened", "Told", "happened"}, s.names("u")); diff != "" {
				t.Errorf("events (-want +got)\n%s", diff)
			}
		})
	}
}

// TestParkingNeverDoubles has answers lost at random for many users at every endpoint.
func TestParkingNeverDoubles(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{Seed: 3, Knobs: brazefake.Knobs{PDropAfter: 0.1, PDropBefore: 0.05, P5xxBefore: 0.05}})
	s.route(t, withCampaigns)
	s.config.Sender.InDoubt = "park"
	const users, each = 30, 6
	events := crowd(users, each)
	for i := range events {
		events[i].Name = []string{"happened", "Told", "Led"}[i%3]
	}
	s.produce(t, events...)
	r := s.start(t)
	slips := s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, nil)
	parked := 0
	for id, o := range outcomes(slips) {
		if o.Kind == outcome.Refused {
			if parked++; o.Reason != "in_doubt" {
				t.Errorf("%s: %+v", id, o)
			}
		}
	}
	if parked == 0 {
		t.Fatal("nothing was parked: the test tests nothing")
	}
	taken := map[string]int{}
	for o := range s.front.sandbox.Received() {
		if o.Fate.Applied() {
			taken[fmt.Sprintf("%s-%d", o.User, sequence(t, o.Properties))]++
		}
	}
	for _, send := range s.front.sandbox.Sends() {
		taken[fmt.Sprintf("%s %s-%d", send.Campaign, send.User, sequence(t, send.Properties))]++
	}
	for what, n := range taken {
		if n > 1 {
			t.Errorf("%s: Braze took it %d times", what, n)
		}
	}
}
