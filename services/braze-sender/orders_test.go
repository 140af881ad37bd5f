package brazesender_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// order is a complete commerce event about an order.
func order(user, id string, kind event.CommerceType) event.Commerce {
	return event.Commerce{
		ID: fmt.Sprintf("%s-%s", id, kind), User: event.User{ExternalID: user}, Type: kind,
		OccurredAt: longAgo, ReceivedAt: longAgo, Source: "shop.example.com",
		OrderID: id, CartID: "cart-" + id, CheckoutID: "checkout-" + id, Currency: "EUR",
		Total: "84.9", Subtotal: "80", Tax: "4.9", Shipping: "0", Reason: "changed my mind",
		Discounts: []event.Discount{{Code: "SPRING", Amount: "2", Type: "fixed_amount"}},
		Lines: []event.Line{
			{ProductID: "P1", ProductName: "Lamp", VariantID: "P1-red", Quantity: 2, Price: "38.5"},
			{ProductID: "P2", ProductName: "Bulb", VariantID: "P2", Quantity: 1, Price: "5"},
		},
	}
}

// names are what a user's events at Braze are called, in the order in which they came.
func (s *scene) names(user string) (names []string) {
	p, _ := s.front.sandbox.Profile(user)
	for _, e := range brazefake.InOrderReceived(p.Events) {
		names = append(names, e.Name)
	}
	return names
}

func TestEveryTypeOfCommerceEventIsTakenByAStrictBraze(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait = time.Minute
	var events []event.Commerce
	var want []string
	for _, kind := range event.CommerceTypes() {
		c := order("u", "so-1", kind)
		name := string(kind)
		switch kind {
		case event.ProductViewed:
			c.Lines = c.Lines[:1]
			name = "ecommerce." + name
		case event.CartUpdated, event.CheckoutStarted, event.OrderPlaced, event.OrderCancelled, event.OrderRefunded:
			name = "ecommerce." + name
		case event.ShipmentUpdated:
			c.Carrier, c.Tracking = "Post", "RR123"
		case event.RenewalDue, event.PaymentFailed:
			c.DueAt = longAgo.Add(72 * time.Hour)
		case event.Delivered, event.PaymentRecovered:
		}
		events, want = append(events, c), append(want, name)
		bare := event.Commerce{ // what a source may say at the least: no recommended event, but an event
			ID: "bare-" + string(kind), User: event.User{ExternalID: "bare"}, Type: kind, OccurredAt: longAgo, ReceivedAt: longAgo, Source: "shop",
		}
		events = append(events, bare)
	}
	s.produceCommerce(t, events...)
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.assertBooks(t, 0)
	if n := r.sum(t, "sluice_sender_plain_commerce_total"); n != 6 {
		t.Errorf("%v events are counted as plain though there are recommended ones, want 6", n)
	}
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 22})
	if diff := cmp.Diff(want, s.names("u")); diff != "" {
		t.Errorf("the complete ones (-want +at Braze)\n%s", diff)
	}
	var plain []string
	for _, kind := range event.CommerceTypes() {
		plain = append(plain, string(kind))
	}
	if diff := cmp.Diff(plain, s.names("bare")); diff != "" {
		t.Errorf("the bare ones (-want +at Braze)\n%s", diff)
	}
	if slip := slips["so-1-order_placed"]; !strings.HasSuffix(slip.Topic, "commerce.events") || slip.Endpoint != "/users/track" || slip.Status != http.StatusCreated {
		t.Errorf("the order's receipt: %+v", slip)
	}
}

func TestAnOrderOfManyLinesKeepsItsTotals(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	c := order("u", "so-1", event.OrderPlaced)
	for len(c.Lines) < 400 {
		c.Lines = append(c.Lines, event.Line{ProductID: "P", ProductName: "Nail", VariantID: "V", Quantity: 1, Price: "0.1"})
	}
	s.produceCommerce(t, c)
	r := s.start(t)
	s.awaitSettled(t)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1})
	p, _ := s.front.sandbox.Profile("u")
	if len(p.Events) != 1 || !strings.Contains(string(p.Events[0].Properties), `"total_value":84.9,`) {
		t.Errorf("%d events; of the order: %.300s", len(p.Events), p.Events[0].Properties)
	}
}

// TestPurchasesOfALargeOrderAreTakenOverSeveralRequests: an account may allow fewer objects in a request
// than an order has lines.
func TestPurchasesOfALargeOrderAreTakenOverSeveralRequests(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{MaxObjects: 50})
	s.config.Braze.MaxObjects = 50
	s.route(t, `routes: [{name: sold, match: {topic: commerce.events}, send: [{purchase: {each: ".lines[]"}}]}]`)
	c := order("u", "so-1", event.OrderPlaced)
	for len(c.Lines) < 70 {
		c.Lines = append(c.Lines, event.Line{ProductID: fmt.Sprint("P", len(c.Lines)), Quantity: 1, Price: "0.1"})
	}
	s.produceCommerce(t, c)
	s.produce(t, newEvent("other", 0))
	r := s.start(t)
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2})
	if p, _ := s.front.sandbox.Profile("u"); len(p.Purchases) != 70 {
		t.Errorf("%d purchases, want 70", len(p.Purchases))
	}
}

