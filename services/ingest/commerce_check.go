package ingest

import (
	"slices"

	"github.com/sluicehq/sluice/pkg/event"
)

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
