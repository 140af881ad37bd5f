// Package spending is what a customer has ordered, paid and owes, as far as it belongs on the profile:
// the number of orders and their worth, the last of them, the next renewal, and whether payments go
// well. It is arithmetic on one customer's commerce events; it has no clock and knows no topic.
//
// An event may come twice, late, or under two ids. What an order is worth is therefore kept per order,
// for the last [maxOrders] of them, and the sums move by the difference: an order that is placed twice
// counts once, one that is cancelled counts no more, and it does not matter which was told first. An order
// counts from when it is told to have been placed. One that was placed before anybody listened, and is now
// cancelled or refunded, was never counted, and takes nothing away.
package spending

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// What is remembered of a customer at most: orders, single refunds, currencies, and the currencies of one
// order's refunds. Of an order that has been forgotten a repeat counts anew, and what becomes of it later
// counts no more.
const (
	maxOrders     = 100
	maxRefunds    = 100
	maxCurrencies = 16
	maxForeign    = 4
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

// moment is a value and when it was told: a newer one replaces it.
type moment struct {
	at    int64
	value int64
}

// Apply takes in one event. It reports whether the event is one that profiles are concerned with, which an
// order in what is no currency (three letters) is not; what it changes, Attributes tells.
func (s *State) Apply(c *event.Commerce) bool {
	switch c.Type {
	case event.OrderPlaced, event.OrderCancelled, event.OrderRefunded:
		currency, ok := currencyOf(c)
		if !ok {
			return false
		}
		s.applyOrder(c, currency)
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
			put(r.Spent+"_"+strings.ToLower(t.currency), t.sum.AppendText(nil), t.at)
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
