package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

// commerceOf parses a body of one commerce event, which must be fine.
func commerceOf(t *testing.T, body string) event.Commerce {
	t.Helper()
	var s scanner
	s.reset([]byte(body))
	items, err := parseCommerce(&s, nil)
	if err != nil || len(items) != 1 {
		t.Fatalf("got %d items, %v", len(items), err)
	}
	if p := items[0].problem; p.why != fine {
		t.Fatalf("refused: %s %s", p.field, p.reason())
	}
	return *items[0].commerce
}

const anOrder = `{"id":"ord-1-placed","user":{"external_id":"cus-48213","email":"Mira.Osei@example.com"},"type":"order_placed","time":"2026-03-02T10:15:03.48+01:00",` +
	`"order_id":820982911946154508,"cart_id":"c-1","checkout_id":"ch-1","currency":"eur","total":"84.90","subtotal":80.00,"tax":1.415e1,"shipping":"4.90",` +
	`"discounts":[{"code":"SPRING","amount":"2","type":"fixed_amount"}],` +
	`"lines":[{"product_id":632910392,"product_name":"Lampe, groß","variant_id":"P1-red","quantity":2,"price":"41.00","image_url":"https://cdn.example.com/p1.png?v=1","product_url":"https://shop.example.com/p1","metadata":{"sku":"L-1"}},` +
	`{"product_name":"Gift wrap","quantity":1,"price":0}],` +
	`"reason":"none","due":"2027-03-02T00:00:00Z","carrier":"post","tracking":"RR1","source":"shop.example.com","metadata":{"note":9007199254740993, "gift":true}}`

