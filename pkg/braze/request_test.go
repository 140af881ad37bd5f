package braze_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// golden compares bytes that Braze reads with the file of that name in testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// object encodes an object the way callers do.
func object(id, name, text string, at time.Time) func([]byte) []byte {
	return func(dst []byte) []byte {
		dst = append(dst, `{"external_id":`...)
		dst = braze.AppendString(dst, id)
		if name != "" {
			dst = append(dst, `,"name":`...)
			dst = braze.AppendString(dst, name)
		}
		dst = append(dst, `,"time":`...)
		dst = braze.AppendTime(dst, at)
		dst = append(dst, `,"note":`...)
		dst = braze.AppendString(dst, text)
		return append(dst, '}')
	}
}

func TestBodiesAreThoseOfTheGoldenFiles(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_123_456, time.FixedZone("CET", 3600))
	tests := []struct {
		golden string
		build  func(r *braze.Request)
	}{
		{golden: "empty.json", build: func(*braze.Request) {}},
		{golden: "one_event.json", build: func(r *braze.Request) {
			r.AppendFunc(braze.Events, object("crm-1001", "invoice_issued", "plain", at))
		}},
		{golden: "only_purchases.json", build: func(r *braze.Request) {
			r.AppendFunc(braze.Purchases, object("crm-1001", "", "first", at))
			r.AppendFunc(braze.Purchases, object("crm-1002", "", "second", at))
		}},
		{golden: "all_arrays.json", build: func(r *braze.Request) {
			r.AppendFunc(braze.Purchases, object("crm-1", "", "appended first, sent last", at))
			r.AppendFunc(braze.Events, object("crm-1", "a", "quotes \" and \\ and \n", at))
			r.Append(braze.Attributes, []byte(`{"external_id":"crm-1","tier":"gold"}`))
			r.AppendFunc(braze.Events, object("crm-2", "b", "Ünïcode 🙂 \u2028 and \xff\xfe", at))
			r.Append(braze.Attributes, []byte(`{"external_id":"crm-2","visits":{"inc":1}}`))
		}},
		{golden: "undone.json", build: func(r *braze.Request) {
			r.AppendFunc(braze.Events, object("crm-1", "stays", "", at))
			r.AppendFunc(braze.Purchases, object("crm-1", "", "goes", at))
			r.AppendFunc(braze.Events, object("crm-2", "goes too", "", at))
			r.Undo()
			r.Undo()
			r.AppendFunc(braze.Events, object("crm-3", "comes instead", "", at))
		}},
	}
	var r braze.Request // one for all: what a Reset leaves behind would show
	for _, tt := range tests {
		t.Run(tt.golden, func(t *testing.T) {
			r.Reset()
			tt.build(&r)
			body := r.AppendBody(nil)
			if !json.Valid(body) {
				t.Errorf("not JSON: %s", body)
			}
			if r.Size() != len(body) {
				t.Errorf("Size() = %d, want %d", r.Size(), len(body))
			}
			golden(t, tt.golden, append(body, '\n'))
		})
	}
}

func TestUndoOnAnEmptyRequestDoesNothing(t *testing.T) {
	var r braze.Request
	if r.Undo() {
		t.Error("Undo() = true with nothing to undo")
	}
	r.Append(braze.Events, []byte(`{}`))
	if !r.Undo() || r.Undo() || r.Len() != 0 || r.Size() != len(`{}`) {
		t.Errorf("after undoing the only object: %d objects, %d bytes", r.Len(), r.Size())
	}
}

func TestAnEncoderThatAppendsNothingAddsNothing(t *testing.T) {
	var r braze.Request
	r.Append(braze.Events, []byte(`{"a":1}`))
	for name, encode := range map[string]func([]byte) []byte{
		"the slice as it was": func(dst []byte) []byte { return dst },
		"a shorter slice":     func(dst []byte) []byte { return dst[:0] },
	} {
		if size := r.AppendFunc(braze.Events, encode); size != 0 {
			t.Errorf("%s: size %d, want 0", name, size)
		}
	}
	if got := string(r.AppendBody(nil)); r.Len() != 1 || got != `{"events":[{"a":1}]}` {
		t.Errorf("%d objects in %s", r.Len(), got)
	}
}

