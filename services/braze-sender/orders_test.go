package brazesender_test

import (
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
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
