package commerce

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// place is where a property stands.
type place uint8

const (
	inMetadata place = iota // the schema has no such property
	optional
	required
)

// shape is what one of Braze's events looks like.
type shape struct {
	name string

	order, cart, checkout place
	reason                place // as cancel_reason
	total                 place
	parts                 place // subtotal_value, tax, shipping
	discounts             place // and total_discounts
	currency, source      place
	products              place
	viewed                bool // one product's properties stand where products would

	free bool // there is no schema: everything stands where it is found most easily
}

// shapes are the schemas of the recommended events (braze-docs: recommended_events,
// logging_ecommerce_events), and those that we have made up.
var shapes = map[event.CommerceType]shape{
	event.ProductViewed: {name: "ecommerce.product_viewed", viewed: true, currency: required, source: required},
	event.CartUpdated: {
		name: "ecommerce.cart_updated", cart: required, total: required, parts: optional,
		currency: required, source: required, products: required,
	},
	event.CheckoutStarted: {
		name: "ecommerce.checkout_started", checkout: required, cart: optional, total: required, parts: optional,
		currency: required, source: required, products: required,
	},
	event.OrderPlaced: {
		name: "ecommerce.order_placed", order: required, cart: optional, total: required, parts: optional, discounts: optional,
		currency: required, source: required, products: required,
	},
	event.OrderCancelled: {
		name: "ecommerce.order_cancelled", order: required, reason: required, total: required, parts: optional, discounts: optional,
		currency: required, source: required, products: required,
	},
	event.OrderRefunded: {
		name: "ecommerce.order_refunded", order: required, total: required, discounts: optional,
		currency: required, source: required, products: required,
	},
	event.ShipmentUpdated:  custom(event.ShipmentUpdated),
	event.Delivered:        custom(event.Delivered),
	event.RenewalDue:       custom(event.RenewalDue),
	event.PaymentFailed:    custom(event.PaymentFailed),
	event.PaymentRecovered: custom(event.PaymentRecovered),
}

// plain is the shape of a custom event.
var plain = shape{
	order: optional, cart: optional, checkout: optional, total: optional, parts: optional, discounts: optional,
	currency: optional, source: optional, products: optional, free: true,
}

func custom(t event.CommerceType) shape {
	s := plain
	s.name = string(t)
	return s
}

// lacks is the first property that the shape requires and the event does not know, by Braze's name.
func (s *shape) lacks(c *event.Commerce) string {
	for _, p := range [...]struct {
		name  string
		place place
		value string
	}{
		{"order_id", s.order, c.OrderID},
		{"cart_id", s.cart, c.CartID},
		{"checkout_id", s.checkout, c.CheckoutID},
		{"cancel_reason", s.reason, c.Reason},
		{"total_value", s.total, string(c.Total)},
		{"currency", s.currency, c.Currency},
		{"source", s.source, c.Source},
	} {
		if p.place == required && isBlank(p.value) {
			return p.name
		}
	}
	switch {
	case s.viewed && len(c.Lines) != 1:
		return "product_id"
	case s.viewed:
		return lineLacks(&c.Lines[0])
	case s.products != required:
		return ""
	case len(c.Lines) == 0:
		return "products"
	}
	for i := range c.Lines {
		if name := lineLacks(&c.Lines[i]); name != "" {
			return fmt.Sprintf("products[%d].%s", i, name)
		}
	}
	return ""
}

func lineLacks(l *event.Line) string {
	switch {
	case isBlank(l.ProductID):
		return "product_id"
	case isBlank(l.ProductName):
		return "product_name"
	case isBlank(l.VariantID):
		return "variant_id"
	case l.Price == "":
		return "price"
	}
	return ""
}

// isBlank reports whether Braze would not take a text for one (braze-docs: logging_ecommerce_events).
func isBlank(text string) bool { return strings.TrimSpace(text) == "" }
