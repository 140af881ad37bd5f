package brazefake

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze/internal/ecommerce"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// Events of Braze's recommended commerce (braze-docs: recommended_events) that do not obey their schema are
// dropped altogether and reported; a name that is only nearly one of them is a custom event like any other.
//
// The schemas are shared with the client that is to be judged here; how they are read is not.

// checkCommerce returns why a recommended event is dropped, or nothing. The words in brackets are the
// classes that Braze names.
func checkCommerce(name string, properties []byte, k *Knobs) string {
	if !strings.HasPrefix(name, "ecommerce.") {
		return ""
	}
	schema, recommended := ecommerce.Event(name)
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
		return lacks("total_value")
	}
	return problem
}

func lacks(name string) string { return fmt.Sprintf("'%s' is required (missing_property)", name) }

// obey checks an object against a schema and returns which properties it has.
func obey(schema ecommerce.Schema, object []byte, at string, k *Knobs) (seen map[string]bool, problem string) {
	seen = make(map[string]bool, len(schema))
	byName := make(map[string]ecommerce.Property, len(schema))
	for _, p := range schema {
		byName[p.Name] = p
	}
	for raw, value := range jsonscan.Members(object) {
		name := string(jsonscan.Unquote(raw))
		p, known := byName[name]
		if !known {
			return seen, fmt.Sprintf("'%s' is not a property of this event (extra_property)", at+name)
		}
		seen[name] = true
		if problem := checkShape(p.Shape, at+name, value, k); problem != "" {
			return seen, problem
		}
	}
	lacking := ""
	for name, p := range byName {
		if p.Required && !seen[name] && (lacking == "" || name < lacking) {
			lacking = name
		}
	}
	if lacking != "" {
		return seen, lacks(at + lacking)
	}
	return seen, ""
}

func checkShape(shape ecommerce.Shape, name string, value []byte, k *Knobs) string {
	wrong := func(want string) string { return fmt.Sprintf("'%s' must be %s (unexpected_data_type)", name, want) }
	switch shape {
	case ecommerce.Text:
		if value[0] != '"' {
			return wrong("a string")
		}
	case ecommerce.Amount:
		if !isNumber(value) {
			return wrong("a number")
		}
		if n, err := strconv.ParseFloat(string(value), 64); err == nil && n < 0 {
			return fmt.Sprintf("'%s' must be 0 or greater", name)
		}
	case ecommerce.Whole:
		if !isNumber(value) || strings.ContainsAny(string(value), ".eE") {
			return wrong("an integer")
		}
	case ecommerce.Currency:
		if !isCurrency(value) {
			return fmt.Sprintf("'%s' must be an ISO 4217 currency", name)
		}
	case ecommerce.Dict:
		if value[0] != '{' {
			return wrong("an object")
		}
	case ecommerce.Products:
		return checkList(name, value, k, ecommerce.Product, !k.EmptyProductsAllowed)
	case ecommerce.Coupons:
		return checkList(name, value, k, ecommerce.Discount, false)
	case ecommerce.Interest:
		if value[0] != '[' {
			return wrong("an array")
		}
		for element := range jsonscan.Elements(value) {
			if e := string(element); e != `"price_drop"` && e != `"back_in_stock"` {
				return wrong("an array of price_drop and back_in_stock")
			}
		}
	case ecommerce.Action:
		if v := string(value); v != `"add"` && v != `"remove"` && v != `"replace"` {
			return wrong("add, remove or replace")
		}
	}
	return ""
}

func checkList(name string, value []byte, k *Knobs, schema ecommerce.Schema, filled bool) string {
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
