// Package spending is what a customer has ordered, paid and owes, as far as it belongs on the profile:
// the number of orders and their worth, the last of them, the next renewal, and whether payments go
// well. It is arithmetic on one customer's commerce events; it has no clock and knows no topic.
//
// An event may come twice, late, or under two ids. What an order is worth is therefore kept per order,
// for the last [maxOrders] of them, and the sums move by the difference: an order that is placed twice
// counts once, one that is cancelled counts no more, and it does not matter which was told first.
package spending

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// What is remembered of a customer at most: orders, single refunds and currencies. Of an order that has
// been forgotten a repeat counts anew.
const (
	maxOrders     = 100
	maxRefunds    = 100
	maxCurrencies = 16
)

// State is what is known of one customer. The zero State is of somebody who has bought nothing.
type State struct {
	placed   int64 // orders that count
	lastAt   int64 // when the last was placed; Unix milliseconds, 0 for never
	totals   []total
	orders   []order // oldest first
	refunds  []uint64
	renewal  moment
	payments moment // at is when; value 1 when one has failed and none has been recovered since
}

// total is what a customer has spent in one currency.
type total struct {
	currency string
	sum      event.Amount
}

// order is what is known of one order, by a hash of its id.
type order struct {
	id        uint64
	currency  string
	worth     event.Amount // when it was placed, or as its cancellation says
	refunded  event.Amount
	placed    bool
	cancelled bool
}

// moment is a value and when it was told: a newer one replaces it.
type moment struct {
	at    int64
	value int64
}

// Apply takes in one event. It reports whether the event is one that profiles are concerned with; what
// it changes, Attributes tells.
func (s *State) Apply(c *event.Commerce) bool {
	switch c.Type {
	case event.OrderPlaced, event.OrderCancelled, event.OrderRefunded:
		s.applyOrder(c)
	case event.RenewalDue:
		if c.DueAt.IsZero() {
			return false
		}
		s.renewal.tell(c.OccurredAt, c.DueAt.UnixMilli())
	case event.PaymentFailed:
		s.payments.tell(c.OccurredAt, 1)
	case event.PaymentRecovered:
		s.payments.tell(c.OccurredAt, 0)
	case event.ProductViewed, event.CartUpdated, event.CheckoutStarted, event.ShipmentUpdated, event.Delivered:
		return false
	default:
		return false
	}
	return true
}

// tell replaces the value unless a newer one is there.
func (m *moment) tell(at time.Time, value int64) {
	if ms := at.UnixMilli(); ms >= m.at || m.at == 0 {
		m.at, m.value = ms, value
	}
}

// applyOrder moves the sums by what the event changes about its order.
func (s *State) applyOrder(c *event.Commerce) {
	o := s.order(c)
	before, counted := o.contribution(), o.counts()
	amount, _ := c.Total.Amount() // nothing where nothing is said
	switch c.Type {               //nolint:exhaustive // the others do not come here
	case event.OrderPlaced:
		o.worth, o.placed = amount, true
		s.lastAt = max(s.lastAt, c.OccurredAt.UnixMilli())
	case event.OrderCancelled:
		if !o.placed {
			o.worth = amount
		}
		o.cancelled = true
	case event.OrderRefunded:
		refund := hash(c.Source, "refund", c.ID)
		if slices.Contains(s.refunds, refund) {
			return
		}
		s.refunds = append(s.refunds, refund)
		s.refunds = s.refunds[max(0, len(s.refunds)-maxRefunds):]
		if sum, ok := o.refunded.Add(amount); ok {
			o.refunded = sum
		}
	}
	s.placed += o.counts() - counted
	s.add(o.currency, o.contribution(), before.Neg())
}

// counts is by how much an order changes the number of them. One that is cancelled and was never seen
// being placed must have been counted before it was forgotten, or will be when its placing arrives.
func (o *order) counts() int64 {
	switch {
	case o.placed && !o.cancelled:
		return 1
	case !o.placed && o.cancelled:
		return -1
	}
	return 0
}

// contribution is by how much an order changes what was spent.
func (o *order) contribution() event.Amount {
	left, _ := o.worth.Add(o.refunded.Neg())
	switch {
	case o.placed && !o.cancelled:
		return left
	case o.placed:
		return event.Amount{}
	case o.cancelled:
		return left.Neg()
	}
	return o.refunded.Neg()
}

// order finds what is known of the event's order. An event that names none is an order of its own.
func (s *State) order(c *event.Commerce) *order {
	id := hash(c.Source, "order", c.OrderID)
	if c.OrderID == "" {
		id = hash(c.Source, "event", c.ID)
	}
	for i := range s.orders {
		if o := &s.orders[i]; o.id == id {
			if o.currency == "" {
				o.currency = strings.Clone(c.Currency)
			}
			return o
		}
	}
	if len(s.orders) == maxOrders {
		s.orders = slices.Delete(s.orders, 0, 1)
	}
	s.orders = append(s.orders, order{id: id, currency: strings.Clone(c.Currency)})
	return &s.orders[len(s.orders)-1]
}

// add moves what was spent in a currency. A currency too many is left out rather than another forgotten.
func (s *State) add(currency string, amounts ...event.Amount) {
	if currency == "" {
		return
	}
	i, found := slices.BinarySearchFunc(s.totals, currency, func(t total, c string) int { return cmp.Compare(t.currency, c) })
	if !found {
		if len(s.totals) == maxCurrencies {
			return
		}
		s.totals = slices.Insert(s.totals, i, total{currency: currency})
	}
	for _, a := range amounts {
		if sum, ok := s.totals[i].sum.Add(a); ok {
			s.totals[i].sum = sum
		}
	}
}

// Empty reports whether nothing is known.
func (s *State) Empty() bool {
	return len(s.orders) == 0 && len(s.totals) == 0 && s.renewal == (moment{}) && s.payments == (moment{})
}

// Attribute is one field that the profile ought to have.
type Attribute struct {
	Name  string
	Value []byte    // JSON
	At    time.Time // when it came to be so
}

// Attributes appends what the profile ought to say. What was never told is left out.
func (r *Rules) Attributes(dst []Attribute, s *State) []Attribute {
	put := func(name string, value []byte, at int64) {
		if name != "" {
			dst = append(dst, Attribute{name, value, time.UnixMilli(at)})
		}
	}
	if s.lastAt > 0 {
		put(r.Orders, strconv.AppendInt(nil, max(0, s.placed), 10), s.lastAt)
		put(r.LastOrder, timeJSON(s.lastAt), s.lastAt)
	}
	for i := range s.totals {
		if t := &s.totals[i]; r.Spent != "" {
			put(r.Spent+"_"+strings.ToLower(t.currency), t.sum.AppendText(nil), s.lastAt)
		}
	}
	if s.renewal.at > 0 {
		put(r.Renewal, timeJSON(s.renewal.value), s.renewal.at)
	}
	if s.payments.at > 0 {
		status := `"active"`
		if s.payments.value == 1 {
			status = `"past_due"`
		}
		put(r.Billing, []byte(status), s.payments.at)
	}
	return dst
}

func timeJSON(ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(nil, `"`+time.RFC3339+`"`)
}