func TestTheSameStateOfAnOrderIsSentOnce(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait = time.Minute
	again := func(c event.Commerce, id string) event.Commerce { c.ID = id; return c }
	placed, refund := order("u", "so-1", event.OrderPlaced), order("u", "so-1", event.OrderRefunded)
	second := again(refund, "refund-2")
	second.OccurredAt = second.OccurredAt.Add(time.Hour)
	shipped := order("u", "so-1", event.ShipmentUpdated)
	moved := again(shipped, "shipped-2")
	moved.Carrier = "Post"
	elsewhere := again(placed, "elsewhere")
	elsewhere.Source = "another.example.com"
	s.produceCommerce(t,
		placed, again(placed, "placed-again"),
		refund, again(refund, "refund-again"), second,
		shipped, again(shipped, "shipped-again"), moved,
		elsewhere, order("u", "so-2", event.OrderPlaced), order("v", "so-1", event.OrderPlaced),
	)
	r := s.start(t)
	got := outcomes(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 8, outcome.Skipped: 3})
	for _, id := range []string{"placed-again", "refund-again", "shipped-again"} {
		if want := (outcome.Outcome{Kind: outcome.Skipped, Reason: "same_order_state"}); got[id] != want {
			t.Errorf("%s: %+v, want %+v", id, got[id], want)
		}
	}
}

func TestARefundThatOvertookItsOrderFollowsIt(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait = time.Minute
	// The two may come by different ways, and the refund's next event does not wait for it.
	s.produceCommerce(t, order("u", "so-1", event.OrderRefunded), order("u", "so-1", event.OrderCancelled))
	s.produce(t, newEvent("u", 0))
	r := s.start(t)
	s.awaitReceipts(t, 1)
	s.awaitGauge(t, r, 2)
	if diff := cmp.Diff([]string{"happened"}, s.names("u")); diff != "" {
		t.Errorf("before the order (-want +got)\n%s", diff)
	}
	s.produceCommerce(t, order("u", "so-1", event.OrderPlaced))
	s.awaitSettled(t)
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 4})
	if diff := cmp.Diff([]string{"happened", "ecommerce.order_placed", "ecommerce.order_refunded", "ecommerce.order_cancelled"}, s.names("u")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestARefundWhoseOrderNeverComesIsSentInTheEnd(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait = 300 * time.Millisecond
	refund := order("u", "so-1", event.OrderRefunded)
	again := refund
	again.ID = "again"
	began := time.Now()
	s.produceCommerce(t, refund, again)
	r := s.start(t)
	got := outcomes(s.awaitSettled(t))
	if waited := time.Since(began); waited < s.config.Sender.OrderWait {
		t.Errorf("it was sent after %v", waited)
	}
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Skipped: 1})
	if got["again"].Reason != "same_order_state" {
		t.Errorf("the same refund once more: %+v", got["again"])
	}
}

func TestARefundThatWaitsStaysOnTheTopicWhenTheSenderStops(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait = time.Hour
	s.produceCommerce(t, order("u", "so-1", event.OrderRefunded))
	s.produce(t, newEvent("u", 0))
	r := s.start(t)
	s.awaitReceipts(t, 1)
	s.awaitGauge(t, r, 1)
	r.drain(t)
	if n := len(s.receipts(t)); n != 1 {
		t.Errorf("%d receipts, want that of the event alone", n)
	}
	s.produceCommerce(t, order("u", "so-1", event.OrderPlaced))
	r2 := s.start(t)
	s.awaitSettled(t)
	r2.assertBooks(t, 0)
	r2.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3})
	if diff := cmp.Diff([]string{"happened", "ecommerce.order_placed", "ecommerce.order_refunded"}, s.names("u")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAnOrderThatBrazeRefusedMayBeSaidAgain(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	var refused atomic.Bool
	s.front.script(func(wire) reply {
		if !refused.Swap(true) {
			return reply{status: http.StatusCreated, body: `{"message":"success","errors":[{"index":0,"input_array":"events","type":"not today"}]}`}
		}
		return reply{}
	})
	placed := order("u", "so-1", event.OrderPlaced)
	s.produceCommerce(t, placed)
	r := s.start(t)
	s.awaitSettled(t)
	again, third := placed, placed
	again.ID, third.ID = "again", "third"
	s.produceCommerce(t, again, third)
	got := outcomes(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 1, outcome.Skipped: 1})
	if got["again"].Kind != outcome.Delivered || got["third"].Kind != outcome.Skipped {
		t.Errorf("%+v", got)
	}
}

// TestAnOrderSurvivesARebalance: what was said of an order and not sent is read again when its partition
// comes back to the same sender.
func TestAnOrderSurvivesARebalance(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait = time.Minute
	var up atomic.Bool
	s.front.script(func(wire) reply {
		if !up.Load() {
			return reply{status: http.StatusServiceUnavailable, body: `{"message":"later"}`}
		}
		return reply{}
	})
	const users = 30
	for i := range users {
		s.produceCommerce(t, order(fmt.Sprint("user-", i), "so", event.OrderPlaced))
	}
	a := s.start(t)
	s.awaitGauge(t, a, users)
	s.front.await(t, "a try", func(wires []wire) bool { return len(wires) > 0 })
	b := s.start(t)
	s.awaitMembers(t, a, b)
	up.Store(true)
	s.awaitSettled(t)
	a.drain(t)
	b.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: users})
	for i := range users {
		if diff := cmp.Diff([]string{"ecommerce.order_placed"}, s.names(fmt.Sprint("user-", i))); diff != "" {
			t.Errorf("user-%d (-want +got)\n%s", i, diff)
		}
	}
}

// awaitMembers waits until both senders have partitions.
func (s *scene) awaitMembers(t *testing.T, a, b *running) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for a.sum(t, "sluice_sender_partitions") == 0 || b.sum(t, "sluice_sender_partitions") == 0 {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%v and %v partitions", a.sum(t, "sluice_sender_partitions"), b.sum(t, "sluice_sender_partitions"))
		}
	}
}
