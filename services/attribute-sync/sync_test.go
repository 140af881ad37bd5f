package attributesync_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// one produces records that are taken in one batch after the other, so that nothing folds.
func (s *scene) one(r *replica, records ...*stream.Record) {
	s.t.Helper()
	for _, record := range records {
		before := r.counters("sluice_attributes_accepted_total")[""]
		s.produce(record)
		r.law(before + 1)
	}
}

func expect[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", what, diff)
	}
}

func TestOnlyWhatDiffersIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		s.one(r,
			s.profile("u", "1", 1, `{"tier":"gold","city":"Wien"}`),
			s.profile("u", "2", 2, `{"city":"Wien","tier":"gold"}`),
			s.profile("u", "3", 3, `{"tier":"silver","city":"Wien"}`),
			s.profile("u", "4", 4, `{"tier":null}`),
		)
		updates := s.updates(3)
		expect(t, "told", []string{`u {"city":"Wien","tier":"gold"}`, `u {"tier":"silver"}`, `u {"tier":null}`}, told(updates))
		expect(t, "the law", map[string]int{"delivered": 3, "skipped unchanged": 1}, r.law(4))
		expect(t, "data points", map[string]int{"crm sent": 4, "crm same": 3}, r.counters("sluice_attributes_data_points_total", "source", "fate"))
		first := updates[0]
		if len(first.Causes) != 1 || first.Causes[0].ID != "1" || first.Causes[0].Source != "crm" || first.Causes[0].Topic != s.config.Kafka.Topic(schema.CustomerProfiles) ||
			first.DataPoints != 2 || !first.OccurredAt.Equal(at(1)) || first.ID == updates[1].ID {
			t.Errorf("the first update is %+v", first)
		}
	})
}

func TestABurstFoldsIntoOne(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.config.Sync.Linger = 2 * time.Second
		var burst []*stream.Record
		for i := range 20 {
			burst = append(burst, s.profile("u", fmt.Sprint(i), i, fmt.Sprintf(`{"seen":%d}`, i)))
		}
		s.produce(burst...)
		r := s.start()
		expect(t, "the law", map[string]int{"delivered": 20}, r.law(20))
		updates := s.updates(1)
		expect(t, "told", []string{`u {"seen":19}`}, told(updates))
		if len(updates[0].Causes) != 20 {
			t.Errorf("%d causes", len(updates[0].Causes))
		}
		expect(t, "data points", map[string]int{"sent": 1, "folded": 19}, r.counters("sluice_attributes_data_points_total", "fate"))
	})
}

// TestWhatIsTakenBackAtOnceIsNotDelivered: Braze is told nothing of it.
func TestWhatIsTakenBackAtOnceIsNotDelivered(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.config.Sync.Linger = time.Second
		r := s.start()
		s.one(r, s.profile("u", "1", 1, `{"tier":"gold"}`))
		r.stop()
		s.produce(s.profile("u", "2", 2, `{"tier":"silver"}`), s.profile("u", "3", 3, `{"tier":"gold"}`))
		r = s.start()
		expect(t, "the law", map[string]int{"skipped unchanged": 2}, r.law(2))
		expect(t, "told", []string{`u {"tier":"gold"}`}, told(s.updates(1)))
	})
}

