package braze_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
)

const (
	lamp        = `{"product_id":"P1","product_name":"Lamp","variant_id":"P1-red","quantity":1,"price":43.0}`
	orderPlaced = `{"order_id":"SO-9","total_value":41.0,"currency":"EUR","source":"erp","products":[` + lamp + `,` + lamp + `]`
)

// That every event of the documentation passes, and every property is required where it is, stands in the
// sandbox's own test, which asks both.
func TestCheckEcommerceNamesTheField(t *testing.T) {
	for _, tt := range []struct {
		name, event, properties string
		want                    *braze.Violation
	}{
		{"all is well", braze.OrderPlaced, orderPlaced + `,"metadata":{"anything":["goes"]}}`, nil},
		{"an escaped name is the same name", braze.OrderPlaced, strings.Replace(orderPlaced, `"order_id"`, `"order\u005fid"`, 1) + `}`, nil},
		{"minus zero is zero", braze.OrderPlaced, strings.Replace(orderPlaced, "41.0", "-0.0e5", 1) + `}`, nil},
		{"no event of theirs", "ecommerce.OrderPlaced", orderPlaced + `}`, &braze.Violation{Field: "name", Rule: braze.RuleUnknownEvent}},
		{"nothing at all", braze.OrderPlaced, "", &braze.Violation{Field: "properties.order_id", Rule: braze.RuleMissing}},
		{"no object", braze.OrderPlaced, "[]", &braze.Violation{Field: "properties", Rule: braze.RuleNotAnObject}},
		{"the general rules hold too", braze.OrderPlaced, `{"order_id":"` + strings.Repeat("x", 256) + `"}`, &braze.Violation{Field: "properties.order_id", Rule: braze.RuleStringTooLong}},
		{"a property too many", braze.OrderPlaced, orderPlaced + `,"order_number":"7"}`, &braze.Violation{Field: "properties.order_number", Rule: braze.RuleUnknownProperty}},
		{"one of a product", braze.OrderPlaced, strings.Replace(orderPlaced, lamp+"]", lamp[:len(lamp)-1]+`,"sku":"s"}]`, 1) + `}`, &braze.Violation{Field: "properties.products[1].sku", Rule: braze.RuleUnknownProperty}},
		{"one that a product lacks", braze.OrderPlaced, strings.Replace(orderPlaced, `"quantity":1,`, "", 1) + `}`, &braze.Violation{Field: "properties.products[0].quantity", Rule: braze.RuleMissing}},
		{"a product that is none", braze.OrderPlaced, strings.Replace(orderPlaced, lamp+"]", `"P1"]`, 1) + `}`, &braze.Violation{Field: "properties.products[1]", Rule: braze.RuleWrongType, Detail: "an object"}},
		{"no product", braze.OrderPlaced, strings.Replace(orderPlaced, lamp+`,`+lamp, "", 1) + `}`, &braze.Violation{Field: "properties.products", Rule: braze.RuleMissing}},
		{"a text that is a number", braze.OrderPlaced, strings.Replace(orderPlaced, `"SO-9"`, "9", 1) + `}`, &braze.Violation{Field: "properties.order_id", Rule: braze.RuleWrongType, Detail: "a string"}},
		{"a number that is a text", braze.OrderPlaced, strings.Replace(orderPlaced, "41.0", `"41.0"`, 1) + `}`, &braze.Violation{Field: "properties.total_value", Rule: braze.RuleWrongType, Detail: "a number"}},
		{"less than nothing", braze.OrderPlaced, strings.Replace(orderPlaced, "41.0", "-0.01", 1) + `}`, &braze.Violation{Field: "properties.total_value", Rule: braze.RuleNegative}},
		{"half a product", braze.OrderPlaced, strings.Replace(orderPlaced, `"quantity":1`, `"quantity":0.5`, 1) + `}`, &braze.Violation{Field: "properties.products[0].quantity", Rule: braze.RuleWrongType, Detail: "an integer"}},
		{"no currency", braze.OrderPlaced, strings.Replace(orderPlaced, "EUR", "EURO", 1) + `}`, &braze.Violation{Field: "properties.currency", Rule: braze.RuleNotACurrency}},
		{"metadata that is a list", braze.OrderPlaced, orderPlaced + `,"metadata":[]}`, &braze.Violation{Field: "properties.metadata", Rule: braze.RuleWrongType, Detail: "an object"}},
		{"a discount below nothing", braze.OrderPlaced, orderPlaced + `,"discounts":[{"code":"A","amount":-1}]}`, &braze.Violation{Field: "properties.discounts[0].amount", Rule: braze.RuleNegative}},
		{"an interest that is none", braze.ProductViewed, `{"type":["price_drop","sale"]}`, &braze.Violation{Field: "properties.type[1]", Rule: braze.RuleNotOneOf, Detail: "price_drop, back_in_stock"}},
		{"a cart without a total", braze.CartUpdated, `{"cart_id":"C","currency":"EUR","source":"web","products":[` + lamp + `]}`, &braze.Violation{Field: "properties.total_value", Rule: braze.RuleMissing, Detail: "unless action is add or remove"}},
		{"an action that is none", braze.CartUpdated, `{"action":"clear"}`, &braze.Violation{Field: "properties.action", Rule: braze.RuleNotOneOf, Detail: "add, remove, replace"}},
		{"a cart that is added to", braze.CartUpdated, `{"cart_id":"C","action":"\u0061dd","currency":"EUR","source":"web","products":[` + lamp + `]}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, braze.CheckEcommerce(tt.event, []byte(tt.properties))); diff != "" {
				t.Errorf("violation (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckEcommerceTakesNoMemory(t *testing.T) {
	properties := []byte(orderPlaced + `,"metadata":{"anything":["goes"]}}`)
	if n := testing.AllocsPerRun(100, func() {
		if v := braze.CheckEcommerce(braze.OrderPlaced, properties); v != nil {
			t.Fatal(v)
		}
	}); n > 0 {
		t.Errorf("%v allocations for an event that is well", n)
	}
}

func BenchmarkCheckEcommerce(b *testing.B) {
	properties := []byte(orderPlaced + `}`)
	b.SetBytes(int64(len(properties)))
	b.ReportAllocs()
	for b.Loop() {
		if v := braze.CheckEcommerce(braze.OrderPlaced, properties); v != nil {
			b.Fatal(v)
		}
	}
}

func TestPurchasesAndOperatorsAreHeldToTheirLimits(t *testing.T) {
	good := func() braze.Purchase {
		return braze.Purchase{User: ada, ProductID: "p", Currency: "EUR", Price: "9.90", Time: someTime}
	}
	purchase := func(change func(*braze.Purchase)) *braze.Purchase {
		p := good()
		change(&p)
		return &p
	}
	for want, object := range map[string]interface{ Check() *braze.Violation }{
		"":                                        purchase(func(*braze.Purchase) {}),
		"purchase names no user":                  purchase(func(p *braze.Purchase) { p.User = braze.User{} }),
		"purchase.external_id is larger":          purchase(func(p *braze.Purchase) { p.User.ExternalID = strings.Repeat("x", 988) }),
		"product_id must not be empty":            purchase(func(p *braze.Purchase) { p.ProductID = "" }),
		"product_id is longer":                    purchase(func(p *braze.Purchase) { p.ProductID = strings.Repeat("ü", 256) }),
		"currency must be an ISO 4217 currency":   purchase(func(p *braze.Purchase) { p.Currency = "eur" }),
		"price must be a number":                  purchase(func(p *braze.Purchase) { p.Price = "9,90" }),
		"quantity is out of range":                purchase(func(p *braze.Purchase) { p.Quantity = 101 }),
		"time must not be empty":                  purchase(func(p *braze.Purchase) { p.Time = never }),
		"properties.price has a name that is res": purchase(func(p *braze.Purchase) { p.Properties = []byte(`{"price":1}`) }),
		"properties is larger":                    purchase(func(p *braze.Purchase) { p.Properties = []byte(`{"a":[` + strings.Repeat("1,", 25_600) + `1]}`) }),
		"add must not be empty":                   &braze.ArrayChange{},
		"add[0] is longer":                        &braze.ArrayChange{Add: raws(`"` + strings.Repeat("x", 256) + `"`)},
		"remove[1] must not stand here":           &braze.ArrayChange{Remove: raws(`1`, `{}`)},
		"remove[0] is not valid JSON":             &braze.ArrayChange{Remove: raws(`a`)},
		"$add must not be empty":                  &braze.ObjectsChange{},
		"$add[0] must be a JSON object":           &braze.ObjectsChange{Add: raws(`1`)},
		"$add[0].s is longer":                     &braze.ObjectsChange{Add: raws(`{"s":"` + strings.Repeat("x", 256) + `"}`)},
		"$remove[0].$identifier_key must not be":  &braze.ObjectsChange{Remove: []braze.Identifier{{Value: raws(`1`)[0]}}},
		"$update[0].$identifier_value is not val": &braze.ObjectsChange{Update: []braze.ObjectUpdate{{Identifier: braze.Identifier{Key: "k"}}}},
		"$update[0].$new_object must not be empt": &braze.ObjectsChange{Update: []braze.ObjectUpdate{{Identifier: braze.Identifier{Key: "k", Value: raws(`1`)[0]}}}},
	} {
		v := object.Check()
		switch {
		case want == "" && v != nil:
			t.Errorf("refused: %v", v)
		case want != "" && (v == nil || !strings.HasPrefix(v.Error(), want)):
			t.Errorf("check says %v, want %q", v, want)
		}
	}
}