func TestOverheadIsTheMostAnObjectAddsBeyondItself(t *testing.T) {
	for a := braze.Attributes; a <= braze.Purchases; a++ {
		for _, before := range []func(r *braze.Request){
			func(*braze.Request) {},
			func(r *braze.Request) { r.Append(braze.Events, []byte(`{}`)) },
			func(r *braze.Request) { r.Append(a, []byte(`{}`)) },
		} {
			var r braze.Request
			before(&r)
			size := r.Size()
			r.Append(a, []byte(`{}`))
			if added := r.Size() - size - len(`{}`); added > braze.Overhead {
				t.Errorf("%v added %d bytes beyond the object, want at most %d", a, added, braze.Overhead)
			}
		}
	}
}

// FuzzRequest appends and undoes as the bytes say, and compares with a naive model: a slice of pairs.
func FuzzRequest(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 3, 1, 4, 2, 0})
	f.Add([]byte{3, 3, 5, 1, 1, 1, 6})
	f.Fuzz(func(t *testing.T, steps []byte) {
		type entry struct {
			array  braze.Array
			object string
		}
		var r braze.Request
		var model []entry
		for i, step := range steps {
			object := fmt.Sprintf(`{"n":%d,"pad":"%s"}`, i, bytes.Repeat([]byte{'x'}, int(step)))
			switch a := braze.Array(step % 3); (step / 3) % 6 {
			case 0, 1:
				r.Append(a, []byte(object))
				model = append(model, entry{a, object})
			case 2:
				r.Grow(a, int(step))
				if size := r.AppendFunc(a, func(dst []byte) []byte { return append(dst, object...) }); size != len(object) {
					t.Fatalf("AppendFunc() = %d, want %d", size, len(object))
				}
				model = append(model, entry{a, object})
			case 3, 4:
				if undone := r.Undo(); undone != (len(model) > 0) {
					t.Fatalf("Undo() = %v with %d objects", undone, len(model))
				}
				model = model[:max(len(model)-1, 0)]
			case 5:
				r.Reset()
				model = nil
			}
		}
		want := map[string][]json.RawMessage{}
		var counts [3]int
		for _, e := range model {
			if got := string(r.Object(e.array, counts[e.array])); got != e.object {
				t.Errorf("Object(%v, %d) = %s, want %s", e.array, counts[e.array], got, e.object)
			}
			counts[e.array]++
			want[e.array.String()] = append(want[e.array.String()], json.RawMessage(e.object))
		}
		body := r.AppendBody(nil)
		got := map[string][]json.RawMessage{}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%v in %s", err, body)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("body (-want +got):\n%s", diff)
		}
		if r.Size() != len(body) || r.Len() != len(model) || r.Counts() != counts || r.LenOf(braze.Events) != counts[1] {
			t.Errorf("Size, Len, Counts = %d, %d, %v, want %d, %d, %v", r.Size(), r.Len(), r.Counts(), len(body), len(model), counts)
		}
	})
}

func ExampleRequest() {
	var r braze.Request
	r.AppendFunc(braze.Events, func(dst []byte) []byte {
		dst = append(dst, `{"external_id":`...)
		dst = braze.AppendString(dst, "crm-1001")
		dst = append(dst, `,"name":"invoice_issued","time":`...)
		dst = braze.AppendTime(dst, time.UnixMilli(1772600767000))
		return append(dst, '}')
	})
	r.Append(braze.Attributes, []byte(`{"external_id":"crm-1001","tier":"gold"}`))
	fmt.Println(r.Len(), r.Counts())
	fmt.Printf("%s\n", r.AppendBody(nil))
	// Output:
	// 2 [1 1 0]
	// {"attributes":[{"external_id":"crm-1001","tier":"gold"}],"events":[{"external_id":"crm-1001","name":"invoice_issued","time":"2026-03-04T05:06:07.000Z"}]}
}

func BenchmarkRequest75Events(b *testing.B) {
	var r braze.Request
	at := time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)
	encode := object("crm-1001-2002-3003", "invoice_issued", "an invoice was issued and paid on the same day", at)
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		for range braze.MaxObjects {
			r.AppendFunc(braze.Events, encode)
		}
		body = r.AppendBody(body[:0])
	}
	b.SetBytes(int64(len(body)))
	b.ReportMetric(float64(b.N*braze.MaxObjects)/b.Elapsed().Seconds(), "objects/s")
}
