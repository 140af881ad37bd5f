package simulate

import (
	"encoding/json"
	"fmt"
	"time"
)

// Commerce is what a shop's own systems, and not the customer's device, say of a cart, an order, a
// shipment or a subscription: the content of POST /v1/commerce and of commerce.events.
type Commerce struct {
	Type       string // such as order_placed
	OrderID    string
	CartID     string
	CheckoutID string
	// Amounts are in cents of Currency; 0 is not said.
	Currency                       string
	Total, Subtotal, Tax, Shipping int
	Discounts                      []discount
	Lines                          []line
	Reason                         string
	Due                            time.Time
	Carrier, Tracking              string
	Metadata                       map[string]any // with seq
}

// discount takes so many cents off an order.
type discount struct {
	code  string
	cents int
}

// currency is what the shop sells in.
const currency = "EUR"

// money is exact: it never becomes a binary fraction.
func money(cents int) json.Number {
	return json.Number(fmt.Sprintf("%d.%02d", cents/100, cents%100))
}

// object is the event in JSON, without what the request says of it (id, user, time).
func (c *Commerce) object() map[string]any {
	o := map[string]any{"type": c.Type, "metadata": c.Metadata}
	for name, text := range map[string]string{
		"order_id": c.OrderID, "cart_id": c.CartID, "checkout_id": c.CheckoutID, "currency": c.Currency,
		"reason": c.Reason, "carrier": c.Carrier, "tracking": c.Tracking,
	} {
		if text != "" {
			o[name] = text
		}
	}
	for name, cents := range map[string]int{"total": c.Total, "subtotal": c.Subtotal, "tax": c.Tax, "shipping": c.Shipping} {
		if cents != 0 {
			o[name] = money(cents)
		}
	}
	if !c.Due.IsZero() {
		o["due"] = c.Due.Format(time.RFC3339)
	}
	if c.Discounts != nil {
		list := make([]any, len(c.Discounts))
		for i, d := range c.Discounts {
			list[i] = map[string]any{"code": d.code, "amount": money(d.cents), "type": "fixed_amount"}
		}
		o["discounts"] = list
	}
	if c.Lines != nil {
		list := make([]any, len(c.Lines))
		for i, l := range c.Lines {
			list[i] = map[string]any{
				"product_id": l.product.id, "product_name": l.product.name, "variant_id": l.product.variant(),
				"quantity": l.quantity, "price": money(l.product.cents),
			}
		}
		o["lines"] = list
	}
	return o
}

// variant is the only one that there is of a product.
func (t product) variant() string { return t.id + "-std" }

// worth is what lines cost together.
func worth(lines []line) (cents int) {
	for _, l := range lines {
		cents += l.product.cents * l.quantity
	}
	return cents
}

const (
	freeShipping = 10_000 // from this subtotal on the shop pays
	postage      = 490
	vat          = 19 // percent of the net price, contained in every total
)

// price says what lines cost as an order: less the discounts, with the postage, the tax contained.
func (c *Commerce) price(lines []line, discounts ...discount) {
	c.Currency, c.Lines, c.Discounts = currency, lines, discounts
	c.Subtotal = worth(lines)
	c.Total = c.Subtotal
	for _, d := range discounts {
		c.Total -= d.cents
	}
	if c.Subtotal < freeShipping {
		c.Shipping = postage
		c.Total += postage
	}
	c.Tax = (c.Total*vat + (100+vat)/2) / (100 + vat)
}