func TestAStaleWriteLosesAndIsExplained(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.fields("fields:\n  - {name: tier, owner: loyalty}\n")
		r := s.start()
		s.one(r, s.profile("u", "new", 9, `{"city":"Wien"}`), s.profile("u", "old", 3, `{"city":"Graz"}`), s.profile("u", "thief", 10, `{"tier":"gold"}`))
		updates := s.updates(3)
		expect(t, "told", []string{`u {"city":"Wien"}`, "u ", "u "}, told(updates))
		expect(t, "the law", map[string]int{"delivered": 1, "skipped stale": 1, "skipped not_owner": 1}, r.law(3))
		expect(t, "declined", map[string]int{"crm city stale": 1, "crm tier not_owner": 1}, r.counters("sluice_attributes_declined_total", "source", "field", "reason"))
		for i, want := range []event.Declined{1: {ID: "old", Source: "crm", Field: "city", Reason: "stale"}, 2: {ID: "thief", Source: "crm", Field: "tier", Reason: "not_owner"}} {
			if i == 0 {
				continue
			}
			if len(updates[i].Declined) != 1 {
				t.Fatalf("declined: %+v", updates[i].Declined)
			}
			got := updates[i].Declined[0]
			if got.Detail == "" {
				t.Errorf("%s: no words for a person", got.ID)
			}
			got.Detail = ""
			expect(t, "declined", want, got)
		}
	})
}

func TestAClockThatIsAheadDoesNotWinForEver(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		in2099 := s.change(&event.Profile{ID: "1", User: event.User{ExternalID: "u"}, Set: []byte(`{"city":"Wien"}`), Source: "till", OccurredAt: noon.AddDate(73, 0, 0), ReceivedAt: noon})
		s.one(r, in2099)
		now := s.change(&event.Profile{ID: "2", User: event.User{ExternalID: "u"}, Set: []byte(`{"city":"Graz"}`), Source: "crm", OccurredAt: time.Now().Add(time.Second), ReceivedAt: noon})
		s.one(r, now)
		expect(t, "told", []string{`u {"city":"Wien"}`, `u {"city":"Graz"}`}, told(s.updates(2)))
	})
}

func TestWhatBrazeWouldNotTakeIsADeadLetter(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		bad := s.profile("u", "bad", 1, `{"country":"Austria","tier":"gold"}`)
		foreign := s.profile("u", "key", 1, `{"a":1}`)
		foreign.Key = []byte("somebody else")
		forged := s.change(&event.Profile{ID: "forged", User: event.User{ExternalID: "u"}, Set: []byte(`{"open_cases":0}`), Source: "sluice.support", OccurredAt: at(1), ReceivedAt: at(1)})
		garbage := &stream.Record{Topic: schema.CustomerProfiles, Key: []byte("u"), Value: []byte("{}")}
		large := s.profile("u", "large", 1, `{"a":"`+strings.Repeat("x", 600<<10)+`"}`)
		stranger := s.supportCase("u", "what", "exploded", at(1))
		s.produce(bad, foreign, forged, garbage, large, stranger, s.profile("u", "good", 2, `{"tier":"gold"}`))
		expect(t, "the law", map[string]int{
			"refused invalid": 3, "refused key_mismatch": 1, "refused not_avro": 1, "refused too_large": 1, "delivered": 1,
		}, r.law(7))
		expect(t, "told", []string{`u {"tier":"gold"}`}, told(s.updates(1)))
		for _, l := range s.letters(6) {
			switch l.EventID {
			case "bad":
				if l.Reason != "invalid" || !strings.Contains(l.Detail, "country") || string(l.Value) != string(bad.Value) || string(l.Key) != "u" {
					t.Errorf("a dead letter that does not help: %s, %s", l.Reason, l.Detail)
				}
			case "what":
				if !strings.Contains(l.Detail, "event") {
					t.Errorf("of the unknown event: %s", l.Detail)
				}
			}
		}
	})
}

func TestTheStateSurvivesAndGoesOn(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		s.one(r, s.profile("u", "1", 1, `{"tier":"gold"}`), s.profile("v", "1", 1, `{"tier":"gold"}`))
		r.stop()
		r = s.start() // with the copy that is there
		s.one(r, s.profile("u", "2", 2, `{"tier":"gold"}`))
		r.stop()
		s.config.State.Dir = t.TempDir() // and from nothing
		r = s.start()
		s.one(r, s.profile("v", "2", 2, `{"tier":"gold"}`), s.profile("v", "3", 3, `{"tier":"bronze"}`))
		expect(t, "the law of the last", map[string]int{"skipped unchanged": 1, "delivered": 1}, r.law(2))
		expect(t, "told in all", 3, len(s.updates(3)))
	})
}

func TestWhatBrazeRefusedIsSentAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		s.one(r, s.profile("u", "1", 1, `{"tier":"gold"}`))
		u := s.updates(1)[0]
		refusal := receipt.Receipt{
			EventID: u.ID, Topic: s.config.Kafka.Topic(schema.BrazeAttributes),
			Outcome: outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "no"},
		}
		s.produce(s.receipt("u", refusal))
		s.awaitState("u", func(c *attributesync.Customer) bool {
			return c != nil && strings.HasPrefix(c.Fields()[0].Known, "unknown")
		})
		s.one(r, s.profile("u", "2", 2, `{"tier":"gold"}`))
		expect(t, "told", []string{`u {"tier":"gold"}`, `u {"tier":"gold"}`}, told(s.updates(2)))
	})
}

func TestWhoIsDeletedIsForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		s.one(r, s.profile("u", "1", 1, `{"tier":"gold"}`))
		deleted := receipt.Receipt{EventID: "erase", Topic: "customer.events", Endpoint: "/users/delete", Outcome: outcome.Outcome{Kind: outcome.Delivered}}
		s.produce(s.receipt("u", deleted))
		s.awaitState("u", func(c *attributesync.Customer) bool { return c == nil })
		s.one(r, s.profile("u", "2", 2, `{"tier":"gold"}`))
		expect(t, "told", []string{`u {"tier":"gold"}`, `u {"tier":"gold"}`}, told(s.updates(2)))
	})
}

// awaitState waits until what is kept of a customer is as it should be; nil is nothing.
func (s *scene) awaitState(user string, is func(*attributesync.Customer) bool) {
	s.t.Helper()
	var value []byte
	s.read(schema.State(attributesync.Name), func() bool {
		if len(value) == 0 {
			return is(nil)
		}
		c, err := attributesync.ReadCustomer([]byte(user), value)
		if err != nil {
			s.t.Fatal(err)
		}
		return is(c)
	}, func() { value = nil }, func(r *stream.Record) {
		if string(r.Key) == user {
			value = r.Value
		}
	})
}

func TestOrdersLeaveTheirTraceOnTheProfile(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		placed := &event.Commerce{
			ID: "o1", User: event.User{ExternalID: "u"}, Type: event.OrderPlaced, OrderID: "A", Currency: "EUR", Total: "84.90", Source: "shop", OccurredAt: at(1), ReceivedAt: at(1),
		}
		viewed := *placed
		viewed.ID, viewed.Type = "v1", event.ProductViewed
		again := *placed
		again.ID = "o1-again"
		s.one(r, s.order(placed), s.order(&viewed), s.order(&again))
		expect(t, "told", []string{fmt.Sprintf(`u {"last_order_at":"%s","orders_placed":1,"total_spent_eur":84.9}`, at(1).Format(time.RFC3339))}, told(s.updates(1)))
		expect(t, "the law", map[string]int{"delivered": 1, "skipped not_for_profiles": 1, "skipped unchanged": 1}, r.law(3))
	})
}

func TestABillingSystemsOwnWordCountsByItsTime(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		failed := &event.Commerce{ID: "f", User: event.User{ExternalID: "u"}, Type: event.PaymentFailed, Source: "stripe", OccurredAt: noon, ReceivedAt: noon}
		paid := &event.Profile{ID: "p", User: event.User{ExternalID: "u"}, Set: []byte(`{"billing_status":"active"}`), Source: "stripe", OccurredAt: noon.Add(time.Second), ReceivedAt: noon}
		s.one(r, s.order(failed), s.change(paid))
		expect(t, "told", []string{`u {"billing_status":"past_due"}`, `u {"billing_status":"active"}`}, told(s.updates(2)))
	})
}

