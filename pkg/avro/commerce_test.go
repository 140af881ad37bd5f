package avro_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

var (
	commerceText     = schemas.Latest(schema.CommerceEvents)
	commerceRegistry = texts{9: commerceText}
)

func order() event.Commerce {
	return event.Commerce{
		ID: "ord-1-placed", User: event.User{ExternalID: "crm-1001", Email: "mira@example.com"}, Type: event.OrderPlaced,
		OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC), ReceivedAt: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC),
		Source: "shop.example.com", AppID: "app-1", OrderID: "820982911946154508", CartID: "c-1", CheckoutID: "ch-1", Currency: "EUR",
		Total: "84.9", Subtotal: "80", Tax: "14.15", Shipping: "4.9",
		Discounts: []event.Discount{{Code: "SPRING", Amount: "2", Type: "fixed_amount"}, {Amount: "0.000000001"}},
		Lines: []event.Line{
			{ProductID: "P1", ProductName: "Lampe, groß", VariantID: "P1-red", Quantity: 2, Price: "41", ImageURL: "https://cdn.example.com/p1.png", ProductURL: "https://shop.example.com/p1", Metadata: []byte(`{"sku":"L-1"}`)},
			{ProductName: "Gift wrap", Price: "0"},
		},
		Reason: "none", DueAt: time.UnixMilli(1_800_000_000_000).UTC(), Carrier: "post", Tracking: "RR1", Metadata: []byte(`{"warehouse":"VIE"}`), BrazeDisabled: true,
	}
}

