package brazefake_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

func TestCommerceEventsObeyTheirSchema(t *testing.T) {
	const product = `[{"product_id":"P1","product_name":"Lamp","variant_id":"P1-red","quantity":1,"price":43.0}]`
	type fields map[string]string // property to raw value
	order := fields{"order_id": `"SO-9"`, "total_value": `41.0`, "currency": `"EUR"`, "source": `"erp"`, "products": product}
	whole := map[string]fields{
		"product_viewed": {
			"product_id": `"P1"`, "product_name": `"Lamp"`, "variant_id": `"P1-red"`, "price": `43`, "currency": `"EUR"`, "source": `"web"`,
			"image_url": `"i"`, "product_url": `"u"`, "type": `["price_drop","back_in_stock"]`, "metadata": `{"any":["thing"]}`,
		},
		"cart_updated":     {"cart_id": `"C"`, "total_value": `1`, "currency": `"EUR"`, "source": `"web"`, "products": product, "action": `"replace"`, "tax": `0`},
		"checkout_started": {"checkout_id": `"X"`, "cart_id": `"C"`, "total_value": `1`, "currency": `"EUR"`, "source": `"web"`, "products": product, "shipping": `1`},
		"order_placed":     order,
		"order_cancelled":  {"order_id": `"SO-9"`, "cancel_reason": `"late"`, "total_value": `41`, "currency": `"EUR"`, "source": `"erp"`, "products": product},
		"order_refunded":   {"order_id": `"SO-9"`, "total_value": `41`, "currency": `"EUR"`, "source": `"erp"`, "products": product, "total_discounts": `2`},
	}
	with := func(event string, changes fields) fields {
		f := maps.Clone(whole[event])
		for name, value := range changes {
			if f[name] = value; value == "" {
				delete(f, name)
			}
		}
		return f
	}
	type test struct {
		name  string
		event string
		props fields
		want  string
	}
	tests := []test{
		{"discounts are optional", "order_placed", with("order_placed", fields{"total_discounts": "2.0", "discounts": `[{"code":"SPRING","amount":2.0,"type":"fixed"}]`}), ""},
		{"a total may be left out when the cart is added to", "cart_updated", with("cart_updated", fields{"action": `"add"`, "total_value": ""}), ""},
		{"or removed from", "cart_updated", with("cart_updated", fields{"action": `"remove"`, "total_value": ""}), ""},
		{"not when it is replaced", "cart_updated", with("cart_updated", fields{"total_value": ""}), "'total_value' is required (missing_property)"},
		{"not without an action", "cart_updated", with("cart_updated", fields{"action": "", "total_value": ""}), "'total_value' is required (missing_property)"},
		{"there are three actions", "cart_updated", with("cart_updated", fields{"action": `"clear"`}), "'action' must be add, remove or replace (unexpected_data_type)"},
		{"a property that is not in the schema is refused", "order_placed", with("order_placed", fields{"order_number": "7"}), "'order_number' is not a property of this event (extra_property)"},
		{"so is one of another event's", "order_refunded", with("order_refunded", fields{"tax": "7"}), "'tax' is not a property of this event (extra_property)"},
		{"an id is a string", "order_placed", with("order_placed", fields{"order_id": "9"}), "'order_id' must be a string (unexpected_data_type)"},
		{"an amount is a number", "order_placed", with("order_placed", fields{"total_value": `"41.0"`}), "'total_value' must be a number (unexpected_data_type)"},
		{"and not negative", "order_placed", with("order_placed", fields{"total_value": "-0.01"}), "'total_value' must be 0 or greater"},
		{"a currency is one", "order_placed", with("order_placed", fields{"currency": `"EURO"`}), "'currency' must be an ISO 4217 currency"},
		{"metadata is an object", "order_placed", with("order_placed", fields{"metadata": `[]`}), "'metadata' must be an object (unexpected_data_type)"},
		{"products are an array", "order_placed", with("order_placed", fields{"products": `{}`}), "'products' must be an array (unexpected_data_type)"},
		{"of which there are some", "order_placed", with("order_placed", fields{"products": `[]`}), "'products' must not be empty"},
		{"each whole", "order_placed", with("order_placed", fields{"products": `[{"product_id":"P1","product_name":"Lamp","variant_id":"v","price":1}]`}), "'products[0].quantity' is required (missing_property)"},
		{"with a quantity that is whole", "order_placed", with("order_placed", fields{"products": `[{"product_id":"P1","product_name":"Lamp","variant_id":"v","price":1,"quantity":1.0}]`}), "'products[0].quantity' must be an integer (unexpected_data_type)"},
		{"and nothing more", "order_placed", with("order_placed", fields{"products": `[{"product_id":"P1","product_name":"Lamp","variant_id":"v","price":1,"quantity":1,"sku":"s"}]`}), "'products[0].sku' is not a property of this event (extra_property)"},
		{"a discount is an object", "order_placed", with("order_placed", fields{"discounts": `["SPRING"]`}), "'discounts[0]' must be an object (unexpected_data_type)"},
		{"there are two types of interest", "product_viewed", with("product_viewed", fields{"type": `["sale"]`}), "'type' must be an array of price_drop and back_in_stock (unexpected_data_type)"},
		{"a near miss is an event like any other", "OrderPlaced", fields{"anything": "1"}, ""},
	}
	for event, fields := range whole {
		tests = append(tests, test{event + " as it should be is accepted", event, fields, ""})
	}
	// Which properties each event cannot do without, by the table of the documentation.
	for event, names := range map[string][]string{
		"product_viewed":   {"product_id", "product_name", "variant_id", "price", "currency", "source"},
		"cart_updated":     {"cart_id", "currency", "products", "source"},
		"checkout_started": {"checkout_id", "total_value", "currency", "products", "source"},
		"order_placed":     {"order_id", "total_value", "currency", "products", "source"},
		"order_cancelled":  {"order_id", "cancel_reason", "total_value", "currency", "products", "source"},
		"order_refunded":   {"order_id", "total_value", "currency", "products", "source"},
	} {
		for _, name := range names {
			tests = append(tests, test{event + " needs " + name, event, with(event, fields{name: ""}), "'" + name + "' is required (missing_property)"})
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			props := map[string]json.RawMessage{}
			for name, value := range tt.props {
				props[name] = json.RawMessage(value)
			}
			body, err := json.Marshal(map[string]any{"events": []any{map[string]any{
				"external_id": "crm-1", "name": "ecommerce." + tt.event, "time": "2026-03-04T05:06:07Z", "properties": props,
			}}})
			if err != nil {
				t.Fatal(err)
			}
			sent, err := json.Marshal(props)
			if err != nil {
				t.Fatal(err)
			}
			// The client reads the same schema in its own way, and must come to the same end.
			if v := braze.CheckEcommerce("ecommerce."+tt.event, sent); braze.IsEcommerce("ecommerce."+tt.event) && (v == nil) != (tt.want == "") {
				t.Errorf("the client says %v", v)
			}
			s := brazefake.New(brazefake.Options{})
			var want []string
			if tt.want != "" {
				want = []string{"events[0] " + tt.want}
			}
			if diff := cmp.Diff(want, refusals(t, text(t, post(s, string(body))))); diff != "" {
				t.Errorf("refusals (-want +got):\n%s", diff)
			}
			if _, stored := s.Profile("crm-1"); stored != (tt.want == "") {
				t.Errorf("stored: %v", stored)
			}
		})
	}
}