func TestParseCommerceTakesWhatTheContractSays(t *testing.T) {
	user := event.User{ExternalID: "c"}
	for _, c := range []struct {
		name, body string
		want       event.Commerce
	}{
		{
			name: "everything there can be", body: anOrder,
			want: event.Commerce{
				ID: "ord-1-placed", User: event.User{ExternalID: "cus-48213", Email: "Mira.Osei@example.com"}, Type: event.OrderPlaced,
				OccurredAt: time.Date(2026, 3, 2, 9, 15, 3, 480_000_000, time.UTC), Source: "shop.example.com",
				OrderID: "820982911946154508", CartID: "c-1", CheckoutID: "ch-1", Currency: "EUR",
				Total: "84.90", Subtotal: "80.00", Tax: "14.15", Shipping: "4.90",
				Discounts: []event.Discount{{Code: "SPRING", Amount: "2", Type: "fixed_amount"}},
				Lines: []event.Line{
					{
						ProductID: "632910392", ProductName: "Lampe, groß", VariantID: "P1-red", Quantity: 2, Price: "41.00",
						ImageURL: "https://cdn.example.com/p1.png?v=1", ProductURL: "https://shop.example.com/p1", Metadata: []byte(`{"sku":"L-1"}`),
					},
					{ProductName: "Gift wrap", Quantity: 1, Price: "0"},
				},
				Reason: "none", DueAt: time.Date(2027, 3, 2, 0, 0, 0, 0, time.UTC), Carrier: "post", Tracking: "RR1",
				Metadata: []byte(`{"note":9007199254740993, "gift":true}`),
			},
		},
		{
			name: "null stands for what is left out",
			body: `{"id":null,"user":{"external_id":"c"},"type":"delivered","order_id":"o","time":null,"cart_id":null,"currency":null,"total":null,"discounts":null,"lines":null,"due":null,"source":null,"metadata":null}`,
			want: event.Commerce{User: user, Type: event.Delivered, OrderID: "o"},
		},
		{
			name: "a cart that was emptied", body: `{"user":{"external_id":"c"},"type":"cart_updated","cart_id":"k","lines":[]}`,
			want: event.Commerce{User: user, Type: event.CartUpdated, CartID: "k", Lines: []event.Line{}},
		},
		{
			name: "a view needs no quantity", body: `{"user":{"external_id":"c"},"type":"product_viewed","currency":"EUR","lines":[{"product_id":"p","price":1}]}`,
			want: event.Commerce{User: user, Type: event.ProductViewed, Currency: "EUR", Lines: []event.Line{{ProductID: "p", Price: "1"}}},
		},
		{
			name: "what a shop says it gave back", body: `{"user":{"external_id":"c"},"type":"order_refunded","order_id":"o","currency":"JPY","total":-500}`,
			want: event.Commerce{User: user, Type: event.OrderRefunded, OrderID: "o", Currency: "JPY", Total: "-500"},
		},
		{
			name: "a payment that failed, of which nothing else is known", body: `{"user":{"external_id":"c"},"type":"payment_failed","reason":"card_declined"}`,
			want: event.Commerce{User: user, Type: event.PaymentFailed, Reason: "card_declined"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, commerceOf(t, c.body)); diff != "" {
				t.Errorf("the event (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseCommerceNamesTheFieldAtFault(t *testing.T) {
	const (
		amount   = `must be an amount such as "84.90" or 84.90, with at most 29 digits before the point and 9 behind it`
		required = "is required"
		unknown  = "is not a known field"
	)
	of := func(kind, members string) string {
		if members != "" {
			members = "," + members
		}
		return `{"user":{"external_id":"c"},"type":"` + kind + `"` + members + `}`
	}
	order := func(members string) string {
		return of("order_placed", `"order_id":"o","currency":"EUR","total":"1",`+members)
	}
	line := func(members string) string { return order(`"lines":[{"quantity":1},{"quantity":1,` + members + `}]`) }
	for _, c := range []struct{ name, body, field, reason string }{
		{"an item that is not an object", `[1]`, "", "must be an object"},
		{"no user", `{"type":"delivered","order_id":"o"}`, "user", required},
		{"a user without identifier", `{"user":{},"type":"delivered","order_id":"o"}`, "user", "needs one of external_id, braze_id, alias, email, phone"},
		{"no type", `{"user":{"external_id":"c"},"order_id":"o"}`, "type", required},
		{"a type nobody knows", of("order_lost", ""), "type", whys[notCommerce].sentence},
		{"a field nobody knows", order(`"amount":1`), "amount", unknown},
		{"a field of the user nobody knows", `{"user":{"id":"c"},"type":"delivered"}`, "user.id", unknown},
		{"an order without id", of("order_placed", `"currency":"EUR","total":"1"`), "order_id", required},
		{"an order without currency", of("order_cancelled", `"order_id":"o","total":"1"`), "currency", required},
		{"an order without total", of("order_refunded", `"order_id":"o","currency":"EUR"`), "total", required},
		{"a cart without id", of("cart_updated", `"lines":[]`), "cart_id", required},
		{"a cart without lines", of("cart_updated", `"cart_id":"k"`), "lines", required},
		{"a view without product", of("product_viewed", ""), "lines", required},
		{"a view of two products", of("product_viewed", `"lines":[{},{}]`), "lines", "must hold exactly one product"},
		{"a checkout without id", of("checkout_started", `"cart_id":"k"`), "checkout_id", required},
		{"a shipment without order", of("shipment_updated", `"tracking":"t"`), "order_id", required},
		{"a delivery without order", of("delivered", ``), "order_id", required},
		{"a renewal without its day", of("renewal_due", `"currency":"EUR","total":"1"`), "due", required},
		{"an amount without currency", of("payment_failed", `"total":"1"`), "currency", required},
		{"a price without currency", of("delivered", `"order_id":"o","lines":[{"price":1}]`), "currency", required},
		{"a currency nobody has", of("payment_failed", `"currency":"EURO"`), "currency", "must be a currency's code of ISO 4217, such as EUR"},
		{"a currency that is no money", of("payment_failed", `"currency":"XXX"`), "currency", "must be a currency's code of ISO 4217, such as EUR"},
		{"a currency that is a number", of("payment_failed", `"currency":978`), "currency", "must be a string"},
		{"an amount with a comma", order(`"tax":"1,50"`), "tax", amount},
		{"an amount in words", order(`"tax":"free"`), "tax", amount},
		{"an amount that is nothing at all", order(`"tax":""`), "tax", amount},
		{"an amount that is true", order(`"tax":true`), "tax", amount},
		{"an amount of ten digits behind the point", order(`"tax":0.0000000001`), "tax", amount},
		{"an amount of thirty digits", order(`"tax":1` + strings.Repeat("0", 29)), "tax", amount},
		{"a tax below zero", order(`"tax":"-1"`), "tax", "must not be less than 0"},
		{"an order of less than nothing", of("order_placed", `"order_id":"o","currency":"EUR","total":-0.01`), "total", "must not be less than 0"},
		{"an order id that is not whole", of("order_placed", `"order_id":1.5,"currency":"EUR","total":"1"`), "order_id", "must be a string"},
		{"an order id that is empty", of("order_placed", `"order_id":"","currency":"EUR","total":"1"`), "order_id", "must not be empty"},
		{"a reason of 256 characters", order(`"reason":"` + strings.Repeat("é", 256) + `"`), "reason", "is too long: at most 255 characters"},
		{"a time without zone", order(`"time":"2026-03-02T09:15:04"`), "time", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"a day for a time", of("renewal_due", `"due":"2026-03-02"`), "due", "must be a time such as 2026-03-02T09:15:04Z (RFC 3339)"},
		{"a source with blanks", order(`"source":"my shop"`), "source", "must be 1 to 100 letters, digits, dots, dashes or underscores"},
		{"metadata that is an array", order(`"metadata":[]`), "metadata", "must be an object"},
		{"metadata of more than 100 KiB", order(`"metadata":{"a":"` + strings.Repeat("x", 102_400) + `"}`), "metadata", "is too large: at most 102400 bytes"},
		{"discounts that are an object", order(`"discounts":{}`), "discounts", "must be an array"},
		{"a discount below zero", order(`"discounts":[{"amount":1},{"amount":-1}]`), "discounts[1].amount", "must not be less than 0"},
		{"a discount with something else", order(`"discounts":[{"percent":5}]`), "discounts[0].percent", unknown},
		{"lines that are a text", order(`"lines":"2 × lamp"`), "lines", "must be an array"},
		{"a line that is a text", order(`"lines":["lamp"]`), "lines[0]", "must be an object"},
		{"a line with something else", line(`"sku":"x"`), "lines[1].sku", unknown},
		{"a line without quantity", order(`"lines":[{"quantity":1},{"product_id":"p"}]`), "lines[1].quantity", required},
		{"a quantity below zero", order(`"lines":[{"quantity":-1}]`), "lines[0].quantity", "must not be less than 0"},
		{"a quantity that is not whole", order(`"lines":[{"quantity":1.5}]`), "lines[0].quantity", "must be a whole number"},
		{"a quantity that is a text", order(`"lines":[{"quantity":"1"}]`), "lines[0].quantity", "must be a whole number"},
		{"a quantity beyond all measure", order(`"lines":[{"quantity":9223372036854775808}]`), "lines[0].quantity", "must be a whole number"},
		{"a price below zero", line(`"price":"-0.01"`), "lines[1].price", "must not be less than 0"},
		{"a product's name of 256 characters", line(`"product_name":"` + strings.Repeat("x", 256) + `"`), "lines[1].product_name", "is too long: at most 255 characters"},
		{"an address without scheme", line(`"image_url":"//cdn.example.com/p.png"`), "lines[1].image_url", whys[notURL].sentence},
		{"an address that runs something", line(`"product_url":"javascript://x/%0aalert(1)"`), "lines[1].product_url", whys[notURL].sentence},
		{"an address with a blank", line(`"product_url":"https://a.example/p 1"`), "lines[1].product_url", whys[notURL].sentence},
		{"an address of nobody", line(`"product_url":"https:///p"`), "lines[1].product_url", whys[notURL].sentence},
		{"an address of more than 2 KiB", line(`"product_url":"https://a.example/` + strings.Repeat("x", 2048) + `"`), "lines[1].product_url", "is too long: at most 2048 bytes"},
		{"more lines than readers take", order(`"lines":[` + strings.Repeat(`{"quantity":1},`, MaxEntries) + `{"quantity":1}]`), "lines", "holds too many: at most 10000 entries"},
		{"a name twice in a line", line(`"product_id":"a","product_id":"b"`), "lines", "has a name twice, at byte 150"},
		{"bytes that are not UTF-8", order("\"reason\":\"\xff\""), "reason", "is not valid UTF-8, at byte 105"},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The item at fault stands between two that are fine, which it must not spoil.
			body := strings.TrimSuffix(strings.TrimPrefix(c.body, "["), "]")
			const good = `{"user":{"external_id":"c"},"type":"delivered","order_id":"o"}`
			for i, text := range []string{body, good + "," + body + "," + good} {
				var s scanner
				s.reset([]byte("[" + text + "]"))
				items, err := parseCommerce(&s, nil)
				if err != nil {
					t.Fatal(err)
				}
				p := items[i].problem
				if got, want := [2]string{p.field, p.reason()}, [2]string{c.field, c.reason}; got != want && (i == 0 || p.at == 0) {
					t.Errorf("got %q, want %q", got, want)
				}
				if i == 1 && (items[0].problem.why != fine || items[2].problem.why != fine) {
					t.Error("it spoiled the others")
				}
			}
		})
	}
}

func TestCommerceItemsThatWereMadeElsewhereAreCheckedToo(t *testing.T) {
	made := func(change func(*event.Commerce)) *event.Commerce {
		c := &event.Commerce{User: event.User{Email: "a@b.at"}, Type: event.OrderPlaced, OrderID: "o", Currency: "eur", Total: "1", Lines: []event.Line{{Quantity: 1, Price: "1"}}}
		change(c)
		return c
	}
	for _, c := range []struct {
		name  string
		made  *event.Commerce
		field string
		why   why
	}{
		{"nothing wrong", made(func(*event.Commerce) {}), "", fine},
		{"nobody", made(func(c *event.Commerce) { c.User = event.User{} }), "user", noIdentifier},
		{"a type nobody knows", made(func(c *event.Commerce) { c.Type = "x" }), "type", notCommerce},
		{"no order", made(func(c *event.Commerce) { c.OrderID = "" }), "order_id", missing},
		{"a total that is no money", made(func(c *event.Commerce) { c.Total = "1e2x" }), "total", notMoney},
		{"a price below zero", made(func(c *event.Commerce) { c.Lines[0].Price = "-1" }), "lines[0].price", negative},
		{"a quantity below zero", made(func(c *event.Commerce) { c.Lines[0].Quantity = -1 }), "lines[0].quantity", negative},
		{"a currency nobody has", made(func(c *event.Commerce) { c.Currency = "ABC" }), "currency", notCurrency},
	} {
		t.Run(c.name, func(t *testing.T) {
			it := commerceItem(c.made)
			if it.problem.why != c.why || it.problem.field != c.field {
				t.Errorf("got %s of %q", it.problem.why, it.problem.field)
			}
			if c.why == fine && c.made.Currency != "EUR" {
				t.Errorf("the currency is %q", c.made.Currency)
			}
		})
	}
}

// postCommerce sends commerce events as the holder of the first key.
func (d *door) postCommerce(body string) *httptest.ResponseRecorder {
	return d.ask("POST", "/v1/commerce", body, "Authorization", "Bearer k1", "Content-Type", "application/json")
}

func delivered(id, more string) string {
	return fmt.Sprintf(`{"id":%q,"user":{"external_id":"c"},"type":"delivered","order_id":"o"%s}`, id, more)
}

func TestPostCommerceAnswersExactly(t *testing.T) {
	d := newDoor(nil)
	w := d.postCommerce(`[` + delivered("a", "") + `,` + delivered("a", "") + `,{"id":"b","user":{"external_id":"c"},"type":"order_placed","order_id":"o","currency":"EUR","total":1,"lines":[{"price":"x"}]},{"oops":1}]`)
	want := `{"accepted":2,"rejected":2,"results":[` +
		`{"index":0,"id":"a","status":"accepted"},` +
		`{"index":1,"id":"a","status":"duplicate"},` +
		`{"index":2,"id":"b","status":"rejected","field":"lines[0].price","reason":"must be an amount such as \"84.90\" or 84.90, with at most 29 digits before the point and 9 behind it"},` +
		`{"index":3,"id":"","status":"rejected","field":"oops","reason":"is not a known field"}]}`
	if diff := cmp.Diff(want, w.Body.String()); w.Code != 202 || diff != "" {
		t.Errorf("%d, the answer (-want +got):\n%s", w.Code, diff)
	}
	checkLaw(t, d.metrics, 4, len(d.shelf.records))
	if w := d.postCommerce(`{"user":{},"type":"delivered"}`); w.Code != 422 {
		t.Errorf("nothing acceptable: %d", w.Code)
	}
	d.shelf.fail = func(int) error { return errors.New("no broker") }
	if w := d.postCommerce(delivered("z", "")); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("no broker: %d", w.Code)
	}
	if w := d.ask("POST", "/v1/commerce", delivered("z", "")); w.Code != 401 {
		t.Errorf("no key: %d", w.Code)
	}
	if w := d.postCommerce(`{"user"`); w.Code != 400 {
		t.Errorf("no JSON: %d", w.Code)
	}
	if w := d.ask("POST", "/v1/commerce", delivered("z", ""), "X-Api-Key", "k1", "Content-Type", "text/plain"); w.Code != 415 {
		t.Errorf("not JSON by its type: %d", w.Code)
	}
}

func TestPostCommerceWritesTheRecord(t *testing.T) {
	d := newDoor(nil)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if w := d.postCommerce(delivered("a", `,"time":"`+future+`"`)); w.Code != 202 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	r := d.shelf.records[0]
	want := map[string]string{"event-id": "a", "source": "shop", "origin": "ingest", "hops": "0"}
	if diff := cmp.Diff(want, r.headers); diff != "" || r.topic != "eu.commerce.events" || r.key != "c" {
		t.Errorf("topic %q, key %q, headers (-want +got):\n%s", r.topic, r.key, diff)
	}
	var c event.Commerce
	if _, err := avro.NewCommerceDecoder(fixed(schemas.Latest(schema.CommerceEvents))).Decode(t.Context(), r.value, &c); err != nil {
		t.Fatal(err)
	}
	if !c.OccurredAt.Equal(c.ReceivedAt) || c.Source != "shop" || c.Type != event.Delivered {
		t.Errorf("got %+v", c)
	}
}

func TestTheSourceOfACommerceEvent(t *testing.T) {
	d := newDoor(func(o *Options) {
		o.Keys = append(o.Keys, Key{Name: "erp", Key: "k3", Sources: []string{"erp", "webshop"}})
	})
	post := func(key, id, source string) itemsAnswer {
		t.Helper()
		return readAnswer(t, d.ask("POST", "/v1/commerce", delivered(id, `,"source":"`+source+`"`), "X-Api-Key", key).Body)
	}
	for _, c := range []struct{ name, key, id, source, status string }{
		{"a key without sources names any", "k1", "a", "shop.example.com", "accepted"},
		{"an id of that source, under another key", "k2", "a", "shop.example.com", "duplicate"},
		{"the same id of the key's own source", "k1", "a", "shop", "accepted"},
		{"a key with sources names one of them", "k3", "a", "webshop", "accepted"},
		{"but no other", "k3", "b", "shop.example.com", "rejected"},
	} {
		if a := post(c.key, c.id, c.source); a.statuses() != c.status {
			t.Errorf("%s: %+v", c.name, a)
		}
	}
	if w := d.post(withID("a")); readAnswer(t, w.Body).statuses() != "accepted" {
		t.Error("an event that is no commerce has the id of one, and is taken for it")
	}
	d.shelf.records = d.shelf.records[:len(d.shelf.records)-1]
	var sources []string
	for _, r := range d.shelf.records {
		var c event.Commerce
		if _, err := avro.NewCommerceDecoder(fixed(schemas.Latest(schema.CommerceEvents))).Decode(t.Context(), r.value, &c); err != nil {
			t.Fatal(err)
		}
		if c.Source != r.headers["source"] || r.headers["event-id"] != c.ID || r.key != "c" {
			t.Errorf("the record's source is %q, headers %v, key %q", c.Source, r.headers, r.key)
		}
		sources = append(sources, c.Source)
	}
	if diff := cmp.Diff([]string{"shop.example.com", "shop", "webshop"}, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}

// TestCommerceOfOneRequestDoesNotReachTheNext makes sure that what one body left behind does not reach the next.
func TestCommerceOfOneRequestDoesNotReachTheNext(t *testing.T) {
	d := newDoor(func(o *Options) { o.DedupEntries = 0 })
	d.shelf.inline = true
	for range 3 {
		for _, body := range []string{anOrder, delivered("a", ""), `[` + anOrder + `,` + delivered("b", "") + `,` + anOrder + `]`} {
			if w := d.postCommerce(body); w.Code != 202 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		}
	}
	decoder := avro.NewCommerceDecoder(fixed(schemas.Latest(schema.CommerceEvents)))
	for i, r := range d.shelf.records {
		var c event.Commerce
		if _, err := decoder.Decode(t.Context(), r.value, &c); err != nil {
			t.Fatal(err)
		}
		if wants := c.Type == event.OrderPlaced; (len(c.Lines) == 2) != wants || (c.Total == "84.9") != wants || (len(c.Metadata) > 0) != wants {
			t.Errorf("record %d: %+v", i, c)
		}
	}
}

// fixed is a registry of one schema.
type fixed string

func (f fixed) SchemaByID(context.Context, int) (string, error) { return string(f), nil }

func TestALongOrderIsTakenWhole(t *testing.T) {
	d := newDoor(nil)
	var lines []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf(`{"product_id":"p-%d","product_name":"Product %d","variant_id":"v","quantity":1,"price":"1.10"}`, i, i))
	}
	w := d.postCommerce(`{"user":{"external_id":"c"},"type":"order_placed","order_id":"o","currency":"EUR","total":"3300","lines":[` + strings.Join(lines, ",") + `]}`)
	if w.Code != 202 {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	var c event.Commerce
	if _, err := avro.NewCommerceDecoder(fixed(schemas.Latest(schema.CommerceEvents))).Decode(t.Context(), d.shelf.records[0].value, &c); err != nil || len(c.Lines) != 3000 {
		t.Fatalf("%d lines, %v", len(c.Lines), err)
	}
}

// FuzzParseCommerce holds what is taken to what encoding/json reads from the same bytes.
func FuzzParseCommerce(f *testing.F) {
	for _, body := range []string{anOrder, `[` + delivered("a", "") + `,1,{}]`, `{"user":{"phone":"+431"},"type":"product_viewed","currency":"JPY","lines":[{"product_id":1,"price":1e2,"quantity":0}]}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var s scanner
		s.reset(body)
		items, err := parseCommerce(&s, nil)
		if err != nil {
			return
		}
		var raw []json.RawMessage
		if bytes.HasPrefix(bytes.TrimLeft(body, " \n\r\t"), []byte("{")) {
			raw = []json.RawMessage{body}
		} else if err := json.Unmarshal(body, &raw); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if len(raw) != len(items) {
			t.Fatalf("%d items of %d", len(items), len(raw))
		}
		for i := range items {
			if items[i].problem.why == fine {
				compareCommerce(t, raw[i], items[i].commerce)
			}
		}
	})
}

// compareCommerce reads an item with encoding/json, amounts and ids as the text that stands there.
func compareCommerce(t *testing.T, raw []byte, got *event.Commerce) {
	t.Helper()
	type line struct {
		ProductID   any    `json:"product_id"`
		ProductName string `json:"product_name"`
		VariantID   any    `json:"variant_id"`
		Quantity    int64
		Price       any
		ImageURL    string `json:"image_url"`
		ProductURL  string `json:"product_url"`
		Metadata    json.RawMessage
	}
	var want struct {
		ID, Type, Currency, Reason, Carrier, Tracking, Source string
		User                                                  json.RawMessage
		Time, Due                                             time.Time
		OrderID                                               any `json:"order_id"`
		CartID                                                any `json:"cart_id"`
		CheckoutID                                            any `json:"checkout_id"`
		Total, Subtotal, Tax, Shipping                        any
		Discounts                                             []struct {
			Code, Type string
			Amount     any
		}
		Lines    []line
		Metadata json.RawMessage
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		t.Fatalf("encoding/json refuses what we take: %v", err)
	}
	id := func(field string, v any, got string) {
		if v == nil {
			v = ""
		}
		if fmt.Sprint(v) != got {
			t.Fatalf("%s: got %q, want %v", field, got, v)
		}
	}
	money := func(field string, v any, got event.Money) {
		if v == nil {
			if got != "" {
				t.Fatalf("%s: got %q of nothing", field, got)
			}
			return
		}
		m, ok := event.ParseMoney(fmt.Sprint(v))
		if !ok || m != got {
			t.Fatalf("%s: got %q, want %v", field, got, v)
		}
	}
	id("id", want.ID, got.ID)
	id("type", want.Type, string(got.Type))
	id("reason", want.Reason, got.Reason)
	id("order_id", want.OrderID, got.OrderID)
	id("cart_id", want.CartID, got.CartID)
	id("checkout_id", want.CheckoutID, got.CheckoutID)
	money("total", want.Total, got.Total)
	money("subtotal", want.Subtotal, got.Subtotal)
	money("tax", want.Tax, got.Tax)
	money("shipping", want.Shipping, got.Shipping)
	if len(want.Discounts) != len(got.Discounts) || len(want.Lines) != len(got.Lines) || !want.Due.UTC().Equal(got.DueAt) || !want.Time.UTC().Equal(got.OccurredAt) {
		t.Fatalf("got %+v of %s", got, raw)
	}
	for i, l := range want.Lines {
		id("product_id", l.ProductID, got.Lines[i].ProductID)
		id("variant_id", l.VariantID, got.Lines[i].VariantID)
		money("price", l.Price, got.Lines[i].Price)
		if l.Quantity != got.Lines[i].Quantity || l.ProductName != got.Lines[i].ProductName || l.ImageURL != got.Lines[i].ImageURL {
			t.Fatalf("line %d: got %+v, want %+v", i, got.Lines[i], l)
		}
	}
}

func BenchmarkParseCommerce(b *testing.B) {
	body := []byte(anOrder)
	var s scanner
	var items []item
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		s.reset(body)
		var err error
		if items, err = parseCommerce(&s, items[:0]); err != nil || items[0].problem.why != fine {
			b.Fatal(err, items[0].problem)
		}
	}
}