func appendCommerce(t testing.TB, id int, c *event.Commerce) []byte {
	t.Helper()
	value, err := avro.AppendCommerce(nil, id, c)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestGoavroReadsTheCommerceWeWrite holds the hand-written encoder to the codec of record: reading our
// bytes and writing them again gives the same bytes.
func TestGoavroReadsTheCommerceWeWrite(t *testing.T) {
	codec := goavroCodec(t, commerceText)
	amount := func(m event.Money) event.Commerce {
		c := order()
		c.Total, c.Lines = m, nil
		return c
	}
	nines := strings.Repeat("9", 29) + ".999999999"
	for name, c := range map[string]event.Commerce{
		"every field set":              order(),
		"only what is required":        {ID: "e", User: event.User{Phone: "+431"}, Type: event.Delivered, OccurredAt: time.UnixMilli(0), ReceivedAt: time.UnixMilli(-1), Source: "s"},
		"the largest amount":           amount(event.Money(nines)),
		"the largest debt":             amount(event.Money("-" + nines)),
		"nothing to pay":               amount("0"),
		"an amount of 127 billionths":  amount("0.000000127"),
		"one of 128, which is a byte":  amount("0.000000128"),
		"128 below nothing, a byte":    amount("-0.000000128"),
		"129 below nothing, two bytes": amount("-0.000000129"),
		"32768 below nothing":          amount("-0.000032768"),
	} {
		t.Run(name, func(t *testing.T) {
			ours := appendCommerce(t, 9, &c)
			native, rest, err := codec.NativeFromBinary(ours[avro.HeaderSize:])
			if err != nil || len(rest) > 0 {
				t.Fatalf("goavro: %v, %d bytes left over", err, len(rest))
			}
			theirs, err := codec.BinaryFromNative(ours[:avro.HeaderSize:avro.HeaderSize], native)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("goavro writes it differently:\nours   %x\ntheirs %x", ours, theirs)
			}
			if total := native.(map[string]any)["total"]; c.Total != "" {
				want, _ := new(big.Rat).SetString(string(c.Total))
				if got := total.(map[string]any)["bytes.decimal"].(*big.Rat); got.Cmp(want) != 0 {
					t.Errorf("goavro reads a total of %s, want %s", got, want)
				}
			}
			var back event.Commerce
			userID, err := avro.NewCommerceDecoder(commerceRegistry).Decode(t.Context(), ours, &back)
			if err != nil || userID != c.User.Key() {
				t.Fatal(userID, err)
			}
			if diff := cmp.Diff(c, back, cmpopts.EquateEmpty(), cmp.Transformer("utc", time.Time.UTC)); diff != "" {
				t.Errorf("round trip (-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhatIsNoMoneyIsNotEncoded(t *testing.T) {
	for field, spoil := range map[string]func(*event.Commerce){
		"total":            func(c *event.Commerce) { c.Total = "1" + event.Money(strings.Repeat("0", 29)) },
		"tax":              func(c *event.Commerce) { c.Tax = "0.0000000001" },
		"discounts.amount": func(c *event.Commerce) { c.Discounts[1].Amount = "ten" },
		"lines.price":      func(c *event.Commerce) { c.Lines[0].Price = "1,50" },
	} {
		t.Run(field, func(t *testing.T) {
			c := order()
			spoil(&c)
			got, err := avro.AppendCommerce([]byte("before"), 9, &c)
			if err == nil || !strings.Contains(err.Error(), field) || string(got) != "before" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// commerceBy is the schema of a producer that knows less of commerce and more of something else.
func commerceBy(total, price, due string) string {
	return fmt.Sprintf(`{"type":"record","name":"CommerceEvent","namespace":"io.sluice","fields":[
  {"name":"till","type":"int"},
  {"name":"event_id","type":"string"},{"name":"user_id","type":"string"},{"name":"external_id","type":"string"},
  {"name":"event_type","type":"string"},
  {"name":"occurred_at","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"received_at","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"source","type":"string"},
  {"name":"total","type":%s},
  {"name":"due_at","type":%s},
  {"name":"lines","type":{"type":"array","items":{"type":"record","name":"CommerceLine","fields":[
    {"name":"quantity","type":"int"},{"name":"price","type":%s}]}},"default":[]}]}`, total, due, price)
}

const (
	decimal389 = `{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}`
	decimal102 = `{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}`
	millis     = `{"type":"long","logicalType":"timestamp-millis"}`
	micros     = `["null",{"type":"long","logicalType":"timestamp-micros"}]`
)

func TestAnotherProgramsCommerceIsResolved(t *testing.T) {
	text := commerceBy(decimal389, decimal389, millis)
	native := map[string]any{
		"till": 7, "event_id": "e", "user_id": "u", "external_id": "u", "event_type": "order_placed",
		"occurred_at": time.UnixMilli(1000), "received_at": time.UnixMilli(2000), "source": "pos", "due_at": time.UnixMilli(3000),
		"total": big.NewRat(8490, 100), "lines": []any{map[string]any{"quantity": 2, "price": big.NewRat(-1, 1)}},
	}
	value, err := goavroCodec(t, text).BinaryFromNative(avro.AppendHeader(nil, 3), native)
	if err != nil {
		t.Fatal(err)
	}
	var c event.Commerce
	userID, err := avro.NewCommerceDecoder(texts{3: text}).Decode(t.Context(), value, &c)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Commerce{
		ID: "e", User: event.User{ExternalID: "u"}, Type: event.OrderPlaced, OccurredAt: time.UnixMilli(1000).UTC(), ReceivedAt: time.UnixMilli(2000).UTC(),
		Source: "pos", Total: "84.9", DueAt: time.UnixMilli(3000).UTC(), Lines: []event.Line{{Quantity: 2, Price: "-1"}},
	}
	if diff := cmp.Diff(want, c); diff != "" || userID != "u" {
		t.Errorf("user_id %q, (-want +got)\n%s", userID, diff)
	}
}

func TestUnreadableCommerce(t *testing.T) {
	c := order()
	good := appendCommerce(t, 9, &c)
	bare := order()
	bare.Discounts, bare.Lines, bare.Total, bare.Subtotal, bare.Tax, bare.Shipping = nil, nil, "", "", "", ""
	bare.Reason, bare.DueAt, bare.Carrier, bare.Tracking, bare.Metadata, bare.BrazeDisabled = "", time.Time{}, "", "", nil, false
	// Behind total stand five nulls and two empty arrays, then six nulls.
	short := appendCommerce(t, 9, &bare)
	upToTotal, upToLines := short[:len(short)-12], short[:len(short)-7]
	claim := func(head []byte, tail ...byte) []byte { return append(bytes.Clone(head), tail...) }
	hostile := texts{
		9:  commerceText,
		10: commerceBy(`"string"`, decimal389, millis), 11: commerceBy(`"bytes"`, decimal389, millis), 12: commerceBy(decimal102, decimal389, millis),
		13: commerceBy(decimal389, decimal102, millis), 14: commerceBy(decimal389, `"double"`, millis), 15: commerceBy(decimal389, decimal389, micros),
		16: eventText,
	}
	decoder := avro.NewCommerceDecoder(hostile)
	for _, c := range []struct {
		name  string
		value []byte
		want  string
	}{
		{"a body cut off", good[:len(good)-3], "undecodable"},
		{"something behind the body", claim(good, 1), "undecodable"},
		{"an amount of 39 digits", claim(upToTotal, append([]byte{2, 32}, bytes.Repeat([]byte{0x7f}, 16)...)...), "undecodable"},
		{"an amount that claims two gigabytes", claim(upToTotal, 2, 0xfe, 0xff, 0xff, 0xff, 0x0f), "undecodable"},
		{"two thousand million lines", claim(upToLines, 0xfe, 0xff, 0xff, 0xff, 0x0f), "undecodable"},
		{"as many in a block that says its size", claim(upToLines, 0xff, 0xff, 0xff, 0xff, 0x0f, 2), "undecodable"},
		{"the lowest number there is of lines", claim(upToLines, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 2), "undecodable"},
		{"ten thousand and one lines", claim(upToLines, append([]byte{0xa2, 0x9c, 0x01}, make([]byte, 90_000)...)...), "undecodable"},
		{"one more line than there are bytes for", claim(upToLines, append([]byte{4}, make([]byte, 15)...)...), "undecodable"},
		{"amounts as text", avro.AppendHeader(nil, 10), "incompatible_schema"},
		{"amounts as any bytes", avro.AppendHeader(nil, 11), "incompatible_schema"},
		{"totals in cents", avro.AppendHeader(nil, 12), "incompatible_schema"},
		{"prices in cents", avro.AppendHeader(nil, 13), "incompatible_schema"},
		{"prices that are not exact", avro.AppendHeader(nil, 14), "incompatible_schema"},
		{"a due time in microseconds", avro.AppendHeader(nil, 15), "incompatible_schema"},
		{"a record of another topic", avro.AppendHeader(nil, 16), "incompatible_schema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got event.Commerce
			_, err := decoder.Decode(t.Context(), c.value, &got)
			if u, ok := avro.AsUnreadable(err); !ok || u.Reason != c.want || u.Detail == "" {
				t.Fatalf("err = %v, want an Unreadable with reason %s", err, c.want)
			}
		})
	}
}

func TestTheArraysOfOthersMayComeInBlocks(t *testing.T) {
	c := order()
	encoded := func(lines int) []byte {
		with := c
		with.Lines = c.Lines[:lines]
		return appendCommerce(t, 9, &with)
	}
	none, one, two := encoded(0), encoded(1), encoded(2)
	head := 0 // bytes before the lines, where the three begin to differ
	for none[head] == one[head] {
		head++
	}
	tail := none[head+1:]
	first := one[head+1 : len(one)-len(tail)-1]
	second := two[head+1+len(first) : len(two)-len(tail)-1]
	value := append(bytes.Clone(none[:head]), 1)      // minus one line
	value = avro.AppendLong(value, int64(len(first))) // of so many bytes
	value = append(append(append(value, first...), 2), second...)
	value = append(append(value, 0), tail...)
	var got event.Commerce
	if _, err := avro.NewCommerceDecoder(commerceRegistry).Decode(t.Context(), value, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// FuzzDecodeCommerce feeds any bytes to our reader and to goavro: both accept, and then agree, or both
// refuse. Only that an amount has more than 38 digits is nothing to goavro. What our reader allocates
// stays within a bound that the bytes set, whatever they claim.
func FuzzDecodeCommerce(f *testing.F) {
	c := order()
	good := appendCommerce(f, 9, &c)
	f.Add(good[avro.HeaderSize:])
	f.Add(good[avro.HeaderSize : len(good)-4])
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f})
	c.Discounts, c.Lines, c.Metadata = nil, nil, nil
	f.Add(appendCommerce(f, 9, &c)[avro.HeaderSize:])
	codec := goavroCodec(f, commerceText)
	decoder := avro.NewCommerceDecoder(commerceRegistry)
	f.Fuzz(func(t *testing.T, body []byte) {
		value := append(avro.AppendHeader(nil, 9), body...)
		var c event.Commerce
		if _, err := decoder.Decode(t.Context(), appendCommerce(t, 9, &c), &c); err != nil { // it knows the schema now
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		userID, ourErr := decoder.Decode(t.Context(), value, &c)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(64*len(body)+64<<10) {
			t.Fatalf("%d bytes allocated for a body of %d", took, len(body))
		}
		native, rest, theirErr := codec.NativeFromBinary(body)
		if theirErr == nil && len(rest) > 0 {
			theirErr = errors.New("left over")
		}
		if ourErr != nil && theirErr == nil && strings.Contains(ourErr.Error(), "38 digits") {
			return
		}
		if (ourErr == nil) != (theirErr == nil) {
			t.Fatalf("ours: %v, goavro: %v", ourErr, theirErr)
		}
		if ourErr != nil {
			return
		}
		m := native.(map[string]any)
		if m["event_id"] != c.ID || m["user_id"] != userID || m["source"] != c.Source || !m["occurred_at"].(time.Time).Equal(c.OccurredAt) ||
			len(m["lines"].([]any)) != len(c.Lines) || len(m["discounts"].([]any)) != len(c.Discounts) {
			t.Fatalf("ours %+v, goavro %v", c, m)
		}
		for i, l := range m["lines"].([]any) {
			l := l.(map[string]any)
			if l["quantity"] != c.Lines[i].Quantity || !agree(l["price"], c.Lines[i].Price) {
				t.Fatalf("line %d: ours %+v, goavro %v", i, c.Lines[i], l)
			}
		}
		if !agree(m["total"], c.Total) || !agree(m["shipping"], c.Shipping) {
			t.Fatalf("ours %s and %s, goavro %v and %v", c.Total, c.Shipping, m["total"], m["shipping"])
		}
	})
}

func agree(native any, m event.Money) bool {
	union, ok := native.(map[string]any)
	if !ok {
		return m == ""
	}
	want, ok := new(big.Rat).SetString(string(m))
	return ok && union["bytes.decimal"].(*big.Rat).Cmp(want) == 0
}

func BenchmarkAppendCommerce(b *testing.B) {
	c := order()
	var buf []byte
	var err error
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = avro.AppendCommerce(buf[:0], 9, &c); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeCommerce(b *testing.B) {
	c := order()
	value := appendCommerce(b, 9, &c)
	decoder := avro.NewCommerceDecoder(commerceRegistry)
	b.ReportAllocs()
	for b.Loop() {
		var got event.Commerce
		if _, err := decoder.Decode(b.Context(), value, &got); err != nil {
			b.Fatal(err)
		}
	}
}
