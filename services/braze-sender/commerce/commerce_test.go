package commerce_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/braze-sender/commerce"
)

// full is an event of a type with everything in it that there is.
func full(t event.CommerceType) event.Commerce {
	c := event.Commerce{
		ID: "id-1", User: event.User{ExternalID: "crm-1001"}, Type: t, Source: "shop.example.com", AppID: "app-1",
		OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC), ReceivedAt: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC),
		OrderID: "820982911946154508", CartID: "c-1", CheckoutID: "ch-1", Currency: "EUR",
		Total: "84.90", Subtotal: "80", Tax: "14.15", Shipping: "4.9",
		Discounts: []event.Discount{{Code: "SPRING", Amount: "2.5", Type: "fixed_amount"}, {Code: "VIP", Amount: "0.000000001", Type: "percentage"}},
		Lines: []event.Line{
			{
				ProductID: "P1", ProductName: `Lampe "groß"`, VariantID: "P1-red", Quantity: 2, Price: "41",
				ImageURL: "https://cdn.example.com/p1.png", ProductURL: "https://shop.example.com/p1", Metadata: []byte(` { "sku": "L-1", "weight": 1.50 } `),
			},
			{ProductID: "P2", ProductName: "Gift wrap", VariantID: "P2", Quantity: 1, Price: "0"},
		},
		Reason: "customer", DueAt: time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC), Carrier: "Post", Tracking: "RR1",
		Metadata: []byte(`{"warehouse": "VIE", "note_id": 9007199254740993}`),
	}
	if t == event.ProductViewed {
		c.Lines = c.Lines[:1]
	}
	return c
}

// least is an event of a type with only what Braze requires of it.
func least(t event.CommerceType) event.Commerce {
	c := event.Commerce{
		ID: "id-1", User: event.User{ExternalID: "crm-1001"}, Type: t, Source: "shop", OccurredAt: time.UnixMilli(0).UTC(),
		Currency: "JPY", Total: "500", Lines: []event.Line{{ProductID: "P1", ProductName: "Tea", VariantID: "v", Quantity: 1, Price: "500"}},
	}
	switch t {
	case event.ProductViewed:
		c.Total = ""
	case event.CartUpdated:
		c.CartID = "c"
	case event.CheckoutStarted:
		c.CheckoutID = "ch"
	default:
		c.OrderID, c.Reason = "o", "customer"
	}
	return c
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-reviewed +now)\n%s", path, diff)
	}
}

// TestPropertiesAreWhatBrazeReads compares what each type becomes with a file that was reviewed once.
// GOLDEN=write rewrites it.
func TestPropertiesAreWhatBrazeReads(t *testing.T) {
	for _, kind := range event.CommerceTypes() {
		t.Run(string(kind), func(t *testing.T) {
			var text bytes.Buffer
			for _, c := range []event.Commerce{full(kind), least(kind)} {
				m, _, err := commerce.Event(nil, &c)
				if err != nil || m.Lacks != "" || m.LinesOmitted != 0 {
					t.Fatalf("%+v, %v", m, err)
				}
				if !recommended(t, m.Event.Name, m.Event.Properties) && strings.HasPrefix(m.Event.Name, "ecommerce.") {
					t.Fatalf("%s is no event that Braze recommends", m.Event.Name)
				}
				text.WriteString(m.Event.Name + " ")
				if err := json.Indent(&text, m.Event.Properties, "", "  "); err != nil {
					t.Fatalf("%v in %s", err, m.Event.Properties)
				}
				text.WriteByte('\n')
				e := m.Event
				if e.ID != c.ID || e.User != c.User || !e.OccurredAt.Equal(c.OccurredAt) || e.AppID != c.AppID || e.Kind != event.KindTrack {
					t.Errorf("the event is %+v", e)
				}
			}
			golden(t, string(kind)+".golden", text.Bytes())
		})
	}
}

