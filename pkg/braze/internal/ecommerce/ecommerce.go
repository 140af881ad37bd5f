// Package ecommerce holds what Braze documents of its recommended commerce events: which there are, which
// properties each has and of what type (braze-docs: recommended_events, logging_ecommerce_events). It is
// a table and no more. The client and the sandbox read it each in their own way, so that a slip of one
// in reading it is noticed by the other.
package ecommerce

// Shape is the type of a property.
type Shape uint8

// The shapes.
const (
	Text     Shape = iota // a string
	Amount                // a number, not negative
	Whole                 // an integer
	Currency              // an alphabetic code of ISO 4217
	Dict                  // an object of whatever content
	Products              // the list of products, see Product
	Coupons               // the list of discounts, see Discount
	Interest              // a list of "price_drop" and "back_in_stock"
	Action                // "add", "remove" or "replace"
)

// Property is what an object may, or must, have.
type Property struct {
	Name     string
	Shape    Shape
	Required bool
}

// Schema is all that may stand in an object.
type Schema []Property

// Find returns the index of a property, -1 when there is none of that name.
func (s Schema) Find(name []byte) int {
	for i := range s {
		if s[i].Name == string(name) {
			return i
		}
	}
	return -1
}

// CartUpdated is the event in which total_value must stand unless action is "add" or "remove".
const CartUpdated = "ecommerce.cart_updated"

// Event returns the schema of a recommended event's properties; ok is false for any other name.
func Event(name string) (schema Schema, ok bool) {
	schema, ok = events[name]
	return schema, ok
}

var events = map[string]Schema{
	"ecommerce.product_viewed": {
		{"product_id", Text, true},
		{"product_name", Text, true},
		{"variant_id", Text, true},
		{"price", Amount, true},
		{"currency", Currency, true},
		{"source", Text, true},
		{"image_url", Text, false},
		{"product_url", Text, false},
		{"type", Interest, false},
		{"metadata", Dict, false},
	},
	CartUpdated: {
		{"cart_id", Text, true},
		{"action", Action, false},
		{"total_value", Amount, false},
		{"currency", Currency, true},
		{"products", Products, true},
		{"source", Text, true},
		{"subtotal_value", Amount, false},
		{"tax", Amount, false},
		{"shipping", Amount, false},
		{"metadata", Dict, false},
	},
	"ecommerce.checkout_started": {
		{"checkout_id", Text, true},
		{"total_value", Amount, true},
		{"currency", Currency, true},
		{"products", Products, true},
		{"source", Text, true},
		{"cart_id", Text, false},
		{"subtotal_value", Amount, false},
		{"tax", Amount, false},
		{"shipping", Amount, false},
		{"metadata", Dict, false},
	},
	"ecommerce.order_placed": {
		{"order_id", Text, true},
		{"total_value", Amount, true},
		{"currency", Currency, true},
		{"products", Products, true},
		{"source", Text, true},
		{"cart_id", Text, false},
		{"subtotal_value", Amount, false},
		{"tax", Amount, false},
		{"shipping", Amount, false},
		{"total_discounts", Amount, false},
		{"discounts", Coupons, false},
		{"metadata", Dict, false},
	},
	"ecommerce.order_cancelled": {
		{"order_id", Text, true},
		{"cancel_reason", Text, true},
		{"total_value", Amount, true},
		{"currency", Currency, true},
		{"products", Products, true},
		{"source", Text, true},
		{"subtotal_value", Amount, false},
		{"tax", Amount, false},
		{"shipping", Amount, false},
		{"total_discounts", Amount, false},
		{"discounts", Coupons, false},
		{"metadata", Dict, false},
	},
	"ecommerce.order_refunded": {
		{"order_id", Text, true},
		{"total_value", Amount, true},
		{"currency", Currency, true},
		{"products", Products, true},
		{"source", Text, true},
		{"total_discounts", Amount, false},
		{"discounts", Coupons, false},
		{"metadata", Dict, false},
	},
}

// Product is one of the products.
var Product = Schema{
	{"product_id", Text, true},
	{"product_name", Text, true},
	{"variant_id", Text, true},
	{"quantity", Whole, true},
	{"price", Amount, true},
	{"image_url", Text, false},
	{"product_url", Text, false},
	{"metadata", Dict, false},
}

// Discount is one of the discounts. Which of its properties must be there is not documented.
var Discount = Schema{{"code", Text, false}, {"amount", Amount, false}, {"type", Text, false}}
