package attributesync_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// TestABacklogOfStaleRecordsIsExplainedInPieces: what a transaction cannot hold would stop everybody for ever.
func TestABacklogOfStaleRecordsIsExplainedInPieces(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		const records, fields = 300, 60
		set := func(value int) string {
			var b strings.Builder
			for i := range fields {
				fmt.Fprintf(&b, `,"field_number_%d":%d`, i, value)
			}
			return "{" + b.String()[1:] + "}"
		}
		backlog := []*stream.Record{s.profile("u", "newest", 1000, set(0))}
		for i := range records {
			backlog = append(backlog, s.profile("u", fmt.Sprintf("stale-%d-%s", i, strings.Repeat("x", 200)), i, set(i+1)))
		}
		s.produce(backlog...)
		r := s.start()
		expect(t, "the law", map[string]int{"delivered": 1, "skipped stale": records}, r.law(records+1))
		explained := 0
		for _, u := range s.updates(2) {
			explained += len(u.Declined)
		}
		expect(t, "writes that are explained", records*fields, explained)
	})
}

// TestWhatWouldNotFitIntoAnotherRecordIsRefused: keys, ids and sources are written again, for each field once.
func TestWhatWouldNotFitIntoAnotherRecordIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		long := strings.Repeat("x", 70<<10)
		from := func(user, id, source string) *stream.Record {
			return s.change(&event.Profile{ID: id, User: event.User{ExternalID: user}, Set: []byte(`{"a":1}`), Source: source, OccurredAt: at(1), ReceivedAt: at(1)})
		}
		order := func(id, currency string) *stream.Record {
			return s.order(&event.Commerce{ID: id, User: event.User{ExternalID: "u"}, Type: event.OrderPlaced, Currency: currency, Total: "1", Source: "shop", OccurredAt: at(1), ReceivedAt: at(1)})
		}
		s.produce(from(long, "1", "crm"), from("u", long, "crm"), from("u", "3", long), order("4", long), order("5", strings.Repeat("y", 450<<10)), s.profile("u", "6", 1, `{"b":1}`))
		r := s.start()
		ended := r.law(6)
		if ended["refused too_large"] != 3 || ended["delivered"] < 1 {
			t.Errorf("the law: %v", ended)
		}
		s.awaitState("u", func(c *attributesync.Customer) bool { return c != nil && len(c.Fields()) > 0 })
	})
}

// TestBytesThatAreNoTextArePassedOnToNobody: other programs read what stands on braze.attributes, and are strict.
func TestBytesThatAreNoTextArePassedOnToNobody(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		from := func(id, source string) *stream.Record {
			return s.change(&event.Profile{ID: id, User: event.User{ExternalID: "u"}, Set: []byte(`{"a":1}`), Source: source, OccurredAt: at(1), ReceivedAt: at(1)})
		}
		s.produce(from("\xff", "crm"), from("2", "crm\x80"), from("3", "crm"))
		r := s.start()
		expect(t, "the law", map[string]int{"refused undecodable": 2, "delivered": 1}, r.law(3))
	})
}

// TestTheAddressThatSomebodyIsKnownByIsNotSaidTwice: Braze is told whom an update is about by it.
func TestTheAddressThatSomebodyIsKnownByIsNotSaidTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		r := s.start()
		mira := event.User{Email: "mira@example.com"}
		s.one(r,
			s.change(&event.Profile{ID: "1", User: mira, Set: []byte(`{"email":"mira@example.com","tier":"gold"}`), Source: "crm", OccurredAt: at(1), ReceivedAt: at(1)}),
			s.change(&event.Profile{ID: "2", User: event.User{Phone: "+431234567"}, Set: []byte(`{"phone":"+431234567"}`), Source: "crm", OccurredAt: at(1), ReceivedAt: at(1)}),
		)
		expect(t, "told", []string{`email:mira@example.com {"tier":"gold"}`}, told(s.updates(1)))
	})
}

// TestWhatWasSaidBeforeADeletionIsTold: in one batch with it, too.
func TestWhatWasSaidBeforeADeletionIsTold(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		deleted := receipt.Receipt{EventID: "erase", Topic: "customer.events", Endpoint: "/users/delete", Outcome: outcome.Outcome{Kind: outcome.Delivered}}
		s.config.Sync.Linger = 2 * time.Second
		r := s.start()
		s.produce(s.profile("u", "1", 1, `{"tier":"gold"}`))
		r.await("the change to be taken in", func() bool { return r.gauge("sluice_attributes_held") == 1 })
		s.produce(s.receipt("u", deleted))
		expect(t, "the law", map[string]int{"delivered": 1}, r.law(1))
		expect(t, "told", []string{`u {"tier":"gold"}`}, told(s.updates(1)))
	})
}

// TestAnOlderReleaseLeavesANewersStateAlone: totals would begin anew, and Braze be told so.
func TestAnOlderReleaseLeavesANewersStateAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		newer := []byte{250, 1, 2, 3}
		s.produce(&stream.Record{Topic: schema.State(attributesync.Name), Key: []byte("u"), Value: newer})
		s.produce(s.profile("u", "1", 1, `{"tier":"gold"}`))
		r := s.start()
		r.await("a batch that is given up", func() bool { return r.counters("sluice_attributes_batches_dropped_total")[""] > 0 })
		s.read(schema.State(attributesync.Name), func() bool { return true }, func() {}, func(rec *stream.Record) {
			if string(rec.Value) != string(newer) {
				t.Errorf("the state is %x now", rec.Value)
			}
		})
		if n := r.counters("sluice_attributes_accepted_total")[""]; n != 0 {
			t.Errorf("%d records were taken", n)
		}
	})
}
