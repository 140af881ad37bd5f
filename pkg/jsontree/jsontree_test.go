package jsontree_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/jsontree"
)

func TestAValueIsWhatTheTextSays(t *testing.T) {
	got, err := jsontree.Read([]byte(` {"a":[1.50,9007199254740993,true,null,"é"],"b":{}} `), jsontree.Options{})
	want := map[string]any{"a": []any{json.Number("1.50"), json.Number("9007199254740993"), true, nil, "é"}, "b": map[string]any{}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

func TestWhatIsRefused(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		name, text string
		o          jsontree.Options
		want       error // nil for none
	}{
		{name: "as deep as may be", text: deep(jsontree.MaxDepth + 1)},
		{name: "deeper", text: deep(jsontree.MaxDepth + 2), want: jsontree.ErrTooDeep},
		{name: "as many values as may be", text: `[1,2]`, o: jsontree.Options{Most: 3}},
		{name: "more values", text: `[1,2,3]`, o: jsontree.Options{Most: 3}, want: jsontree.ErrTooMany},
		{name: "as many digits as may be", text: strings.Repeat("9", 100)},
		{name: "more digits", text: strings.Repeat("9", 101), want: jsontree.ErrLongNumber},
		{name: "a second value", text: `{} {}`, want: jsontree.ErrTrailing},
	} {
		if _, err := jsontree.Read([]byte(c.text), c.o); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for _, text := range []string{``, `{`, `{"a":1,"a":2}`, `nul`, "\"\xff\""} {
		if v, err := jsontree.Read([]byte(text), jsontree.Options{}); err == nil {
			t.Errorf("%q is taken for %v", text, v)
		}
	}
	twice, err := jsontree.Read([]byte(`{"a":1,"a":2}`), jsontree.Options{Duplicates: true})
	if diff := cmp.Diff(map[string]any{"a": json.Number("2")}, twice); diff != "" || err != nil {
		t.Errorf("a name twice, where it may be: %v\n%s", err, diff)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"a":[1,"x",null]}`, `[[[[]]]]`, `{"a":1,"a":2}`, `1e999`, `"\ud800"`, `{} x`} {
		f.Add([]byte(seed), 10, true)
	}
	f.Fuzz(func(t *testing.T, text []byte, most int, duplicates bool) {
		v, err := jsontree.Read(text, jsontree.Options{Most: most, Duplicates: duplicates})
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("%q is no JSON and is taken for %v", text, v)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
