package currents_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/event"
)

// members are the parts of an event's JSON that both forms have, null and empty ones left out.
type members struct {
	EventType  string                    `json:"event_type"`
	ID         string                    `json:"id"`
	Time       int64                     `json:"time"`
	User       map[string]jsontext.Value `json:"user"`
	Properties map[string]jsontext.Value `json:"properties"`
}

// common reads an event's JSON and keeps what the other form has too.
func common(t *testing.T, typ *currents.Type, raw []byte) members {
	t.Helper()
	var m members
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	for in, object := range map[string]map[string]jsontext.Value{currents.InUser: m.User, currents.InProperties: m.Properties} {
		for name, value := range object {
			f, ok := typ.Field(in, name)
			if !ok {
				t.Errorf("%s.%s is not in the catalogue", in, name)
			}
			if f.Only != "" || string(value) == "null" {
				delete(object, name)
			} else if err := value.Canonicalize(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

func TestFilesSayTheSameAsRequests(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, typ := range currents.Types() {
		t.Run(typ.Name, func(t *testing.T) {
			var sent [][]byte
			for n := range 20 {
				sent = append(sent, sample.Event(rng, typ.Name, n))
			}
			var file bytes.Buffer
			if err := sample.File(&file, typ.Name, sent...); err != nil {
				t.Fatal(err)
			}
			n := 0
			err := currents.ReadFile(&file, "prefix/event_type="+typ.Name+"/date=2026-07-29-09/version=10/x.avro", func(got event.Engagement) error {
				want, err := currents.Read(sent[n], "", got.ReceivedAt)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(common(t, &typ, want.JSON), common(t, &typ, got.JSON)); diff != "" {
					t.Errorf("event %d (-HTTP +file)\n%s", n, diff)
				}
				if drifts := currents.Drifts(&got); drifts != nil {
					t.Errorf("event %d drifts: %v", n, drifts)
				}
				for i := range typ.Fields { // columns that only HTTP has
					switch f := &typ.Fields[i]; {
					case f.Only != currents.HTTP:
					case f.Name == "device_id":
						want.DeviceID = ""
					case f.Name == "dispatch_id":
						want.DispatchID = ""
					}
				}
				want.JSON, got.JSON = nil, nil
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("event %d (-HTTP +file)\n%s", n, diff)
				}
				n++
				return nil
			})
			if err != nil || n != len(sent) {
				t.Errorf("%d events, %v", n, err)
			}
		})
	}
}

// write makes a file with another library than the one that reads it.
func write(t *testing.T, codec, schema string, records ...map[string]any) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: &b, Schema: schema, CompressionName: codec})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(records); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// collect is the JSON of a file's events.
func collect(file []byte, path string) (events []string, err error) {
	err = currents.ReadFile(bytes.NewReader(file), path, func(e event.Engagement) error {
		events = append(events, string(e.JSON))
		return nil
	})
	return events, err
}

const purchase = `{"type":"record","name":"Purchase","namespace":"dataexport.S3.inner.users.behaviors","fields":[
	{"name":"id","type":"string"},{"name":"user_id","type":"string"},{"name":"external_user_id","type":["null","string"],"default":null},
	{"name":"time","type":"int"},{"name":"app_id","type":["null","string"],"default":null},{"name":"product_id","type":"string"},
	{"name":"price","type":"float"},{"name":"currency","type":"string"},{"name":"properties","type":"string"}]}`

func TestAPurchaseBecomesWhatHTTPWouldSay(t *testing.T) {
	record := func(price float32, properties string) map[string]any {
		return map[string]any{
			"id": "p-1", "user_id": "u", "external_user_id": goavro.Union("string", "crm-1"), "time": 1785315688, "app_id": nil,
			"product_id": "sku \"7\"", "price": price, "currency": "EUR", "properties": properties,
		}
	}
	for _, codec := range []string{"null", "deflate", "snappy"} {
		got, err := collect(write(t, codec, purchase,
			record(84.9, "{ \"size\" : 9007199254740993 ,\n\"tags\":[\"a\"] }"), record(0.1, `no JSON`), record(1e-9, ``), record(float32(math.Inf(1)), `{}`)), "a/b.avro")
		if err != nil {
			t.Fatal(err)
		}
		const head = `{"event_type":"users.behaviors.Purchase","id":"p-1","time":1785315688,"user":{"user_id":"u","external_user_id":"crm-1"},` +
			`"properties":{"product_id":"sku \"7\"","price":`
		want := []string{
			head + `84.9,"currency":"EUR","purchase_properties":{"size":9007199254740993,"tags":["a"]}}}`,
			head + `0.1,"currency":"EUR","purchase_properties":"no JSON"}}`,
			head + `1e-09,"currency":"EUR","purchase_properties":""}}`,
			head + `null,"currency":"EUR","purchase_properties":{}}}`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", codec, diff)
		}
	}
}

func TestAFileOfATypeThatNobodyKnowsIsRead(t *testing.T) {
	schema := `{"type":"record","name":"Beam","namespace":"dataexport.GCS.inner.users.teleport","fields":[
		{"name":"time","type":"long"},{"name":"id","type":["null","long"]},{"name":"device_id","type":"string"},{"name":"properties","type":"string"},
		{"name":"raw","type":"bytes"},{"name":"how","type":{"type":"enum","name":"How","symbols":["UP","DOWN"]}},
		{"name":"counts","type":{"type":"map","values":"double"}},{"name":"crew","type":{"type":"array","items":{"type":"record","name":"Crew","fields":[
		{"name":"rank","type":["null","int"]},{"name":"on","type":"boolean"}]}}}]}`
	got, err := collect(write(t, "null", schema, map[string]any{
		"time": 1785315688, "id": goavro.Union("long", 12), "device_id": "d", "properties": `{"a":1}`, "raw": []byte{0, 255}, "how": "UP",
		"counts": map[string]any{"b": 1.5, "a": math.NaN()}, "crew": []any{map[string]any{"rank": nil, "on": true}, map[string]any{"rank": goavro.Union("int", 3), "on": false}},
	}), "beam.avro")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"event_type":"users.teleport.Beam","id":12,"time":1785315688,"user":{"device_id":"d"},"properties":{"properties":"{\"a\":1}",` +
		`"raw":"AP8=","how":"UP","counts":{"a":null,"b":1.5},"crew":[{"on":true,"rank":null},{"on":false,"rank":3}]}}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWhereAFilesTypeStands(t *testing.T) {
	file := func(name, namespace string) []byte {
		return write(t, "null", `{"type":"record","name":"`+name+`","namespace":"`+namespace+`","fields":[{"name":"id","type":"string"}]}`, map[string]any{"id": "a"})
	}
	for _, c := range []struct{ name, path, record, namespace, want string }{
		{"in the path", "currents/dataexport.prod-01.S3.integration.5/event_type=users.canvas.Entry/date=2026-07-29-09/version=10/prod/x.avro", "Other", "a.inner.b", "users.canvas.Entry"},
		{"in a path of Windows", `c:\in\event_type=users.canvas.Entry\x.avro`, "Other", "a.inner.b", "users.canvas.Entry"},
		{"in the schema", "x.avro", "Click", "dataexport.S3.inner.users.messages.email", "users.messages.email.Click"},
		{"in a schema of another build", "event_type=/x.avro", "Click", "inner.users.messages.email", "users.messages.email.Click"},
		{"in a schema without the usual prefix", "x.avro", "Click", "users.messages.email", "users.messages.email.Click"},
		{"in a bare name", "x.avro", "Click", "", "Click"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got string
			if err := currents.ReadFile(bytes.NewReader(file(c.record, c.namespace)), c.path, func(e event.Engagement) error { got = e.Type; return nil }); err != nil {
				t.Fatal(err)
			}
			if got != c.want {
				t.Errorf("the type is %s, want %s", got, c.want)
			}
		})
	}
}

