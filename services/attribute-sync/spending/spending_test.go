package spending

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

var rules = Rules{Orders: "orders_placed", LastOrder: "last_order_at", Spent: "total_spent", Renewal: "next_renewal_at", Billing: "billing_status"}

func at(hour int) time.Time { return time.Date(2026, 3, 4, hour, 0, 0, 0, time.UTC) }

func about(t event.CommerceType, id, order, total string, hour int) *event.Commerce {
	return &event.Commerce{ID: id, Type: t, OrderID: order, Currency: "EUR", Total: event.Money(total), Source: "shop", OccurredAt: at(hour)}
}

func in(currency string, c *event.Commerce) *event.Commerce {
	c.Currency = currency
	return c
}

func attributes(s *State) map[string]string {
	m := map[string]string{}
	for _, a := range rules.Attributes(nil, s) {
		m[a.Name] = string(a.Value)
	}
	return m
}

func TestWhatACustomersEventsComeTo(t *testing.T) {
	renewal, later := about(event.RenewalDue, "r", "", "", 1), about(event.RenewalDue, "r2", "", "", 5)
	renewal.DueAt, later.DueAt = at(10), at(20)
	dollars := about(event.OrderPlaced, "d", "D", "0.10", 3)
	dollars.Currency = "USD"
	dollarsToo := about(event.OrderPlaced, "d2", "D2", "0.20", 4)
	dollarsToo.Currency = "USD"
	for _, c := range []struct {
		name   string
		events []*event.Commerce
		want   map[string]string
	}{
		{"looking around is nothing for the profile", []*event.Commerce{about(event.ProductViewed, "v", "", "", 1), about(event.CartUpdated, "c", "", "9", 1)}, map[string]string{}},
		{
			"two orders",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "84.90", 1), about(event.OrderPlaced, "2", "B", "0.10", 2)},
			map[string]string{"orders_placed": "2", "last_order_at": `"2026-03-04T02:00:00Z"`, "total_spent_eur": "85"},
		},
		{
			"an order that is told twice, under two ids, counts once",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "84.90", 1), about(event.OrderPlaced, "9", "A", "84.90", 1)},
			map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T01:00:00Z"`, "total_spent_eur": "84.9"},
		},
		{
			"an order that is cancelled counts no more",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "84.90", 1), about(event.OrderCancelled, "2", "A", "84.90", 2)},
			map[string]string{"orders_placed": "0", "last_order_at": `"2026-03-04T01:00:00Z"`, "total_spent_eur": "0"},
		},
		{
			"a refund that is told twice counts once",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "84.90", 1), about(event.OrderRefunded, "2", "A", "4.90", 2), about(event.OrderRefunded, "2", "A", "4.90", 2)},
			map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T01:00:00Z"`, "total_spent_eur": "80"},
		},
		{
			"cents are exact, each currency by itself",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "1", 1), dollars, dollarsToo},
			map[string]string{"orders_placed": "3", "last_order_at": `"2026-03-04T04:00:00Z"`, "total_spent_eur": "1", "total_spent_usd": "0.3"},
		},
		{
			"of an order that was never placed here, nothing that happens to it counts",
			[]*event.Commerce{
				about(event.OrderCancelled, "1", "old", "50", 1), about(event.OrderRefunded, "2", "older", "20", 1), about(event.OrderPlaced, "3", "new", "80", 2),
			},
			map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T02:00:00Z"`, "total_spent_eur": "80"},
		},
		{"nor is anything said of who did no more", []*event.Commerce{about(event.OrderCancelled, "1", "old", "50", 1), about(event.OrderRefunded, "2", "older", "20", 1)}, map[string]string{}},
		{
			"a refund in another currency than its order's does not count",
			[]*event.Commerce{in("USD", about(event.OrderRefunded, "2", "A", "110", 2)), about(event.OrderPlaced, "1", "A", "100", 1), in("GBP", about(event.OrderRefunded, "3", "A", "20", 3))},
			map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T01:00:00Z"`, "total_spent_eur": "100"},
		},
		{
			"one that names none does, and a negative one is as good",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "100", 1), in("", about(event.OrderRefunded, "2", "A", "10", 2)), about(event.OrderRefunded, "3", "A", "-15", 3)},
			map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T01:00:00Z"`, "total_spent_eur": "75"},
		},
		{
			"a refund of more than the order was worth takes nothing from the others",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "10", 1), about(event.OrderPlaced, "2", "B", "5", 1), about(event.OrderRefunded, "3", "A", "12", 3)},
			map[string]string{"orders_placed": "2", "last_order_at": `"2026-03-04T01:00:00Z"`, "total_spent_eur": "5"},
		},
		{
			"a currency is the same in small letters",
			[]*event.Commerce{about(event.OrderPlaced, "1", "A", "1", 1), in("eur", about(event.OrderPlaced, "2", "B", "2", 2))},
			map[string]string{"orders_placed": "2", "last_order_at": `"2026-03-04T02:00:00Z"`, "total_spent_eur": "3"},
		},
		{"the newest renewal stands, whichever arrives last", []*event.Commerce{later, renewal}, map[string]string{"next_renewal_at": `"2026-03-04T20:00:00Z"`}},
		{"a payment fails", []*event.Commerce{about(event.PaymentFailed, "p", "", "", 1)}, map[string]string{"billing_status": `"past_due"`}},
		{"and is recovered, told in the wrong order", []*event.Commerce{about(event.PaymentRecovered, "q", "", "", 2), about(event.PaymentFailed, "p", "", "", 1)}, map[string]string{"billing_status": `"active"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s State
			for _, e := range c.events {
				s.Apply(e)
			}
			if diff := cmp.Diff(c.want, attributes(&s)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestTheOrderOfTellingDoesNotMatter tells the life of orders in many orders, with repeats, and lays the
// state aside after each event.
func TestTheOrderOfTellingDoesNotMatter(t *testing.T) {
	life := []*event.Commerce{
		about(event.OrderPlaced, "1", "A", "84.90", 1), about(event.OrderRefunded, "2", "A", "4.90", 2), about(event.OrderRefunded, "3", "A", "10", 3),
		about(event.OrderPlaced, "4", "B", "20.05", 4), about(event.OrderCancelled, "5", "B", "20.05", 5),
		about(event.OrderPlaced, "6", "C", "7", 6), about(event.OrderRefunded, "7", "C", "2", 7), about(event.OrderCancelled, "8", "C", "7", 8),
		in("USD", about(event.OrderRefunded, "9", "A", "1", 4)), in("GBP", about(event.OrderRefunded, "10", "A", "2", 5)), in("", about(event.OrderRefunded, "11", "A", "-1", 5)),
		about(event.OrderCancelled, "12", "never placed", "9", 7), about(event.OrderRefunded, "13", "never placed either", "9", 7),
		in("CHF", about(event.OrderPlaced, "14", "D", "3", 2)), in("CHF", about(event.OrderCancelled, "15", "D", "3", 9)),
	}
	want := map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T06:00:00Z"`, "total_spent_eur": "69", "total_spent_chf": "0"}
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 2_000 {
		told := append([]*event.Commerce{}, life...)
		for range r.IntN(4) {
			told = append(told, life[r.IntN(len(life))])
		}
		r.Shuffle(len(told), func(i, j int) { told[i], told[j] = told[j], told[i] })
		var kept []byte
		var s State
		for _, e := range told {
			if err := s.Decode(kept); err != nil {
				t.Fatal(err)
			}
			s.Apply(e)
			kept = s.Append(nil)
		}
		if diff := cmp.Diff(want, attributes(&s)); diff != "" {
			t.Fatalf("round %d (-want +got)\n%s", round, diff)
		}
	}
}

