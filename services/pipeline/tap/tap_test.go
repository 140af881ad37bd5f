package tap

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/schemas"
)

// update says to rewrite golden files.
var update = os.Getenv("GOLDEN") == "write"

// every is a schema with every type that a foreign producer may come up with.
const every = `{"type":"record","name":"Every","namespace":"test","fields":[
  {"name":"nothing","type":"null"},
  {"name":"yes","type":"boolean"},
  {"name":"small","type":"int"},
  {"name":"large","type":"long"},
  {"name":"single","type":"float"},
  {"name":"double","type":"double"},
  {"name":"text","type":"string"},
  {"name":"blob","type":"bytes"},
  {"name":"money","type":{"type":"bytes","logicalType":"decimal","precision":38,"scale":9}},
  {"name":"debt","type":{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}},
  {"name":"day","type":{"type":"int","logicalType":"date"}},
  {"name":"seen_at","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"exact_at","type":{"type":"long","logicalType":"timestamp-micros"}},
  {"name":"suit","type":{"type":"enum","name":"Suit","symbols":["clubs","hearts"]}},
  {"name":"key","type":{"type":"fixed","name":"Four","size":4}},
  {"name":"maybe","type":["null","string"]},
  {"name":"either","type":["string","long"]},
  {"name":"list","type":{"type":"array","items":"long"}},
  {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"}]}}},
  {"name":"last","type":["null","test.Line"]},
  {"name":"words","type":{"type":"map","values":"string"}},
  {"name":"properties_json","type":["null","string"]}
]}`

// shelf is a registry for tests.
type shelf map[int]string

var errAway = errors.New("the registry is away")

func (s shelf) SchemaByID(_ context.Context, id int) (string, error) {
	text, ok := s[id]
	switch {
	case !ok:
		return "", &avro.Unreadable{Reason: "unknown_schema", Detail: fmt.Sprintf("the registry has no schema %d", id)}
	case text == "away":
		return "", errAway
	}
	return text, nil
}