func TestWhatBrazeRequiresAndNobodySaidMakesAPlainEvent(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  event.CommerceType
		lose  func(*event.Commerce)
		lacks string
	}{
		{"no products", event.OrderPlaced, func(c *event.Commerce) { c.Lines = nil }, "products"},
		{"a cart that was emptied", event.CartUpdated, func(c *event.Commerce) { c.Lines = []event.Line{} }, "products"},
		{"a product without variant", event.OrderPlaced, func(c *event.Commerce) { c.Lines[1].VariantID = "" }, "products[1].variant_id"},
		{"a product whose id is blank", event.OrderPlaced, func(c *event.Commerce) { c.Lines[0].ProductID = "  " }, "products[0].product_id"},
		{"a product without name", event.OrderRefunded, func(c *event.Commerce) { c.Lines[0].ProductName = "" }, "products[0].product_name"},
		{"a product without price", event.CheckoutStarted, func(c *event.Commerce) { c.Lines[0].Price = "" }, "products[0].price"},
		{"a cancellation without reason", event.OrderCancelled, func(c *event.Commerce) { c.Reason = "" }, "cancel_reason"},
		{"an order without currency", event.OrderPlaced, func(c *event.Commerce) { c.Currency = "" }, "currency"},
		{"a cart without total", event.CartUpdated, func(c *event.Commerce) { c.Total = "" }, "total_value"},
		{"a view of no product", event.ProductViewed, func(c *event.Commerce) { c.Lines = nil }, "product_id"},
		{"a view of a product without variant", event.ProductViewed, func(c *event.Commerce) { c.Lines[0].VariantID = "" }, "variant_id"},
		{"a checkout without id", event.CheckoutStarted, func(c *event.Commerce) { c.CheckoutID = "" }, "checkout_id"},
		{"no source", event.OrderPlaced, func(c *event.Commerce) { c.Source = "" }, "source"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := full(c.kind)
			c.lose(&e)
			m, _, err := commerce.Event(nil, &e)
			if err != nil || m.Lacks != c.lacks || m.Event.Name != string(c.kind) {
				t.Fatalf("%q, lacks %q, %v", m.Event.Name, m.Lacks, err)
			}
			p := properties(t, m.Event.Properties)
			if len(e.Lines) > 0 && len(p["products"].([]any)) != len(e.Lines) {
				t.Errorf("the products that are known are lost: %s", m.Event.Properties)
			}
			if e.Total != "" && p["total_value"] != json.Number("84.90") {
				t.Errorf("the total is lost: %s", m.Event.Properties)
			}
		})
	}
}

func TestAPlainEventKeepsWhatIsKnown(t *testing.T) {
	e := full(event.OrderCancelled)
	e.Reason, e.Discounts[0].Type = "", ""
	m, _, err := commerce.Event(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	text.WriteString(m.Event.Name + " ")
	if err := json.Indent(&text, m.Event.Properties, "", "  "); err != nil {
		t.Fatal(err)
	}
	text.WriteByte('\n')
	golden(t, "plain_order_cancelled.golden", text.Bytes())
}

func TestViolationsAreRefusedWithTheirField(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		name  string
		kind  event.CommerceType
		spoil func(*event.Commerce)
		want  string
	}{
		{"a type nobody knows", "order_lost", func(*event.Commerce) {}, "event_type is none that there is"},
		{"a currency nobody has", event.OrderPlaced, func(c *event.Commerce) { c.Currency = "EURO" }, "currency is no currency of ISO 4217"},
		{"an order below zero", event.OrderPlaced, func(c *event.Commerce) { c.Total = "-0.01" }, "total is less than 0"},
		{"a tax below zero", event.OrderRefunded, func(c *event.Commerce) { c.Tax = "-1" }, "tax is less than 0"},
		{"a total that is no money", event.PaymentFailed, func(c *event.Commerce) { c.Total = "12,50" }, "total is no amount"},
		{"a price below zero", event.CartUpdated, func(c *event.Commerce) { c.Lines[1].Price = "-1" }, "lines[1].price is less than 0"},
		{"a quantity below zero", event.CartUpdated, func(c *event.Commerce) { c.Lines[1].Quantity = -1 }, "lines[1].quantity is less than 0"},
		{"a discount below zero", event.Delivered, func(c *event.Commerce) { c.Discounts[1].Amount = "-1" }, "discounts[1].amount is less than 0"},
		{"metadata that is no object", event.OrderPlaced, func(c *event.Commerce) { c.Metadata = []byte(`[1]`) }, "metadata_json is no valid JSON object"},
		{"metadata that would close the properties", event.OrderPlaced, func(c *event.Commerce) { c.Metadata = []byte(`{},"total_value":0,"a":{}`) }, "metadata_json is no valid JSON object"},
		{"metadata of a line that is cut off", event.OrderPlaced, func(c *event.Commerce) { c.Lines[0].Metadata = []byte(`{"a"`) }, "lines[0].metadata_json is no valid JSON object"},
		{"a text in metadata that is too long", event.OrderPlaced, func(c *event.Commerce) { c.Metadata = []byte(`{"note":"` + long + `"}`) }, "properties.metadata.note is longer than 255 characters"},
		{"a product's name that is too long", event.OrderPlaced, func(c *event.Commerce) { c.Lines[1].ProductName = long }, "properties.products[1].product_name is longer than 255 characters"},
		{"an order id that is too long", event.Delivered, func(c *event.Commerce) { c.OrderID = long }, "properties.order_id is longer than 255 characters"},
		{"metadata that leaves no room for a line", event.OrderPlaced, func(c *event.Commerce) {
			c.Metadata = []byte(`{"list":["` + strings.Repeat(strings.Repeat("y", 250)+`","`, 404) + `"]}`)
		}, "properties are larger than Braze takes, whatever lines are left out"},
		{"metadata that is too large by itself", event.PaymentFailed, func(c *event.Commerce) {
			c.Lines, c.Metadata = nil, []byte(`{"list":["`+strings.Repeat(strings.Repeat("y", 250)+`","`, 410)+`"]}`)
		}, "properties is larger than Braze takes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := full(c.kind)
			c.spoil(&e)
			m, dst, err := commerce.Event([]byte("before"), &e)
			if v := (*commerce.Violation)(nil); !errors.As(err, &v) || v.Error() != c.want || string(dst) != "before" || m.Event.Name != "" {
				t.Errorf("got %+v, %q, %v", m, dst, err)
			}
		})
	}
}

