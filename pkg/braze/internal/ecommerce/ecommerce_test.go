package ecommerce_test

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/braze/internal/ecommerce"
)

func TestSchemasNameEachPropertyOnce(t *testing.T) {
	schemas := map[string]ecommerce.Schema{"product": ecommerce.Product, "discount": ecommerce.Discount}
	for _, name := range []string{"product_viewed", "cart_updated", "checkout_started", "order_placed", "order_cancelled", "order_refunded"} {
		schema, ok := ecommerce.Event("ecommerce." + name)
		if !ok {
			t.Errorf("%s is not known", name)
		}
		for _, property := range []string{"currency", "source"} {
			if i := schema.Find([]byte(property)); i < 0 || !schema[i].Required {
				t.Errorf("%s does not require %s", name, property)
			}
		}
		schemas[name] = schema
	}
	for name, schema := range schemas {
		// The client keeps a bit for each in a uint32.
		if len(schema) > 32 {
			t.Errorf("%s has %d properties", name, len(schema))
		}
		for i, p := range schema {
			if schema.Find([]byte(p.Name)) != i {
				t.Errorf("%s has %s twice", name, p.Name)
			}
		}
		if schema.Find([]byte("nothing")) != -1 {
			t.Errorf("%s has a property called nothing", name)
		}
	}
	if _, ok := ecommerce.Event("ecommerce.OrderPlaced"); ok {
		t.Error("a near miss is known")
	}
}

func TestCurrenciesAreCodesOfISO4217(t *testing.T) {
	for code, want := range map[string]bool{"EUR": true, "JPY": true, "XCG": true, "HRK": true, "eur": false, "EURO": false, "": false, "ABC": false} {
		if got := ecommerce.IsCurrency(code); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}