func TestAFileThatBreaksOffSaysWhere(t *testing.T) {
	var events [][]byte
	rng := rand.New(rand.NewPCG(3, 4))
	for n := range 2000 {
		events = append(events, sample.Event(rng, "users.messages.email.Click", n))
	}
	var b bytes.Buffer
	if err := sample.File(&b, "users.messages.email.Click", events...); err != nil {
		t.Fatal(err)
	}
	file := b.Bytes()
	whole, err := collect(file, "clicks.avro")
	if err != nil || len(whole) != len(events) {
		t.Fatalf("%d events, %v", len(whole), err)
	}
	got, err := collect(file[:len(file)*2/3], "clicks.avro")
	if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "reading clicks.avro: record ") {
		t.Errorf("cut off: %v", err)
	}
	if diff := cmp.Diff(whole[:len(got)], got); diff != "" || len(got) == 0 {
		t.Errorf("of the part that is whole %d events were read\n%s", len(got), diff)
	}
	for name, odd := range map[string][]byte{
		"an empty file": nil, "text": []byte("hello, world"), "only the magic": []byte("Obj\x01"),
		"values that are no records": write(t, "null", `"string"`),
	} {
		if got, err := collect(odd, "odd.avro"); err == nil || !strings.HasPrefix(err.Error(), "opening odd.avro: ") || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestReadFileEndsWithTheCallersError(t *testing.T) {
	var b bytes.Buffer
	rng := rand.New(rand.NewPCG(5, 6))
	if err := sample.File(&b, "users.canvas.Entry", sample.Event(rng, "users.canvas.Entry", 1), sample.Event(rng, "users.canvas.Entry", 2), sample.Event(rng, "users.canvas.Entry", 3)); err != nil {
		t.Fatal(err)
	}
	full, n := errors.New("full"), 0
	err := currents.ReadFile(&b, "x.avro", func(event.Engagement) error {
		if n++; n == 2 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || n != 2 || !strings.Contains(err.Error(), "record 2 of x.avro") {
		t.Errorf("after %d: %v", n, err)
	}
}

// TestAFileThatPromisesTooMuchIsRefused has records that take no bytes, arrays of a billion nulls, and a
// block and a header that are said to be larger than any memory.
func TestAFileThatPromisesTooMuchIsRefused(t *testing.T) {
	long := func(n int64) []byte { return binary.AppendVarint(nil, n) }
	file := func(schema string, count int64, block []byte, size int64) []byte {
		b := append([]byte("Obj\x01"), long(1)...)
		b = append(append(b, long(11)...), "avro.schema"...)
		b = append(append(b, long(int64(len(schema)))...), schema...)
		b = append(append(b, 0), "0123456789abcdef"...)
		b = append(append(append(b, long(count)...), long(size)...), block...)
		return append(b, "0123456789abcdef"...)
	}
	nulls := `{"type":"record","name":"N","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}`
	for name, odd := range map[string][]byte{
		"records of no bytes":     file(`{"type":"record","name":"E","fields":[]}`, 1<<40, nil, 0),
		"an array of many nulls":  file(nulls, 1, append(long(1<<40), 0), int64(len(long(1<<40))+1)),
		"a block without its end": file(nulls, 1, []byte{0}, 1<<40),
		"a header without end":    append([]byte("Obj\x01"), append(long(1), long(1<<40)...)...),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := 0
		err := currents.ReadFile(bytes.NewReader(odd), "odd.avro", func(event.Engagement) error { n++; return nil })
		runtime.ReadMemStats(&after)
		if err == nil || n > 0 {
			t.Errorf("%s: %d events, %v", name, n, err)
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
			t.Errorf("%s: %d bytes were allocated", name, grown)
		}
	}
}