func TestMoneyInWhatIsNoCurrencyIsLeftOut(t *testing.T) {
	for _, currency := range []string{strings.Repeat("X", 65), "EURO", "€", "E R", "12", "EU\n"} {
		var s, back State
		if s.Apply(in(currency, about(event.OrderPlaced, "1", "A", "84.90", 1))) {
			t.Errorf("%q is a currency", currency)
		}
		s.Apply(about(event.OrderPlaced, "2", "B", "1", 2))
		if err := back.Decode(s.Append(nil)); err != nil {
			t.Errorf("%q: %v", currency, err)
		}
		want := map[string]string{"orders_placed": "1", "last_order_at": `"2026-03-04T02:00:00Z"`, "total_spent_eur": "1"}
		if diff := cmp.Diff(want, attributes(&back)); diff != "" {
			t.Errorf("%q (-want +got)\n%s", currency, diff)
		}
	}
}

func TestASumIsAsNewAsWhatLastMovedIt(t *testing.T) {
	var s State
	for _, c := range []*event.Commerce{
		about(event.OrderPlaced, "1", "A", "10", 1), in("USD", about(event.OrderPlaced, "2", "B", "10", 5)),
		about(event.OrderRefunded, "3", "A", "3", 3), about(event.OrderPlaced, "1", "A", "10", 7),
	} {
		s.Apply(c)
	}
	got := map[string]time.Time{}
	for _, a := range rules.Attributes(nil, &s) {
		got[a.Name] = a.At.UTC()
	}
	want := map[string]time.Time{"orders_placed": at(7), "last_order_at": at(7), "total_spent_eur": at(3), "total_spent_usd": at(5)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var s State
	for i := range 10_000 {
		e := about(event.OrderPlaced, "e", "", "1", 1)
		e.ID = strings.Repeat("x", i%700) + string(rune('a'+i%26))
		e.Currency = string(rune('A'+i%26)) + string(rune('A'+i/26%26)) + "X"
		s.Apply(e)
		s.Apply(&event.Commerce{ID: e.ID, Type: event.OrderRefunded, Source: "shop", OccurredAt: at(1)})
	}
	if n := len(s.Append(nil)); n > 8_000 {
		t.Errorf("%d bytes for one customer", n)
	}
}

func TestNamesThatBrazeWouldNotTake(t *testing.T) {
	for _, bad := range []Rules{{Orders: "$x"}, {Spent: " x"}, {Renewal: strings.Repeat("x", 300)}, {Orders: "x", Billing: "x"}} {
		if bad.Validate() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := rules.Validate(); err != nil {
		t.Error(err)
	}
	want := map[string]string{
		"commerce.orders": "orders_placed", "commerce.last_order": "last_order_at", "commerce.spent": "total_spent_*",
		"commerce.renewal": "next_renewal_at", "commerce.billing": "billing_status",
	}
	if diff := cmp.Diff(want, maps.Collect(rules.Named())); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzDecode reads any bytes: what is a state comes back as it was, everything else is an error.
func FuzzDecode(f *testing.F) {
	var s State
	s.Apply(about(event.OrderPlaced, "1", "A", "84.90", 1))
	s.Apply(about(event.OrderRefunded, "2", "A", "4.90", 2))
	s.Apply(about(event.PaymentFailed, "3", "", "", 2))
	f.Add(s.Append(nil))
	f.Add(s.Append(nil)[:20])
	f.Add([]byte{wireVersion, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.Decode(b) != nil {
			if !s.Empty() {
				t.Fatal("a state that could not be read is not empty")
			}
			return
		}
		again := s.Append(nil)
		var back State
		if err := back.Decode(again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, back.Append(nil)); diff != "" {
			t.Fatal(diff)
		}
		s.Apply(about(event.OrderCancelled, "9", "A", "1", 9))
		rules.Attributes(nil, &s)
	})
}
