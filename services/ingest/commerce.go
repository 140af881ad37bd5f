package ingest

import (
	"slices"

	"github.com/sluicehq/sluice/pkg/event"
)

// commerceItem is the item of a commerce event that was made elsewhere, held to what the body of
// POST /v1/commerce is held to. The event's metadata must be valid JSON, and bounded.
func commerceItem(c *event.Commerce) item {
	it := item{commerce: c}
	it.refuse(checkCommerce(c))
	return it
}

// produce writes items that were made elsewhere than from the body of our own API, such as those of
// webhooks, as the holder's, and counts them on a route. The caller answers: what became of an item
// verdictOf tells.
func (x *exchange) produce(h *holder, route int, items []item) tally {
	rq := x.rq
	rq.holder, rq.counts, rq.items = h, &h.counts[route], items
	x.leave = !rq.accept()
	return rq.tally()
}

// commercePool is what the commerce events of a body are made in, kept for the next body. Each grows by
// appending; what was taken of it before it moved stays where it is.
type commercePool struct {
	events    []event.Commerce
	lines     []event.Line
	discounts []event.Discount
}

func (p *commercePool) reset() {
	clear(p.events) // they would keep the last body alive
	clear(p.lines)
	clear(p.discounts)
	p.events, p.lines, p.discounts = p.events[:0], p.lines[:0], p.discounts[:0]
}

func (p *commercePool) event() *event.Commerce {
	p.events = append(p.events, event.Commerce{})
	return &p.events[len(p.events)-1]
}

// size is how many lines and discounts are kept room for.
func (p *commercePool) size() int { return cap(p.lines) + cap(p.discounts) + cap(p.events) }

// checkCommerce holds an event to what its type needs, and its amounts to sense. What it finds is what
// Braze, or whoever adds up the topic, would stumble over.
func checkCommerce(c *event.Commerce) problem {
	if c.User.Key() == "" {
		return problem{why: noIdentifier, field: "user"}
	}
	if !slices.Contains(commerceTypes, c.Type) {
		return problem{why: notCommerce, field: "type"}
	}
	if c.Source != "" && !isName(c.Source) {
		return problem{why: notSource, field: "source"}
	}
	if p := checkNeeds(c); p.why != fine {
		return p
	}
	return checkAmounts(c)
}

var commerceTypes = event.CommerceTypes()

// checkNeeds looks for what an event of its type cannot do without.
func checkNeeds(c *event.Commerce) problem {
	need := func(field, value string) problem {
		if value == "" {
			return problem{why: missing, field: field}
		}
		return problem{}
	}
	switch c.Type {
	case event.ProductViewed:
		if c.Lines == nil {
			return problem{why: missing, field: "lines"}
		}
		if len(c.Lines) != 1 {
			return problem{why: notOneLine, field: "lines"}
		}
	case event.CartUpdated:
		if c.Lines == nil { // an empty cart has an empty array
			return problem{why: missing, field: "lines"}
		}
		return need("cart_id", c.CartID)
	case event.CheckoutStarted:
		return need("checkout_id", c.CheckoutID)
	case event.OrderPlaced, event.OrderCancelled, event.OrderRefunded:
		if p := need("order_id", c.OrderID); p.why != fine {
			return p
		}
		if p := need("currency", c.Currency); p.why != fine {
			return p
		}
		return need("total", string(c.Total))
	case event.ShipmentUpdated, event.Delivered:
		return need("order_id", c.OrderID)
	case event.RenewalDue:
		if c.DueAt.IsZero() {
			return problem{why: missing, field: "due"}
		}
	case event.PaymentFailed, event.PaymentRecovered: // the person alone says something
	}
	return problem{}
}

// checkAmounts holds amounts to being none less than nothing, in a currency there is. Only the total of
// what goes back may have either sign: shops do not agree on it.
func checkAmounts(c *event.Commerce) problem {
	if p := checkCurrency(c); p.why != fine {
		return p
	}
	goesBack := c.Type == event.OrderCancelled || c.Type == event.OrderRefunded
	for _, amount := range [...]struct {
		field  string
		money  event.Money
		signed bool
	}{{"total", c.Total, goesBack}, {"subtotal", c.Subtotal, false}, {"tax", c.Tax, false}, {"shipping", c.Shipping, false}} {
		if w := checkAmount(amount.money, amount.signed); w != fine {
			return problem{why: w, field: amount.field}
		}
	}
	for i := range c.Discounts {
		if w := checkAmount(c.Discounts[i].Amount, false); w != fine {
			return problem{why: w, field: entry("discounts", i, "amount")}
		}
	}
	for i := range c.Lines {
		if w := checkAmount(c.Lines[i].Price, false); w != fine {
			return problem{why: w, field: entry("lines", i, "price")}
		}
		if c.Lines[i].Quantity < 0 {
			return problem{why: negative, field: entry("lines", i, "quantity")}
		}
	}
	return problem{}
}

func checkCurrency(c *event.Commerce) problem {
	if c.Currency == "" {
		if hasAmounts(c) {
			return problem{why: missing, field: "currency"}
		}
		return problem{}
	}
	code, ok := event.Currency(c.Currency)
	if !ok {
		return problem{why: notCurrency, field: "currency"}
	}
	c.Currency = code
	return problem{}
}

func hasAmounts(c *event.Commerce) bool {
	return c.Total != "" || c.Subtotal != "" || c.Tax != "" || c.Shipping != "" ||
		slices.ContainsFunc(c.Discounts, func(d event.Discount) bool { return d.Amount != "" }) ||
		slices.ContainsFunc(c.Lines, func(l event.Line) bool { return l.Price != "" })
}

func checkAmount(m event.Money, signed bool) why {
	if m == "" {
		return fine
	}
	switch a, ok := m.Amount(); {
	case !ok:
		return notMoney
	case a.Sign() < 0 && !signed:
		return negative
	}
	return fine
}
