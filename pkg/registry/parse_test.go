package registry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/registry"
)

// doubling is a record of records, each the type of two fields of the one around it, that stand for
// 2^levels values once their defaults are unfolded.
func doubling(levels int) string {
	inner := `{"type":"record","name":"R0","fields":[{"name":"x","type":"int","default":1}]}`
	for i := range levels {
		inner = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s,"default":{}},{"name":"b","type":"R%d","default":{}}]}`, i+1, inner, i)
	}
	return inner
}

// list joins n items made from a format with one number.
func list(n int, format string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(items, ",")
}

// hostile are texts that have felled a parser, or would.
var hostile = []struct {
	name  string
	text  string
	taken bool
}{
	{name: "nothing"},
	{name: "not JSON", text: "record"},
	{name: "a number", text: "1"},
	{name: "null", text: "null"},
	{name: "broken UTF-8", text: "\"\xff\""},
	{name: "two schemas", text: `"int" "long"`},
	{name: "an unknown type", text: `{"type":"nosuchtype"}`},
	{name: "a key given twice", text: `{"type":"record","type":"int","name":"A","fields":[]}`},
	{name: "a key given twice in other letters", text: `{"type":"int","\u0074ype":"long"}`},
	{name: "a record without fields", text: `{"type":"record","name":"A"}`},
	{name: "a field given twice", text: `{"type":"record","name":"A","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`},
	{name: "a default of another type", text: `{"type":"record","name":"A","fields":[{"name":"a","type":"int","default":"x"}]}`},
	{name: "a union in a union", text: `["null",["int"]]`},
	{name: "a hundred thousand arrays in each other", text: strings.Repeat(`{"type":"array","items":`, 100_000) + `"int"` + strings.Repeat("}", 100_000)},
	{name: "a million brackets", text: strings.Repeat("[", 1_000_000)},
	{name: "five megabytes of doc", text: `{"type":"record","name":"A","doc":"` + strings.Repeat("x", 5<<20) + `","fields":[]}`},
	{name: "an enum of three hundred thousand symbols", text: `{"type":"enum","name":"E","symbols":[` + list(300_000, `"S%d"`) + `]}`},
	{name: "an enum as large as may be", text: `{"type":"enum","name":"E","symbols":[` + list(90_000, `"S%d"`) + `]}`, taken: true},
	{name: "five thousand fields", text: `{"type":"record","name":"R","fields":[` + list(5_000, `{"name":"f%d","type":["null","string"],"default":null}`) + `]}`, taken: true},
	{name: "five thousand branches", text: `[` + list(5_000, `{"type":"record","name":"R%d","fields":[]}`) + `]`, taken: true},
	{name: "a default that contains itself", text: `{"type":"record","name":"A","fields":[{"name":"a","type":"A","default":{}}]}`},
	{name: "defaults that double sixty times", text: doubling(60)},
	{name: "defaults that double ten times", text: doubling(10), taken: true},
	{name: "many defaults in a list", text: `{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"B","fields":[]}},"default":[` + strings.Repeat("{},", 1000) + `{}]}]}`},
	{name: "a hundred maps with the empty default", text: `{"type":"record","name":"A","fields":[` + list(100, `{"name":"m%d","type":{"type":"map","values":"string"},"default":{}}`) + `]}`, taken: true},
	{name: "a fixed as large as memory", text: `{"type":"fixed","name":"F","size":9223372036854775807}`, taken: true},
	{name: "a decimal of a billion digits", text: `{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":1000000000,"scale":999999999},"default":"\u0001"}]}`},
	{name: "records that name each other sixty times over", text: strings.ReplaceAll(doubling(60), `,"default":{}`, ""), taken: true},
}

func TestAHostileSchemaNeitherHangsNorKills(t *testing.T) {
	for _, tt := range hostile {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := registry.ParseSchema(tt.text)
				registry.Lint("orders-value", tt.text)
				registry.CheckChange(tt.text, tt.text)
				if _, canonicalErr := registry.Canonical(tt.text); (canonicalErr == nil) != (err == nil) {
					err = fmt.Errorf("parsing says %w, canonical form says %w", err, canonicalErr)
				}
				done <- err
			}()
			select {
			case err := <-done:
				if (err == nil) != tt.taken {
					t.Errorf("got error %v, want taken: %v", err, tt.taken)
				}
				if err != nil && len(err.Error()) > 2000 {
					t.Errorf("the error has %d bytes", len(err.Error()))
				}
			case <-ctx.Done():
				t.Fatal("still at it")
			}
		})
	}
}

