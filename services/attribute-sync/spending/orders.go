package spending

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// total is a sum in one currency, and when it was last moved.
type total struct {
	currency string
	sum      event.Amount
	at       int64
}

// order is what is known of one order, by a hash of its id.
type order struct {
	id        uint64
	currency  string // in which it was placed
	worth     event.Amount
	refunds   []total // by currency; only those in the order's own count, and those that name none
	at        int64   // newest of the events that said something new
	placed    bool
	cancelled bool
}

// currencyOf is an event's currency in capitals, empty where it names none. What is no currency would make
// a name of its own among the attributes, or one that Braze does not take.
func currencyOf(c *event.Commerce) (string, bool) {
	if c.Currency == "" {
		return "", true
	}
	currency := strings.ToUpper(c.Currency)
	return strings.Clone(currency), isCurrency(currency)
}

func isCurrency(text string) bool {
	if len(text) != 3 {
		return false
	}
	for _, c := range []byte(text) {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return true
}

// applyOrder moves the sums by what the event changes about its order.
func (s *State) applyOrder(c *event.Commerce, currency string) {
	o := s.order(c)
	in, before, counted := o.currency, o.contribution(), o.counts()
	amount, _ := c.Total.Amount() // nothing where nothing is said
	told := false
	switch c.Type { //nolint:exhaustive // the others do not come here
	case event.OrderPlaced:
		told = !o.placed || o.worth != amount || o.currency != currency
		o.worth, o.currency, o.placed = amount, currency, true
		s.lastAt = max(s.lastAt, c.OccurredAt.UnixMilli())
	case event.OrderCancelled:
		told = !o.cancelled
		o.cancelled = true
	case event.OrderRefunded:
		refund := hash(c.Source, "refund", c.ID)
		if slices.Contains(s.refunds, refund) {
			return
		}
		s.refunds = append(s.refunds, refund)
		s.refunds = s.refunds[max(0, len(s.refunds)-maxRefunds):]
		told = o.refund(currency, amount)
	}
	if told {
		o.at = max(o.at, c.OccurredAt.UnixMilli())
	}
	if !o.placed {
		return
	}
	s.placed += o.counts() - counted
	after, at := o.contribution(), o.at
	if after == before && in == o.currency {
		at = 0
	}
	s.add(in, before.Neg(), at)
	s.add(o.currency, after, at)
}

// counts is by how much an order changes the number of them.
func (o *order) counts() int64 {
	if o.placed && !o.cancelled {
		return 1
	}
	return 0
}

// contribution is by how much an order changes what was spent in its currency: what it is worth without what
// was refunded, and never less than nothing.
func (o *order) contribution() event.Amount {
	if !o.placed || o.cancelled {
		return event.Amount{}
	}
	left := o.worth
	for i := range o.refunds {
		if r := &o.refunds[i]; r.currency == o.currency || r.currency == "" {
			left, _ = left.Add(r.sum.Neg())
		}
	}
	if left.Sign() < 0 {
		return event.Amount{}
	}
	return left
}

// refund adds to what was refunded in a currency. Some write it as a negative amount.
func (o *order) refund(currency string, amount event.Amount) bool {
	if amount.Sign() < 0 {
		amount = amount.Neg()
	}
	i := slices.IndexFunc(o.refunds, func(t total) bool { return t.currency == currency })
	if i < 0 {
		if len(o.refunds) == maxForeign {
			return false
		}
		o.refunds = append(o.refunds, total{currency: currency, sum: amount})
		return true
	}
	sum, ok := o.refunds[i].sum.Add(amount)
	if ok {
		o.refunds[i].sum = sum
	}
	return ok
}

// order finds what is known of the event's order. An event that names none is an order of its own.
func (s *State) order(c *event.Commerce) *order {
	id := hash(c.Source, "order", c.OrderID)
	if c.OrderID == "" {
		id = hash(c.Source, "event", c.ID)
	}
	for i := range s.orders {
		if s.orders[i].id == id {
			return &s.orders[i]
		}
	}
	if len(s.orders) == maxOrders {
		s.orders = slices.Delete(s.orders, 0, 1)
	}
	s.orders = append(s.orders, order{id: id})
	return &s.orders[len(s.orders)-1]
}

// add moves what was spent in a currency, at a moment, or 0 where nothing comes of it. A currency too many is left out rather than another forgotten.
func (s *State) add(currency string, amount event.Amount, at int64) {
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
	if sum, ok := s.totals[i].sum.Add(amount); ok {
		s.totals[i].sum, s.totals[i].at = sum, max(s.totals[i].at, at)
	}
}
