package brazesender_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// badNames are n of the names of a batch, chosen by chance.
func badNames(n, of int, seed uint64) map[string]bool {
	bad := map[string]bool{}
	for _, i := range rand.New(rand.NewPCG(seed, 0)).Perm(of)[:n] {
		bad[fmt.Sprintf("user-%d", i)] = true
	}
	return bad
}

// batchScene is a scene in which exactly one batch of 75 goes, and the sandbox answers for what is good
// in it. Objects of bad users are refused as mode says.
func batchScene(t *testing.T, bad map[string]bool, whole bool) *scene {
	t.Helper()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.Linger = 2 * time.Second // the batch is full long before
	s.front.script(func(w wire) reply {
		var errors []string
		for i, th := range w.things(t) {
			if bad[th.User] {
				errors = append(errors, fmt.Sprintf(`{"index":%d,"input_array":"events","type":"%s is not welcome"}`, i, th.User))
			}
		}
		switch {
		case len(errors) == 0:
			return reply{}
		case whole:
			return reply{status: http.StatusBadRequest, body: `{"message":"Somebody is not welcome"}`}
		}
		return reply{status: http.StatusCreated, body: `{"message":"success","errors":[` + strings.Join(errors, ",") + `]}`}
	})
	s.produce(t, crowd(75, 1)...)
	return s
}

// assertCulprits holds dead letters and deliveries to who was bad.
func (s *scene) assertCulprits(t *testing.T, bad map[string]bool, reason, words string) {
	t.Helper()
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 75 - len(bad), outcome.Refused: len(bad)})
	letters := s.letters(t)
	if len(letters) != len(bad) {
		t.Errorf("%d dead letters, want %d", len(letters), len(bad))
	}
	for _, l := range letters {
		user := string(l.Key)
		if !bad[user] || l.Reason != reason || l.Detail != strings.ReplaceAll(words, "WHO", user) {
			t.Errorf("a dead letter of %s: %s, %s", user, l.Reason, l.Detail)
		}
	}
	for id, slip := range byID(s.receipts(t)) {
		if user, _ := strings.CutSuffix(id, "-0"); (slip.Outcome.Kind == outcome.Refused) != bad[user] {
			t.Errorf("%s: %+v", id, slip.Outcome)
		}
	}
}

func TestOfABatchWithBadObjectsExactlyThoseAreRefusedByTheirItemErrors(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 10, 74, 75} {
		t.Run(fmt.Sprint(n, " bad"), func(t *testing.T) {
			t.Parallel()
			bad := badNames(n, 75, uint64(n))
			s := batchScene(t, bad, false)
			r := s.start(t)
			s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertCulprits(t, bad, "item_error", "events: WHO is not welcome")
			if n := len(s.front.seen()); n != 1 {
				t.Errorf("%d calls, want 1: the answer names them", n)
			}
		})
	}
}

func TestOfABatchThatIsRefusedAsAWholeExactlyTheCulpritsAreFound(t *testing.T) {
	t.Parallel()
	for n, mostCalls := range map[int]int{1: 1 + 8, 10: 1 + 60, 74: 1 + 8 + 2*74, 75: 1 + 8 + 2*74} {
		t.Run(fmt.Sprint(n, " bad"), func(t *testing.T) {
			t.Parallel()
			bad := badNames(n, 75, uint64(n))
			s := batchScene(t, bad, true)
			r := s.start(t)
			s.awaitSettled(t)
			r.assertBooks(t, 0)
			r.drain(t)
			s.assertManners(t)
			s.assertCulprits(t, bad, "rejected", "400: Somebody is not welcome")
			taken := map[string]int{}
			wires := s.front.seen()
			for user, things := range accepted(t, wires) {
				if taken[user] = len(things); bad[user] || taken[user] != 1 {
					t.Errorf("Braze took %d events of %s", taken[user], user)
				}
			}
			if len(taken) != 75-n {
				t.Errorf("Braze has events of %d users, want %d", len(taken), 75-n)
			}
			if len(wires) > mostCalls {
				t.Errorf("%d calls, want at most %d", len(wires), mostCalls)
			}
		})
	}
}

// TestOneCulpritCostsAtMostEightCallsMore tries every place that a culprit can have in a batch of 75: the
// batch has the users in the order in which their records came, so the place is the place in the request.
func TestOneCulpritCostsAtMostEightCallsMore(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 1)
	s.sandbox(t, brazefake.Options{})
	s.config.Sender.Linger = 5 * time.Second
	s.front.script(func(w wire) reply {
		if strings.Contains(w.Body, `"name":"bad"`) {
			return reply{status: http.StatusBadRequest, body: `{"message":"bad"}`}
		}
		return reply{}
	})
	r := s.start(t)
	for place := range 75 {
		events := crowd(75, 1)
		for i := range events {
			events[i].ID = fmt.Sprintf("%d-%d", place, i)
		}
		events[place].Name = "bad"
		s.produce(t, events...)
		s.awaitGauge(t, r, 0) // nothing is held: not yet taken, or settled
		s.front.await(t, "the batch to be done with", func(wires []wire) bool {
			good := 0
			for i := range wires {
				if wires[i].Status == http.StatusCreated {
					good += len(wires[i].things(t))
				}
			}
			return good == 74
		})
		s.awaitEnded(t, r, 75*(place+1))
		if more := len(s.front.seen()) - 1; more > 8 {
			t.Errorf("a culprit in place %d: %d calls more", place, more)
		}
	}
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 75 * 74, outcome.Refused: 75})
	for _, l := range s.letters(t) {
		if place, i, _ := strings.Cut(l.EventID, "-"); place != i || l.Detail != "400: bad" {
			t.Errorf("dead letter of %s: %s", l.EventID, l.Detail)
		}
	}
}