func TestCanonicalIsOneForAllWaysToWriteASchema(t *testing.T) {
	for _, tt := range []struct {
		name  string
		a, b  string
		equal bool
	}{
		{name: "white space", a: `{"type":"record","name":"A","fields":[]}`, b: "{ \"type\": \"record\",\n \"name\": \"A\", \"fields\": [ ] }", equal: true},
		{name: "the order of attributes", a: `{"type":"record","name":"A","doc":"d","fields":[]}`, b: `{"doc":"d","fields":[],"name":"A","type":"record"}`, equal: true},
		{name: "a primitive type in braces", a: `"string"`, b: `{"type":"string"}`, equal: true},
		{name: "in a field too", a: `{"type":"record","name":"A","fields":[{"name":"a","type":"string"}]}`, b: `{"type":"record","name":"A","fields":[{"name":"a","type":{"type":"string"}}]}`, equal: true},
		{name: "a name in full or with its namespace", a: `{"type":"record","name":"x.A","fields":[]}`, b: `{"type":"record","name":"A","namespace":"x","fields":[]}`, equal: true},
		{
			name: "a namespace inherited or repeated",
			a:    `{"type":"record","name":"x.A","fields":[{"name":"b","type":{"type":"record","name":"B","fields":[]}}]}`,
			b:    `{"type":"record","name":"x.A","fields":[{"name":"b","type":{"type":"record","name":"B","namespace":"x","fields":[]}}]}`, equal: true,
		},
		{
			name: "a reference short or in full",
			a:    `{"type":"record","name":"x.A","fields":[{"name":"b","type":{"type":"fixed","name":"F","size":1}},{"name":"c","type":"F"}]}`,
			b:    `{"type":"record","name":"x.A","fields":[{"name":"b","type":{"type":"fixed","name":"F","size":1}},{"name":"c","type":"x.F"}]}`, equal: true,
		},
		{name: "the default order", a: `{"type":"record","name":"A","fields":[{"name":"a","type":"int","order":"ascending"}]}`, b: `{"type":"record","name":"A","fields":[{"name":"a","type":"int"}]}`, equal: true},
		{name: "escapes in text", a: `{"type":"string","note":"\u0041<"}`, b: `{"type":"string","note":"A\u003c"}`, equal: true},

		{name: "another doc", a: `{"type":"record","name":"A","doc":"d","fields":[]}`, b: `{"type":"record","name":"A","doc":"e","fields":[]}`},
		{name: "another namespace", a: `{"type":"record","name":"x.A","fields":[]}`, b: `{"type":"record","name":"y.A","fields":[]}`},
		{name: "another default", a: `{"type":"record","name":"A","fields":[{"name":"a","type":"int","default":1}]}`, b: `{"type":"record","name":"A","fields":[{"name":"a","type":"int","default":2}]}`},
		{name: "a number that float64 cannot tell apart", a: `{"type":"record","name":"A","fields":[{"name":"a","type":"long","default":9007199254740993}]}`, b: `{"type":"record","name":"A","fields":[{"name":"a","type":"long","default":9007199254740992}]}`},
		{name: "another logical type", a: `{"type":"long","logicalType":"timestamp-millis"}`, b: `{"type":"long"}`},
		{name: "another property", a: `{"type":"string","pii":"email"}`, b: `{"type":"string","pii":"phone"}`},
		{name: "the order of fields", a: `{"type":"record","name":"A","fields":[{"name":"a","type":"int"},{"name":"b","type":"int"}]}`, b: `{"type":"record","name":"A","fields":[{"name":"b","type":"int"},{"name":"a","type":"int"}]}`},
		{name: "the order of branches", a: `["null","int"]`, b: `["int","null"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := registry.Canonical(tt.a)
			if err != nil {
				t.Fatal(err)
			}
			b, err := registry.Canonical(tt.b)
			if err != nil {
				t.Fatal(err)
			}
			if (a == b) != tt.equal {
				t.Errorf("equal: %v, want %v:\n%s\n%s", a == b, tt.equal, a, b)
			}
			if again, err := registry.Canonical(a); err != nil || again != a {
				t.Errorf("the canonical form of %s is %s, error %v", a, again, err)
			}
		})
	}
}

// Whatever text comes: no panic, and what is taken has a canonical form that means the same.
func FuzzParseSchema(f *testing.F) {
	for _, text := range []string{first, nullable, nonsense, `["null","int"]`, `{"type":"map","values":{"type":"array","items":"long"}}`, doubling(2)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := registry.ParseSchema(text); err != nil {
			return
		}
		form, err := registry.Canonical(text)
		if err != nil {
			t.Fatalf("taken, but has no canonical form: %v", err)
		}
		if again, err := registry.Canonical(form); err != nil || again != form {
			t.Errorf("canonical form of %s: %s, error %v", form, again, err)
		}
		if reasons := registry.CheckChange(text, form); len(reasons) > 0 {
			t.Errorf("%s is not %s: %q", form, text, reasons)
		}
		registry.Lint("orders-value", text)
	})
}

func TestCompatibilityHasADirection(t *testing.T) {
	parse := func(text string) registry.Earlier {
		t.Helper()
		s, err := registry.ParseSchema(text)
		if err != nil {
			t.Fatal(err)
		}
		return registry.Earlier{Version: 3, Schema: s}
	}
	old, next := parse(first), parse(mandatory)
	for level, want := range map[registry.Level][]string{
		registry.None:     nil,
		registry.Backward: {"the new schema cannot read version 3: note: reader field has no default and is missing from writer"},
		registry.Forward:  nil,
		registry.Full:     {"the new schema cannot read version 3: note: reader field has no default and is missing from writer"},
	} {
		if diff := cmp.Diff(want, registry.Incompatibilities(level, next.Schema, old)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", level, diff)
		}
	}
	if diff := cmp.Diff([]string{"version 3 cannot read the new schema: note: reader field has no default and is missing from writer"},
		registry.Incompatibilities(registry.Forward, old.Schema, next)); diff != "" {
		t.Errorf("the other way round (-want +got):\n%s", diff)
	}
}

func TestParseLevel(t *testing.T) {
	for _, level := range registry.Levels() {
		if got, err := registry.ParseLevel(strings.ToLower(string(level))); err != nil || got != level {
			t.Errorf("got %q, error %v; want %s", got, err, level)
		}
	}
	if _, err := registry.ParseLevel("sideways"); err == nil || !strings.Contains(err.Error(), "FULL_TRANSITIVE") {
		t.Errorf("got error %v, want one that names the levels", err)
	}
}