func everyValue(t *testing.T) []byte {
	t.Helper()
	codec, err := goavro.NewCodec(every)
	if err != nil {
		t.Fatal(err)
	}
	decimal := func(s string) *big.Rat { r, _ := new(big.Rat).SetString(s); return r }
	value, err := codec.BinaryFromNative([]byte{0, 0, 0, 0, 7}, map[string]any{
		"nothing": nil, "yes": true, "small": math.MinInt32, "large": int64(9007199254740993), "single": float32(0.1), "double": 0.1,
		"text": "<Zoë> & \"co\"\n", "blob": []byte{0xff, 0}, "money": decimal("84.9"), "debt": decimal("-0.05"),
		"day": time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), "seen_at": time.UnixMilli(1772442904210), "exact_at": time.UnixMicro(1772442904210987),
		"suit": "hearts", "key": []byte("four"), "maybe": map[string]any{"string": "there"}, "either": map[string]any{"long": int64(math.MaxInt64)},
		"list": []any{int64(1), int64(-2)}, "lines": []any{map[string]any{"sku": "A"}}, "last": map[string]any{"test.Line": map[string]any{"sku": "B"}},
		"words": map[string]any{"color": "moss"}, "properties_json": map[string]any{"string": `{"ref":820982911946154508,"price":1.10}`},
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func line(t *testing.T, r *Renderer, rec *stream.Record) string {
	t.Helper()
	l, err := r.Render(t.Context(), rec)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func record(key, value []byte, headers ...stream.Header) *stream.Record {
	return &stream.Record{
		Topic: "customer.events", Partition: 3, Offset: 17, Timestamp: time.UnixMilli(1772442904210),
		Key: key, Value: value, Headers: headers,
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	e := event.Event{
		ID: "e-1", User: event.User{ExternalID: "cus-1"}, Name: "Order Completed", Kind: "track", Source: "shop",
		OccurredAt: time.UnixMilli(1772442903480), ReceivedAt: time.UnixMilli(1772442904210), Properties: []byte(`{"total":84.90}`),
	}
	own := avro.AppendEvent(nil, 1, &e)
	books := shelf{1: schemas.Latest("customer.events"), 7: every, 8: `{"type":"nosuchtype"}`}
	r := NewRenderer(books)
	expanding := NewRenderer(books)
	expanding.Expand = true
	var got strings.Builder
	for _, c := range []struct {
		name string
		r    *Renderer
		rec  *stream.Record
	}{
		{"our own event", r, record([]byte("cus-1"), own, stream.Header{Key: "event-id", Value: []byte("e-1")})},
		{"every type there is", r, record([]byte("k"), everyValue(t))},
		{"the same with JSON expanded", expanding, record([]byte("k"), everyValue(t))},
		{"a tombstone", r, record([]byte("cus-1"), nil)},
		{"no key", r, record(nil, own)},
		{"a key that is no text", r, record([]byte{0xff, 1}, nil)},
		{"headers that come twice, are no text, or have no value", r, record([]byte("k"), nil,
			stream.Header{Key: "a", Value: []byte("1")}, stream.Header{Key: "b"}, stream.Header{Key: "a", Value: []byte{0xff}})},
		{"no Avro at all", r, record([]byte("k"), []byte("hello"))},
		{"a schema nobody has", r, record([]byte("k"), []byte{0, 0, 0, 0, 99, 1})},
		{"a schema that is none", r, record([]byte("k"), []byte{0, 0, 0, 0, 8, 1})},
		{"a transaction's marker", r, record([]byte{0, 0, 0, 0}, []byte{0, 0, 0, 0, 0, 0})},
		{"a string longer than the record", r, record([]byte("k"), []byte{0, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f})},
		{"bytes left over", r, record([]byte("k"), append(own[:len(own):len(own)], 1))},
	} {
		got.WriteString("# " + c.name + "\n" + line(t, c.r, c.rec))
	}
	path := filepath.Join("testdata", "lines.golden")
	if update {
		if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestARegistryThatCannotBeAskedIsAnErrorAndNoVerdict(t *testing.T) {
	t.Parallel()
	_, err := NewRenderer(shelf{5: "away"}).Render(t.Context(), record(nil, []byte{0, 0, 0, 0, 5, 1}))
	if !errors.Is(err, errAway) {
		t.Errorf("got %v, want %v", err, errAway)
	}
}

func TestHostileArraysAreRefusedInLittleMemory(t *testing.T) { // not parallel: it looks at the memory
	nothings := `{"type":"record","name":"N","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}`
	longs := `{"type":"record","name":"N","fields":[{"name":"a","type":{"type":"array","items":"long"}}]}`
	for _, c := range []struct {
		name, schema string
		body         []byte
	}{
		{"two billion nulls", nothings, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f}},
		{"two billion numbers in no bytes", longs, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f}},
		{"the smallest count there is", nothings, append(bytes.Repeat([]byte{0xff}, 9), 1, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewRenderer(shelf{1: c.schema})
			rec := record(nil, append([]byte{0, 0, 0, 0, 1}, c.body...))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			l, err := r.Render(t.Context(), rec)
			runtime.ReadMemStats(&after)
			if err != nil || l.Unreadable == nil || l.Unreadable.Reason != "undecodable" {
				t.Fatalf("got %+v and %v, want undecodable", l.Unreadable, err)
			}
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
				t.Errorf("%d bytes allocated, want less than a megabyte", allocated)
			}
		})
	}
}

func FuzzRender(f *testing.F) {
	f.Add(1, []byte{2, 'x'}, false)
	f.Add(7, []byte{0, 1}, true)
	var plans []*plan
	var codecs []*goavro.Codec
	for _, text := range []string{every, schemas.Latest("customer.events"), schemas.Latest("customer.profiles"), schemas.Latest("deadletters")} {
		codec, err := goavro.NewCodec(text)
		if err != nil {
			f.Fatal(err)
		}
		plans, codecs = append(plans, newPlan(text)), append(codecs, codec)
	}
	f.Fuzz(func(t *testing.T, id int, body []byte, expand bool) {
		which := uint(id) % uint(len(plans))
		out, err := plans[which].render(body, expand)
		if err != nil {
			if _, ok := avro.AsUnreadable(err); !ok {
				t.Fatalf("%v is no verdict on the record", err)
			}
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q is no JSON", out)
		}
		// What we show, goavro reads too.
		if _, _, err := codecs[which].NativeFromBinary(body); err != nil && !differs(err) {
			t.Fatalf("shown as %s, and goavro says: %v", out, err)
		}
	})
}

// differs tells where goavro is known to refuse what is well-formed: more items than it was told to
// take, and a boolean that is neither 0 nor 1.
func differs(err error) bool {
	return strings.Contains(err.Error(), "MaxBlock") || strings.Contains(err.Error(), "block count") || strings.Contains(err.Error(), "boolean")
}

func TestFields(t *testing.T) {
	t.Parallel()
	l := Line{Value: json.RawMessage(`{"event_name":"Order Completed","attempts":3,"big":9007199254740993,"gone":null,
		"properties_json":"{\"total\":84.90,\"order\":{\"id\":\"A-1\"},\"lines\":[{\"sku\":\"a\"},{\"sku\":\"b\"}]}","paid":true}`)}
	for _, c := range []struct {
		field string
		want  bool
	}{
		{"event_name=Order Completed", true},
		{"event_name=Order", false},
		{"attempts=3", true},
		{"big=9007199254740993", true},
		{"big=9007199254740992", false},
		{"paid=true", true},
		{"gone=null", true},
		{"nosuch=null", false},
		{"properties_json.total=84.90", true},
		{"properties.total=84.90", true},
		{"properties.total=84.9", false},
		{"properties.order.id=A-1", true},
		{"properties.lines.sku=b", true},
		{"properties.lines.0.sku=b", false},
		{"properties.lines.1.sku=b", true},
		{"properties.lines.7.sku=b", false},
		{"event_name.deeper=x", false},
		{"properties=x", false},
	} {
		field, err := ParseField(c.field)
		if err != nil {
			t.Fatal(err)
		}
		if got := (Filter{Fields: []Field{field}}).Line(l); got != c.want {
			t.Errorf("%s: %v, want %v", c.field, got, c.want)
		}
	}
	for _, bad := range []string{"name", "=x", ""} {
		if _, err := ParseField(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestRecordFilters(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1772442904210)
	key, other, none := "cus-1", "cus-2", ""
	for _, c := range []struct {
		name string
		f    Filter
		want bool
	}{
		{"nothing is asked for", Filter{}, true},
		{"the key", Filter{Key: &key}, true},
		{"another key", Filter{Key: &other}, false},
		{"an empty key", Filter{Key: &none}, false},
		{"since then", Filter{Since: at}, true},
		{"since later", Filter{Since: at.Add(1)}, false},
		{"until then", Filter{Until: at}, false},
		{"until later", Filter{Until: at.Add(1)}, true},
	} {
		if got := c.f.Record(record([]byte("cus-1"), nil)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"10m": now.Add(-10 * time.Minute), "-10m": now.Add(-10 * time.Minute),
		"2026-03-02T09:00:00Z": now.Add(-15*time.Minute - 4*time.Second), "2026-03-01": time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := Moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v; want %v", text, got, err, want)
		}
	}
	if _, err := Moment("yesterday", now); err == nil {
		t.Error("yesterday: no error")
	}
}

func TestEveryTopicsSchemaCanBeShown(t *testing.T) {
	t.Parallel()
	for _, topic := range schema.Tables() {
		if p := newPlan(topic.Text()); p.bad != nil {
			t.Errorf("%s: %v", topic.Name, p.bad)
		}
	}
}