// awaitEnded waits until the sender has ended n records.
func (s *scene) awaitEnded(t *testing.T, r *running, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for r.sum(t, "sluice_sender_settled_total") < float64(n) {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%v records have ended, want %d", r.sum(t, "sluice_sender_settled_total"), n)
		}
	}
}

// TestACulpritOfACallForManyRecipientsIsFound does the same at another endpoint.
func TestACulpritOfACallForManyRecipientsIsFound(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, `routes: [{name: r, match: {topic: customer.events, event: Told}, send: [{campaign: {id: c-1, properties: {seq: .properties.seq}}}]}]`)
	s.config.Sender.Linger = 500 * time.Millisecond
	s.front.script(func(w wire) reply {
		if w.Path == "/campaigns/trigger/send" && strings.Contains(w.Body, `"user-17"`) {
			return reply{status: http.StatusBadRequest, body: `{"message":"The recipient is not welcome"}`}
		}
		return reply{}
	})
	s.produce(t, crowd(50, 1)...)
	var told []event.Event
	for _, e := range crowd(50, 2)[50:] {
		e.Name = "Told"
		told = append(told, e)
	}
	s.produce(t, told...)
	r := s.start(t)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 99, outcome.Refused: 1})
	if l := s.letters(t); len(l) != 1 || l[0].EventID != "user-17-1" || l[0].Detail != "400: The recipient is not welcome" {
		t.Errorf("%d dead letters: %s", len(l), summary(l))
	}
	campaigns := 0
	for _, w := range s.front.seen() {
		if w.Path == "/campaigns/trigger/send" {
			campaigns++
		}
	}
	if campaigns > 1+8 {
		t.Errorf("%d calls, want at most 8 more than one", campaigns)
	}
	if n := len(s.front.sandbox.Sends()); n != 49 {
		t.Errorf("%d messages were sent, want 49", n)
	}
}

// TestTroubleDuringTheSearchKeepsOrderAndBlamesNobodyElse: while a culprit is looked for, calls fail as
// they do at any other time.
func TestTroubleDuringTheSearchKeepsOrderAndBlamesNobodyElse(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 1)
	s.sandbox(t, brazefake.Options{Seed: 5, Knobs: brazefake.Knobs{P5xxBefore: 0.08, PDropBefore: 0.04}})
	s.config.Sender.Linger = 500 * time.Millisecond
	s.front.script(func(w wire) reply {
		if strings.Contains(w.Body, `"name":"bad"`) {
			return reply{status: http.StatusBadRequest, body: `{"message":"bad"}`}
		}
		return reply{}
	})
	events := crowd(5, 15)
	for _, i := range []int{31, 33, 60} {
		events[i].Name = "bad"
	}
	s.produce(t, events...)
	r := s.start(t)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 72, outcome.Refused: 3})
	for _, l := range s.letters(t) {
		if l.EventID != events[31].ID && l.EventID != events[33].ID && l.EventID != events[60].ID {
			t.Errorf("a dead letter of %s: %s", l.EventID, l.Detail)
		}
	}
	got := accepted(t, s.front.seen())
	for u := range 5 {
		user := fmt.Sprint("user-", u)
		var want []thing
		for i, e := range events {
			if e.User.ExternalID == user && e.Name != "bad" {
				want = append(want, thing{user, "happened", fmt.Sprint(i / 5)})
			}
		}
		if diff := cmp.Diff(want, got[user]); diff != "" {
			t.Errorf("%s (-want +got)\n%s", user, diff)
		}
	}
}

// TestAHalfThatIsInDoubtDoesNotMakeTheOtherGuilty: only of a half that went well is it known that the
// culprit is in the other.
func TestAHalfThatIsInDoubtDoesNotMakeTheOtherGuilty(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 1)
	s.sandbox(t, brazefake.Options{})
	s.config.Sender.InDoubt, s.config.Sender.Linger = "park", 500*time.Millisecond
	s.front.script(func(w wire) reply {
		switch n := len(w.things(t)); {
		case n == 8:
			return reply{status: http.StatusBadRequest, body: `{"message":"bad"}`}
		case strings.Contains(w.Body, `"user-0"`):
			return reply{status: dropConnection}
		}
		return reply{}
	})
	s.produce(t, crowd(8, 1)...)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 4, outcome.Refused: 4})
	for _, l := range s.letters(t) {
		if l.Reason != "in_doubt" {
			t.Errorf("%s was refused: %s, %s", l.EventID, l.Reason, l.Detail)
		}
	}
}