func TestProductsMayBeEmptyIfTheKnobSaysSo(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{EmptyProductsAllowed: true}})
	send(t, s, `{"events":[{"external_id":"a","name":"ecommerce.order_placed","time":"2026-03-04","properties":
		{"order_id":"1","total_value":0,"currency":"EUR","source":"erp","products":[]}}]}`)
}

// FuzzCommerce holds that client and sandbox judge every commerce event alike.
func FuzzCommerce(f *testing.F) {
	const product = `{"product_id":"P1","product_name":"Lamp","variant_id":"v","quantity":1,"price":43.0}`
	names := []string{braze.ProductViewed, braze.CartUpdated, braze.CheckoutStarted, braze.OrderPlaced, braze.OrderCancelled, braze.OrderRefunded}
	for i, properties := range []string{
		`{"product_id":"P1","product_name":"Lamp","variant_id":"v","price":1,"currency":"EUR","source":"web","type":["price_drop"]}`,
		`{"cart_id":"C","action":"add","currency":"EUR","source":"web","products":[` + product + `]}`,
		`{"checkout_id":"X","total_value":-0,"currency":"EUR","source":"web","products":[` + product + `]}`,
		`{"order_id":"SO","total_value":1e2,"currency":"EUR","source":"web","products":[` + product + `],"discounts":[{"code":"A","amount":-1}]}`,
		`{"order_id":"SO","cancel_reason":"x","total_value":1,"currency":"eur","source":"web","products":[]}`,
		`{"order_id":"SO","total_value":"1","currency":"EUR","source":"web","products":[{}],"metadata":{}}`,
		`{"order_id":"SO","order_id":7,"\u0061ction":"add"}`, ``, `{"a"`,
	} {
		f.Add(uint8(i), properties)
	}
	f.Fuzz(func(t *testing.T, which uint8, properties string) {
		name := names[int(which)%len(names)]
		v := braze.CheckEcommerce(name, []byte(properties))
		if !json.Valid([]byte(properties)) || !utf8.ValidString(properties) || !strings.HasPrefix(strings.TrimSpace(properties), "{") {
			if strings.TrimSpace(properties) != "" && v == nil {
				t.Errorf("%q passes", properties)
			}
			return
		}
		if v != nil && (v.Rule == braze.RuleTooDeep || v.Rule == braze.RuleTooMany || v.Rule == braze.RuleNotJSON) {
			return // the client's own, or what the whole request is refused for
		}
		s := brazefake.New(brazefake.Options{})
		got := refusals(t, text(t, post(s, `{"events":[{"external_id":"a","name":"`+name+`","time":"2026-03-04","properties":`+properties+`}]}`)))
		if (v == nil) != (len(got) == 0) {
			t.Errorf("%s %s: the client says %v, the sandbox %q", name, properties, v, got)
		}
	})
}
