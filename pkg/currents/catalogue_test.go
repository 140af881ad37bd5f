package currents_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
)

// golden compares a text with a file that was reviewed once; GOLDEN=write rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-reviewed +now)\n%s", name, diff)
	}
}

// notation is a field as the catalogue writes it.
func notation(f *currents.Field) string {
	s := f.Name
	if f.Required {
		s += "*"
	}
	if f.Kind != currents.String {
		s += ":" + string(f.Kind)
	}
	if f.Avro != "" {
		s += "=" + f.Avro
	}
	if f.Only != "" {
		s += "@" + f.Only
	}
	return s
}

func TestTheCatalogueIsWhatWasReviewed(t *testing.T) {
	var b strings.Builder
	for _, typ := range currents.Types() {
		fmt.Fprintf(&b, "%s\n  since %d, channel %q, time %s %s\n", typ.Name, typ.Since, typ.Channel, typ.Time, typ.Status)
		for _, in := range []string{currents.InUser, currents.InProperties} {
			b.WriteString("  " + in + ":")
			for i := range typ.Fields {
				if f := &typ.Fields[i]; f.In == in {
					b.WriteString(" " + notation(f))
				}
			}
			b.WriteByte('\n')
		}
	}
	golden(t, "catalogue.txt", b.String())
}

func TestEveryTypeIsSound(t *testing.T) {
	kinds := []currents.Kind{
		currents.String, currents.Int, currents.Long, currents.Float, currents.Double, currents.Boolean, currents.Strings, currents.JSON,
	}
	types := currents.Types()
	if !slices.IsSortedFunc(types, func(a, b currents.Type) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the types are not sorted by name")
	}
	for _, typ := range types {
		if typ.Section == "" || typ.When == "" || len(typ.Fields) == 0 {
			t.Errorf("%s lacks a section, what it says or fields", typ.Name)
		}
		if is := strings.HasPrefix(typ.Name, "users.messages."); is != (typ.Channel != "") {
			t.Errorf("%s has the channel %q", typ.Name, typ.Channel)
		}
		http, avro := map[string]bool{}, map[string]bool{"id": true, "time": true}
		for i := range typ.Fields {
			f := &typ.Fields[i]
			if f.Name == "" || strings.ContainsAny(f.Name, "*:=@") || !slices.Contains(kinds, f.Kind) {
				t.Errorf("%s: %+v was not written in the notation", typ.Name, *f)
			}
			if http[f.In+f.Name] || f.Only != currents.HTTP && avro[f.AvroName()] {
				t.Errorf("%s has %s twice", typ.Name, f.Name)
			}
			http[f.In+f.Name] = true
			if f.Only != currents.HTTP {
				avro[f.AvroName()] = true
			}
			if found, ok := typ.Field(f.In, f.Name); !ok || found != *f {
				t.Errorf("%s: Field does not find %s", typ.Name, f.Name)
			}
		}
		if got, ok := currents.Lookup(typ.Name); !ok || got.Name != typ.Name {
			t.Errorf("Lookup does not find %s", typ.Name)
		}
	}
	if got, ok := currents.Lookup("users.messages.telegram.Send"); ok {
		t.Errorf("a type that nobody knows is %+v", got)
	}
}
