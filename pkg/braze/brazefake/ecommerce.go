package brazefake

import (
	"fmt"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// The schemas of Braze's recommended commerce events (braze-docs: recommended_events). An event of one
// of these names that does not obey is dropped altogether and reported; a name that is only nearly
// one of them is a custom event like any other.

// shape is the type of a property.
type shape uint8

const (
	text     shape = iota
	amount         // a number, not negative
	whole          // an integer
	code           // an ISO 4217 currency
	dict           // an object
	lines          // the list of products
	coupons        // the list of discounts
	interest       // a list of "price_drop" and "back_in_stock"
	action         // "add", "remove" or "replace"
)

type property struct {
	shape    shape
	required bool
}

func required(s shape) property { return property{s, true} }
func optional(s shape) property { return property{s, false} }

var commerceEvents = map[string]map[string]property{
	"ecommerce.product_viewed": {
		"product_id": required(text), "product_name": required(text), "variant_id": required(text),
		"price": required(amount), "image_url": optional(text), "product_url": optional(text), "type": optional(interest),
		"currency": required(code), "source": required(text), "metadata": optional(dict),
	},
	"ecommerce.cart_updated": {
		"cart_id": required(text), "action": optional(action), "total_value": optional(amount),
		"subtotal_value": optional(amount), "tax": optional(amount), "shipping": optional(amount),
		"currency": required(code), "products": required(lines), "source": required(text), "metadata": optional(dict),
	},
	"ecommerce.checkout_started": {
		"checkout_id": required(text), "cart_id": optional(text), "total_value": required(amount),
		"subtotal_value": optional(amount), "tax": optional(amount), "shipping": optional(amount),
		"currency": required(code), "products": required(lines), "source": required(text), "metadata": optional(dict),
	},
	"ecommerce.order_placed": {
		"order_id": required(text), "cart_id": optional(text), "total_value": required(amount),
		"subtotal_value": optional(amount), "tax": optional(amount), "shipping": optional(amount),
		"total_discounts": optional(amount), "discounts": optional(coupons),
		"currency": required(code), "products": required(lines), "source": required(text), "metadata": optional(dict),
	},
	"ecommerce.order_cancelled": {
		"order_id": required(text), "cancel_reason": required(text), "total_value": required(amount),
		"subtotal_value": optional(amount), "tax": optional(amount), "shipping": optional(amount),
		"total_discounts": optional(amount), "discounts": optional(coupons),
		"currency": required(code), "products": required(lines), "source": required(text), "metadata": optional(dict),
	},
	"ecommerce.order_refunded": {
		"order_id": required(text), "total_value": required(amount),
		"total_discounts": optional(amount), "discounts": optional(coupons),
		"currency": required(code), "products": required(lines), "source": required(text), "metadata": optional(dict),
	},
}

var productSchema = map[string]property{
	"product_id": required(text), "product_name": required(text), "variant_id": required(text),
	"quantity": required(whole), "price": required(amount),
	"image_url": optional(text), "product_url": optional(text), "metadata": optional(dict),
}

var couponSchema = map[string]property{
	"code": optional(text), "amount": optional(amount), "type": optional(text),
}

// checkCommerce returns why a recommended event is dropped, or nothing. The words in brackets are the
// classes that Braze names.
func checkCommerce(name string, properties []byte, k *Knobs) string {
	if !strings.HasPrefix(name, "ecommerce.") {
		return ""
	}
	schema, recommended := commerceEvents[name]
	if !recommended {
		return ""
	}
	seen, problem := obey(schema, properties, "", k)
	if problem == "" && name == "ecommerce.cart_updated" && !seen["total_value"] {
		for key, value := range jsonscan.Members(properties) {
			if string(key) == "action" && (string(value) == `"add"` || string(value) == `"remove"`) {
				return ""
			}
		}
		return missing("total_value")
	}
	return problem
}

func missing(name string) string { return fmt.Sprintf("'%s' is required (missing_property)", name) }

// obey checks an object against a schema and returns which properties it has.
func obey(schema map[string]property, object []byte, at string, k *Knobs) (seen map[string]bool, problem string) {
	seen = make(map[string]bool, len(schema))
	for raw, value := range jsonscan.Members(object) {
		name := string(jsonscan.Unquote(raw))
		p, known := schema[name]
		if !known {
			return seen, fmt.Sprintf("'%s' is not a property of this event (extra_property)", at+name)
		}
		seen[name] = true
		if problem := p.shape.check(at+name, value, k); problem != "" {
			return seen, problem
		}
	}
	lacking := ""
	for name, p := range schema {
		if p.required && !seen[name] && (lacking == "" || name < lacking) {
			lacking = name
		}
	}
	if lacking != "" {
		return seen, missing(at + lacking)
	}
	return seen, ""
}

func (s shape) check(name string, value []byte, k *Knobs) string {
	wrong := func(want string) string { return fmt.Sprintf("'%s' must be %s (unexpected_data_type)", name, want) }
	switch s {
	case text:
		if value[0] != '"' {
			return wrong("a string")
		}
	case amount:
		if !isNumber(value) {
			return wrong("a number")
		}
		if value[0] == '-' && strings.ContainsAny(string(value), "123456789") {
			return fmt.Sprintf("'%s' must be 0 or greater", name)
		}
	case whole:
		if !isNumber(value) || strings.ContainsAny(string(value), ".eE") {
			return wrong("an integer")
		}
	case code:
		if !isCurrency(value) {
			return fmt.Sprintf("'%s' must be an ISO 4217 currency", name)
		}
	case dict:
		if value[0] != '{' {
			return wrong("an object")
		}
	case lines:
		return checkList(name, value, k, productSchema, !k.EmptyProductsAllowed)
	case coupons:
		return checkList(name, value, k, couponSchema, false)
	case interest:
		if value[0] != '[' {
			return wrong("an array")
		}
		for element := range jsonscan.Elements(value) {
			if e := string(element); e != `"price_drop"` && e != `"back_in_stock"` {
				return wrong("an array of price_drop and back_in_stock")
			}
		}
	case action:
		if v := string(value); v != `"add"` && v != `"remove"` && v != `"replace"` {
			return wrong("add, remove or replace")
		}
	}
	return ""
}

func checkList(name string, value []byte, k *Knobs, schema map[string]property, filled bool) string {
	if value[0] != '[' {
		return fmt.Sprintf("'%s' must be an array (unexpected_data_type)", name)
	}
	n := 0
	for element := range jsonscan.Elements(value) {
		at := fmt.Sprintf("%s[%d]", name, n)
		if element[0] != '{' {
			return fmt.Sprintf("'%s' must be an object (unexpected_data_type)", at)
		}
		if _, problem := obey(schema, element, at+".", k); problem != "" {
			return problem
		}
		n++
	}
	if n == 0 && filled {
		return fmt.Sprintf("'%s' must not be empty", name)
	}
	return ""
}