func TestWhatGoesBackIsSentWithoutItsSign(t *testing.T) {
	for _, kind := range []event.CommerceType{event.OrderRefunded, event.OrderCancelled} {
		e := full(kind)
		e.Total = "-84.90"
		m, _, err := commerce.Event(nil, &e)
		if err != nil || properties(t, m.Event.Properties)["total_value"] != json.Number("84.90") {
			t.Errorf("%s, %v", m.Event.Properties, err)
		}
	}
}

func TestNamesThatTheSourceHasTakenAreNotTakenTwice(t *testing.T) {
	e := full(event.OrderPlaced)
	e.Metadata = []byte(`{"checkout_id":"theirs","\u0072eason":"theirs","nested":{"carrier":"theirs"}}`)
	m, _, err := commerce.Event(nil, &e)
	if err != nil {
		t.Fatal(err)
	}
	got := properties(t, m.Event.Properties)["metadata"]
	want := map[string]any{
		"checkout_id": "theirs", "commerce_checkout_id": "ch-1", "reason": "theirs", "commerce_reason": "customer",
		"nested": map[string]any{"carrier": "theirs"}, "carrier": "Post", "tracking": "RR1", "due_at": "2026-04-04T00:00:00.000Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metadata (-want +got)\n%s", diff)
	}
}

func TestAnAddressThatIsTooLongIsLeftOutAndSaid(t *testing.T) {
	e := full(event.OrderPlaced)
	e.Lines[0].ImageURL = "https://cdn.example.com/" + strings.Repeat("x", 300)
	e.Lines[1].ProductURL = "https://shop.example.com/" + strings.Repeat("y", 300)
	m, _, err := commerce.Event(nil, &e)
	if err != nil || !recommended(t, m.Event.Name, m.Event.Properties) {
		t.Fatal(m, err)
	}
	products := properties(t, m.Event.Properties)["products"].([]any)
	if p := products[0].(map[string]any); p["image_url"] != nil || p["metadata"].(map[string]any)["image_url_too_long"] != json.Number("324") || p["product_url"] == nil {
		t.Errorf("got %v", p)
	}
	if p := products[1].(map[string]any); p["metadata"].(map[string]any)["product_url_too_long"] != json.Number("325") {
		t.Errorf("got %v", p)
	}
	view := full(event.ProductViewed)
	view.Lines[0].ImageURL = e.Lines[0].ImageURL
	if m, _, err = commerce.Event(nil, &view); err != nil || !recommended(t, m.Event.Name, m.Event.Properties) || properties(t, m.Event.Properties)["metadata"].(map[string]any)["image_url_too_long"] != json.Number("324") {
		t.Errorf("%s, %v", m.Event.Properties, err)
	}
}

