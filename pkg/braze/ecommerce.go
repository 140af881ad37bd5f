package braze

import (
	"bytes"
	"math/bits"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze/internal/ecommerce"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// The recommended commerce events. Names are exact: a near miss is a custom event like any other
// (braze-docs: recommended_events).
const (
	ProductViewed   = "ecommerce.product_viewed"
	CartUpdated     = ecommerce.CartUpdated
	CheckoutStarted = "ecommerce.checkout_started"
	OrderPlaced     = "ecommerce.order_placed"
	OrderCancelled  = "ecommerce.order_cancelled"
	OrderRefunded   = "ecommerce.order_refunded"
)

// IsEcommerce reports whether an event of that name is one of the recommended commerce events, which
// Braze holds to their schema.
func IsEcommerce(name string) bool {
	_, known := ecommerce.Event(name)
	return known
}

// IsCurrency reports whether a text is an alphabetic code of ISO 4217.
func IsCurrency(code string) bool { return ecommerce.IsCurrency(code) }

// CheckEcommerce checks the properties of a recommended commerce event: what [CheckProperties] checks,
// and its schema. Braze drops such an event altogether for an unknown property, for one that is missing or
// of another type, for a negative amount and for a currency that is none, while the answer says success;
// what belongs to no property belongs into metadata. An empty list of products counts as missing.
//
// A name that is none of theirs is a violation too: ask [IsEcommerce] first.
func CheckEcommerce(name string, properties []byte) *Violation {
	schema, known := ecommerce.Event(name)
	if !known {
		return &Violation{Field: "name", Rule: RuleUnknownEvent}
	}
	if len(bytes.TrimSpace(properties)) == 0 {
		properties = []byte("{}")
	}
	if v := CheckProperties(properties); v != nil {
		return v
	}
	seen, v := obeys(schema, properties, "properties")
	if v != nil || name != ecommerce.CartUpdated {
		return v
	}
	if total := schema.Find([]byte("total_value")); seen&(1<<total) == 0 && !increments(properties) {
		return &Violation{Field: "properties.total_value", Rule: RuleMissing, Detail: "unless action is add or remove"}
	}
	return nil
}

// increments reports whether a cart's action is one after which no total is asked for.
func increments(properties []byte) bool {
	for name, value := range jsonscan.Members(properties) {
		if text, _ := jsonscan.String(value); string(name) == "action" && (string(text) == "add" || string(text) == "remove") {
			return true
		}
	}
	return false
}

// obeys holds a valid object to a schema. Seen has a bit for each property of the schema that is there.
// The way to an object is put together only where something is wrong.
func obeys(schema ecommerce.Schema, object []byte, at string) (seen uint32, v *Violation) {
	for raw, value := range jsonscan.Members(object) {
		i := schema.Find(jsonscan.Unquote(raw))
		if i < 0 {
			return seen, &Violation{Field: at + "." + shortName(raw), Rule: RuleUnknownProperty}
		}
		seen |= 1 << i
		if v := fitsShape(&schema[i], value, at); v != nil {
			return seen, v
		}
	}
	required := uint32(0)
	for i := range schema {
		if schema[i].Required {
			required |= 1 << i
		}
	}
	if lacking := required &^ seen; lacking != 0 {
		return seen, &Violation{Field: at + "." + schema[bits.TrailingZeros32(lacking)].Name, Rule: RuleMissing}
	}
	return seen, nil
}

func fitsShape(p *ecommerce.Property, value []byte, at string) *Violation {
	wrong := func(rule Rule, detail string) *Violation {
		return &Violation{Field: at + "." + p.Name, Rule: rule, Detail: detail}
	}
	switch c := value[0]; p.Shape {
	case ecommerce.Text:
		if c != '"' {
			return wrong(RuleWrongType, "a string")
		}
	case ecommerce.Amount:
		switch {
		case c == '-' && bytes.ContainsAny(mantissa(value), "123456789"):
			return wrong(RuleNegative, "")
		case c != '-' && (c < '0' || c > '9'):
			return wrong(RuleWrongType, "a number")
		}
	case ecommerce.Whole:
		if c != '-' && (c < '0' || c > '9') || bytes.ContainsAny(value, ".eE") {
			return wrong(RuleWrongType, "an integer")
		}
	case ecommerce.Currency:
		if text, _ := jsonscan.String(value); !ecommerce.IsCurrency(string(text)) {
			return wrong(RuleNotACurrency, "")
		}
	case ecommerce.Dict:
		if c != '{' {
			return wrong(RuleWrongType, "an object")
		}
	case ecommerce.Action:
		switch text, _ := jsonscan.String(value); string(text) {
		case "add", "remove", "replace":
		default:
			return wrong(RuleNotOneOf, "add, remove, replace")
		}
	case ecommerce.Interest, ecommerce.Products, ecommerce.Coupons:
		if c != '[' {
			return wrong(RuleWrongType, "an array")
		}
		return fitsList(p, value, at)
	}
	return nil
}

// mantissa is a number without its exponent, whose digits do not make it less than zero.
func mantissa(number []byte) []byte {
	if i := bytes.IndexAny(number, "eE"); i >= 0 {
		return number[:i]
	}
	return number
}

func fitsList(p *ecommerce.Property, list []byte, at string) *Violation {
	n := 0
	for element := range jsonscan.Elements(list) {
		if p.Shape == ecommerce.Interest {
			if text, _ := jsonscan.String(element); string(text) != "price_drop" && string(text) != "back_in_stock" {
				return &Violation{Field: indexed(at+"."+p.Name, n), Rule: RuleNotOneOf, Detail: "price_drop, back_in_stock"}
			}
		} else if element[0] != '{' {
			return &Violation{Field: indexed(at+"."+p.Name, n), Rule: RuleWrongType, Detail: "an object"}
		} else {
			schema := ecommerce.Product
			if p.Shape == ecommerce.Coupons {
				schema = ecommerce.Discount
			}
			if _, v := obeys(schema, element, ""); v != nil {
				v.Field = indexed(at+"."+p.Name, n) + "." + strings.TrimPrefix(v.Field, ".")
				return v
			}
		}
		n++
	}
	if n == 0 && p.Shape == ecommerce.Products {
		return &Violation{Field: at + "." + p.Name, Rule: RuleMissing}
	}
	return nil
}
