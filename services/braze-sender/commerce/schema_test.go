package commerce_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// The schemas of the recommended events, written down from Braze's pages once more and in another way
// than the code has them: a property and its type, with a star where it is required.
var schemas = map[string]string{
	"ecommerce.product_viewed":   "product_id:text* product_name:text* variant_id:text* price:float* image_url:text product_url:text currency:text* source:text* metadata:object",
	"ecommerce.cart_updated":     "cart_id:text* total_value:float* subtotal_value:float tax:float shipping:float currency:text* products:products* source:text* metadata:object",
	"ecommerce.checkout_started": "checkout_id:text* cart_id:text total_value:float* subtotal_value:float tax:float shipping:float currency:text* products:products* source:text* metadata:object",
	"ecommerce.order_placed": "order_id:text* cart_id:text total_value:float* subtotal_value:float tax:float shipping:float total_discounts:float discounts:discounts " +
		"currency:text* products:products* source:text* metadata:object",
	"ecommerce.order_cancelled": "order_id:text* cancel_reason:text* total_value:float* subtotal_value:float tax:float shipping:float total_discounts:float discounts:discounts " +
		"currency:text* products:products* source:text* metadata:object",
	"ecommerce.order_refunded": "order_id:text* total_value:float* total_discounts:float discounts:discounts currency:text* products:products* source:text* metadata:object",

	"products":  "product_id:text* product_name:text* variant_id:text* quantity:integer* price:float* image_url:text product_url:text metadata:object",
	"discounts": "code:text* amount:float* type:text*",
}

// recommended reports whether there is an event of that name that Braze recommends, and fails the test
// where its properties are not what the schema says.
func recommended(t *testing.T, name string, raw []byte) bool {
	t.Helper()
	if _, known := schemas[name]; !known {
		return false
	}
	obey(t, name, properties(t, raw))
	return true
}

func obey(t *testing.T, name string, object map[string]any) {
	t.Helper()
	types := map[string]string{}
	for rule := range strings.FieldsSeq(schemas[name]) {
		property, kind, _ := strings.Cut(rule, ":")
		kind, required := strings.CutSuffix(kind, "*")
		types[property] = kind
		if _, there := object[property]; required && !there {
			t.Errorf("%s: %s is missing", name, property)
		}
	}
	for property, value := range object {
		kind, known := types[property]
		if !known {
			t.Errorf("%s: %s is not in the schema", name, property)
			continue
		}
		ok := false
		switch v := value.(type) {
		case string:
			ok = kind == "text" && strings.TrimSpace(v) != ""
		case json.Number:
			float := strings.Contains(string(v), ".")
			ok = (kind == "float" && float || kind == "integer" && !float) && !strings.ContainsAny(string(v), "-eE")
		case map[string]any:
			ok = kind == "object" && len(v) > 0
		case []any:
			ok = (kind == "products" || kind == "discounts") && len(v) > 0
			for _, item := range v {
				obey(t, kind, item.(map[string]any))
			}
		}
		if !ok {
			t.Errorf("%s: %s is %v, not %s", name, property, value, kind)
		}
	}
}
