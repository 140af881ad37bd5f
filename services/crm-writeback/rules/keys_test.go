package rules

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestTheDocumentHasEveryKey(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../WRITEBACK.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{} // what stands in backquotes in the first column of a table
	for line := range strings.Lines(string(text)) {
		if first, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " |"); ok && strings.HasPrefix(line, "| `") {
			for word := range strings.SplitSeq(first, ", ") {
				rows[strings.Trim(word, "`")] = true
			}
		}
	}
	var visit func(t reflect.Type, prefix string) []string
	visit = func(t reflect.Type, prefix string) (keys []string) {
		for field := range t.Fields() {
			key := field.Tag.Get("yaml")
			switch {
			case field.Type == reflect.TypeFor[fileKey]():
				keys = append(keys, visit(field.Type, "key.")...)
			case field.Type.Name() != "Raw":
				keys = append(keys, prefix+key)
			}
		}
		return keys
	}
	for _, part := range []reflect.Type{
		reflect.TypeFor[fileSet](), reflect.TypeFor[fileTarget](), reflect.TypeFor[fileObject](), reflect.TypeFor[fileField](), reflect.TypeFor[fileRule](),
	} {
		for _, key := range visit(part, "") {
			if !rows[key] {
				t.Errorf("the key %s of a %s stands in no table of WRITEBACK.md", key, part.Name())
			}
		}
	}
}