func TestAnOrderOfTheYear2099IsOfToday(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		failed := &event.Commerce{ID: "f", User: event.User{ExternalID: "u"}, Type: event.PaymentFailed, Source: "till", OccurredAt: noon.AddDate(73, 0, 0), ReceivedAt: noon}
		paid := *failed
		paid.ID, paid.Type, paid.OccurredAt = "p", event.PaymentRecovered, time.Now().Add(time.Second)
		s.one(r, s.order(failed), s.order(&paid))
		expect(t, "told", []string{`u {"billing_status":"past_due"}`, `u {"billing_status":"active"}`}, told(s.updates(2)))
	})
}

func TestACaseHoldsPromotionsBackAndASurveyFollows(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.fields("support: {renew_step: 0s, cool_down: 0s, survey: {after: 1s}}\n")
		r := s.start()
		opened := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
		s.one(r, s.supportCase("u", "z1", event.CaseOpened, opened), s.supportCase("u", "z1", event.CaseOpened, opened))
		fields, err := attributesync.LoadFields(s.config.Sync.FieldsFile)
		if err != nil {
			t.Fatal(err)
		}
		s.awaitState("u", func(c *attributesync.Customer) bool {
			if c == nil {
				return false
			}
			until, muted := c.MutedUntil(fields, time.Now())
			return muted && until.Equal(opened.Add(7*24*time.Hour)) && strings.HasPrefix(c.WhyMuted(fields, time.Now()), "muted until ")
		})
		expect(t, "told", []string{fmt.Sprintf(`u {"at_risk":false,"last_case_status":"open","open_cases":1,"promotions_suppressed_until":"%s"}`,
			opened.Add(7*24*time.Hour).Format(time.RFC3339))}, told(s.updates(1)))
		s.one(r, s.supportCase("u", "z2", event.CaseResolved, opened.Add(30*time.Second)))
		updates := s.updates(3) // nobody has to send anything for the survey to come due
		var survey *event.Update
		for i := range updates {
			if updates[i].Trigger != "" {
				survey = &updates[i]
			}
		}
		if survey == nil || survey.Trigger != "support_survey_due" || !strings.Contains(string(survey.Properties), `"case_id":"4711"`) {
			t.Fatalf("told: %q", told(updates))
		}
		expect(t, "the law", map[string]int{"delivered": 2, "skipped nothing_new": 1}, r.law(3))
	})
}

// TestReplicasComeAndGo lets two replicas share the work and leave in the middle of it. What is told must be
// what a naive model tells: every attribute told differs from the one before, and the last is the newest.
func TestReplicasComeAndGo(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		const users, rounds = 200, 30
		newest := map[string]string{}
		first := s.start()
		dir := s.config.State.Dir
		s.config.State.Dir = t.TempDir()
		var second *replica
		for round := range rounds {
			var records []*stream.Record
			for u := range users {
				user, value := fmt.Sprintf("u%d", u), fmt.Sprintf(`{"n":%d}`, round/3*1000+u)
				newest[user] = value
				records = append(records, s.profile(user, fmt.Sprintf("%d-%d", round, u), round, value))
			}
			s.produce(records...)
			switch round {
			case 5:
				second = s.start()
			case 12:
				first.stop()
			case 18:
				s.config.State.Dir = dir
				first = s.start()
			case 24:
				second.stop()
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			last, points, twice := map[string]string{}, 0, 0
			for _, u := range s.updates(1) {
				if last[u.User.Key()] == string(u.Attributes) {
					twice++
				}
				last[u.User.Key()] = string(u.Attributes)
				points += int(u.DataPoints)
			}
			if twice > 0 {
				t.Fatalf("%d updates say what was said before", twice)
			}
			if points > users*rounds/3 {
				t.Fatalf("%d data points for %d changes", points, users*rounds/3)
			}
			if cmp.Equal(newest, last) {
				break
			}
			select {
			case <-ctx.Done():
				t.Fatalf("told in the end (-want +got)\n%s", cmp.Diff(newest, last))
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}