func TestDiscountsThatAreNotCompleteStandInMetadata(t *testing.T) {
	e := full(event.OrderPlaced)
	e.Discounts[0].Code = ""
	m, _, err := commerce.Event(nil, &e)
	if err != nil || !recommended(t, m.Event.Name, m.Event.Properties) {
		t.Fatal(m, err)
	}
	p := properties(t, m.Event.Properties)
	if p["discounts"] != nil || len(p["metadata"].(map[string]any)["discounts"].([]any)) != 2 || p["total_discounts"] != json.Number("2.500000001") {
		t.Errorf("got %s", m.Event.Properties)
	}
}

// long is an order of n lines, each with so many bytes of metadata.
func long(n, size int) event.Commerce {
	e := full(event.OrderPlaced)
	e.Lines = nil
	for i := range n {
		l := event.Line{ProductID: fmt.Sprintf("P%d", i), ProductName: "Tea", VariantID: "v", Quantity: int64(i%3 + 1), Price: event.Money(fmt.Sprintf("%d.%02d", i, i%100))}
		if size > 0 {
			l.Metadata = []byte(`{"n":"` + strings.Repeat("m", size) + `"}`)
		}
		e.Lines = append(e.Lines, l)
	}
	return e
}

func TestOrdersOfManyLinesKeepTheirTotals(t *testing.T) {
	for _, c := range []struct {
		name  string
		order event.Commerce
		whole bool
	}{
		{"76 lines", long(76, 0), true},
		{"as many as are listed", long(commerce.MaxProducts, 0), true},
		{"one more", long(commerce.MaxProducts+1, 0), false},
		{"five thousand", long(5000, 0), false},
		{"four hundred that are too large together", long(400, 250), false},
		{"more than are listed, which are too large together", long(1000, 250), false},
		{"a few that are large", long(20, 10), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, _, err := commerce.Event(nil, &c.order)
			if err != nil {
				t.Fatal(err)
			}
			if !recommended(t, m.Event.Name, m.Event.Properties) || len(m.Event.Properties) > braze.MaxPropertyBytes {
				t.Fatalf("%s of %d bytes", m.Event.Name, len(m.Event.Properties))
			}
			p := properties(t, m.Event.Properties)
			products := p["products"].([]any)
			if len(products)+m.LinesOmitted != len(c.order.Lines) || (m.LinesOmitted == 0) != c.whole {
				t.Fatalf("%d products, %d lines omitted of %d", len(products), m.LinesOmitted, len(c.order.Lines))
			}
			if p["total_value"] != json.Number("84.90") || p["subtotal_value"] != json.Number("80.0") {
				t.Errorf("the totals are %v and %v", p["total_value"], p["subtotal_value"])
			}
			if c.whole {
				return
			}
			var quantity int64
			value := new(big.Rat)
			for _, l := range c.order.Lines[len(products):] {
				quantity += l.Quantity
				price, _ := new(big.Rat).SetString(string(l.Price))
				value.Add(value, price.Mul(price, big.NewRat(l.Quantity, 1)))
			}
			metadata := p["metadata"].(map[string]any)
			got, _ := new(big.Rat).SetString(string(metadata["lines_omitted_value"].(json.Number)))
			if fmt.Sprintf("%v %v %v", metadata["lines_total"], metadata["lines_omitted"], metadata["lines_omitted_quantity"]) != fmt.Sprintf("%d %d %d", len(c.order.Lines), m.LinesOmitted, quantity) || got.Cmp(value) != 0 {
				t.Errorf("metadata says %v; omitted were %d pieces worth %s", metadata, quantity, value.FloatString(2))
			}
			if c.order.Lines[0].Metadata != nil && len(products) < commerce.MaxProducts && len(m.Event.Properties) < braze.MaxPropertyBytes-700 {
				t.Errorf("only %d bytes: another line would have fitted", len(m.Event.Properties))
			}
		})
	}
}

func TestTheBufferIsAppendedTo(t *testing.T) {
	one, two := full(event.OrderPlaced), full(event.Delivered)
	first, buf, err := commerce.Event([]byte("x"), &one)
	if err != nil {
		t.Fatal(err)
	}
	kept := string(first.Event.Properties)
	second, buf, err := commerce.Event(buf, &two)
	if err != nil || string(buf) != "x"+kept+string(second.Event.Properties) {
		t.Errorf("got %s, %v", buf, err)
	}
}

func properties(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var p map[string]any
	if err := d.Decode(&p); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return p
}
