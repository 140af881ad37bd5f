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
)

// withCampaigns sends a campaign for every event called Told, and a Canvas for every one called Led.
const withCampaigns = `
routes:
  - name: told
    match: {topic: customer.events, event: Told}
    send:
      - event: {}
      - campaign: {id: c-1, properties: {seq: .properties.seq}}
  - name: led
    match: {topic: customer.events, event: Led}
    send:
      - event: {}
      - canvas: {id: x-1, properties: {seq: .properties.seq}}
`

// forbidden is how Braze answers a key that lacks the permission.
func forbidden() reply {
	return reply{status: http.StatusForbidden, body: `{"message":"Access Denied"}`}
}

func TestAnEndpointThatIsForbiddenStopsOnlyItself(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, withCampaigns)
	var allowed atomic.Bool
	s.front.script(func(w wire) reply {
		if w.Path == "/campaigns/trigger/send" && !allowed.Load() {
			return forbidden()
		}
		return reply{}
	})
	const users = 20
	want := map[string][]thing{}
	for i := range users {
		user := fmt.Sprint("told-", i)
		told := newEvent(user, 0)
		told.Name = "Told"
		s.produce(t, told, newEvent(user, 1))
		want[user] = []thing{{user, "Told", "0"}, {user, "campaign c-1", "0"}, {user, "happened", "1"}}
	}
	r := s.start(t)
	awaitHealth(t, r, "red, with the permission", func(err error) bool {
		return err != nil && strings.Contains(err.Error(), "campaigns.trigger.send") && strings.Contains(err.Error(), "403")
	})
	s.produce(t, crowd(200, 3)...) // of other users
	s.awaitReceipts(t, 600)
	r.assertBooks(t, 2*users)
	s.front.mu.Lock()
	sofar := accepted(t, s.front.wires)
	refusals := 0
	for _, w := range s.front.wires {
		if w.Status == http.StatusForbidden {
			refusals++
		}
	}
	s.front.mu.Unlock()
	for user, list := range want {
		if diff := cmp.Diff(list[:1], sofar[user]); diff != "" {
			t.Errorf("%s, while its campaign is forbidden (-want +got)\n%s", user, diff)
		}
	}
	if refusals > 10 {
		t.Errorf("%d requests to an endpoint that is forbidden", refusals)
	}
	allowed.Store(true)
	s.awaitSettled(t)
	awaitHealth(t, r, "green again", func(err error) bool { return err == nil })
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 600 + 2*users})
	if l := s.letters(t); len(l) > 0 {
		t.Errorf("%d dead letters: %s", len(l), summary(l))
	}
	got := accepted(t, s.front.seen())
	for user, list := range want {
		if diff := cmp.Diff(list, got[user]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", user, diff)
		}
	}
}

func TestReadinessNamesEveryEndpointThatIsStopped(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, withCampaigns)
	var campaigns, canvases atomic.Bool
	s.front.script(func(w wire) reply {
		if strings.HasPrefix(w.Path, "/campaigns") && !campaigns.Load() || strings.HasPrefix(w.Path, "/canvas") && !canvases.Load() {
			return forbidden()
		}
		return reply{}
	})
	names := func(campaign, canvas bool) func(err error) bool {
		return func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "campaigns.trigger.send") == campaign && strings.Contains(err.Error(), "canvas.trigger.send") == canvas
		}
	}
	told, led := newEvent("a", 0), newEvent("b", 0)
	told.Name, led.Name = "Told", "Led"
	s.produce(t, told)
	r := s.start(t)
	awaitHealth(t, r, "red for the campaign", names(true, false))
	s.produce(t, led)
	awaitHealth(t, r, "red for both", names(true, true))
	campaigns.Store(true)
	awaitHealth(t, r, "red for the Canvas alone", names(false, true))
	canvases.Store(true)
	s.awaitSettled(t)
	awaitHealth(t, r, "green again", func(err error) bool { return err == nil })
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2})
}

// TestWhileBrazeDoesNotLetUsInNothingIsRefused: whatever is wrong with the key or the address is wrong
// for every record, and none of them is to blame.
func TestWhileBrazeDoesNotLetUsInNothingIsRefused(t *testing.T) {
	t.Parallel()
	for status, what := range map[int]string{
		http.StatusUnauthorized:         "a key that is not known",
		http.StatusForbidden:            "a key without the permission",
		http.StatusNotFound:             "a wrong address",
		http.StatusMovedPermanently:     "an address that has moved",
		http.StatusUnsupportedMediaType: "a proxy that does not like JSON",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newSandboxScene(t, brazefake.Options{})
			s.route(t, everyKind)
			words, quoted := `{"message":"Not with us"}`, "Not with us"
			if status == http.StatusNotFound { // whoever is there is not Braze
				words, quoted = "<html>Welcome!</html>", "unreadable answer"
			}
			var in atomic.Bool
			s.front.script(func(wire) reply {
				if !in.Load() {
					return reply{status: status, body: words}
				}
				return reply{}
			})
			const users, each = 20, 5
			events, want := mixture(users, each)
			s.produce(t, events...)
			r := s.start(t)
			awaitHealth(t, r, "red, with the reason", func(err error) bool {
				return err != nil && strings.Contains(err.Error(), fmt.Sprint(status)) && strings.Contains(err.Error(), quoted)
			})
			s.awaitGauge(t, r, users*each)
			s.front.await(t, "another try at something", func(wires []wire) bool {
				tries := map[string]int{}
				for _, w := range wires {
					if tries[w.Path]++; tries[w.Path] > 1 {
						return true
					}
				}
				return false
			})
			if n := len(s.receipts(t)); n > 0 {
				t.Errorf("%d records are settled while Braze lets nobody in", n)
			}
			in.Store(true)
			s.awaitSettled(t)
			awaitHealth(t, r, "green again", func(err error) bool { return err == nil })
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)
			s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: users * each})
			if l := s.letters(t); len(l) > 0 {
				t.Errorf("%d dead letters: %s", len(l), summary(l))
			}
			got := accepted(t, s.front.seen())
			for user, list := range want {
				if diff := cmp.Diff(list, got[user]); diff != "" {
					t.Errorf("%s (-asked for +done)\n%s", user, diff)
				}
			}
		})
	}
}
