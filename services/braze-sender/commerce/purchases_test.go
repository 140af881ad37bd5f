package commerce_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/commerce"
)

func TestPurchasesOfAnOrder(t *testing.T) {
	c := full(event.OrderPlaced)
	c.Lines[0].Quantity, c.Currency = 250, "eur"
	got, err := commerce.Purchases(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, p := range got {
		object := append(p.AppendMembers([]byte("{")), '}')
		if !json.Valid(object) {
			t.Fatalf("no JSON: %s", object)
		}
		fmt.Fprintf(&text, "%s\n", object)
	}
	golden(t, "purchases.golden", []byte(text.String()))
}

func TestPurchasesOfARefundAreNegative(t *testing.T) {
	c := full(event.OrderRefunded)
	got, err := commerce.Purchases(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	var prices []string
	for _, p := range got {
		prices = append(prices, fmt.Sprint(p.ProductID, " ", p.Quantity, " × ", p.Price))
	}
	if diff := cmp.Diff([]string{"P1 2 × -41", "P2 1 × 0"}, prices); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNothingElseIsAPurchase(t *testing.T) {
	for _, kind := range event.CommerceTypes() {
		if kind == event.OrderPlaced || kind == event.OrderRefunded {
			continue
		}
		c := full(kind)
		if got, err := commerce.Purchases(nil, &c); len(got) > 0 || err != nil {
			t.Errorf("%s: %v, %v", kind, got, err)
		}
	}
}

func TestPurchasesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*event.Commerce)
		want  string
	}{
		{"no lines", func(c *event.Commerce) { c.Lines = nil }, "lines is missing"},
		{"no currency", func(c *event.Commerce) { c.Currency = "" }, "currency is missing"},
		{"no product", func(c *event.Commerce) { c.Lines[1].ProductID = "" }, "lines[1].product_id is missing"},
		{"a product's id that is too long", func(c *event.Commerce) { c.Lines[1].ProductID = strings.Repeat("x", 256) }, "lines[1].product_id is longer than 255 characters"},
		{"no price", func(c *event.Commerce) { c.Lines[0].Price = "" }, "lines[0].price is missing"},
		{"a quantity beyond all measure", func(c *event.Commerce) { c.Lines[1].Quantity = 1 << 60 }, "lines[1].quantity makes more than 1000 purchases of the order"},
		{"a name that is too long", func(c *event.Commerce) { c.Lines[0].ProductName = strings.Repeat("x", 256) }, "lines[0] properties.product_name is longer than 255 characters"},
		{"an order below zero", func(c *event.Commerce) { c.Total = "-1" }, "total is less than 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := full(event.OrderPlaced)
			c.spoil(&e)
			before := make([]commerce.Purchase, 1)
			got, err := commerce.Purchases(before, &e)
			if v := (*commerce.Violation)(nil); !errors.As(err, &v) || v.Error() != c.want || len(got) != 1 {
				t.Errorf("%d purchases, %v", len(got), err)
			}
		})
	}
	e := full(event.OrderPlaced)
	e.Lines[0].Quantity = 0
	if got, err := commerce.Purchases(nil, &e); err != nil || len(got) != 1 {
		t.Errorf("of no pieces: %v, %v", got, err)
	}
	e.Lines[0].Quantity = 99_900 // and one more makes a thousand
	if got, err := commerce.Purchases(nil, &e); err != nil || len(got) != commerce.MaxPurchases {
		t.Errorf("as many as there may be: %d, %v", len(got), err)
	}
}
