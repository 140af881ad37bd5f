package content_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/content"
)

func TestAFileIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content.yaml")
	text := `collections:
  - name: banners
    bearer: ${NOWHERE}
    cache: 15m
    locale: en
    default: {headline: Welcome}
    catalog: true
    fields: {title: string, price: number}
  - name: "*"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := content.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	b := list[0]
	if len(list) != 2 || !b.Catalog || b.Bearer.Reveal() != "${NOWHERE}" || b.Cache != 15*time.Minute || string(b.Default) != `{"headline":"Welcome"}` || list[1].Cache != 5*time.Minute {
		t.Errorf("%+v", b)
	}
	want := []braze.CatalogField{{Name: "id", Type: "string"}, {Name: "price", Type: "number"}, {Name: "title", Type: "string"}}
	if diff := cmp.Diff(want, b.Columns()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	if _, err := content.Load(path + "x"); err == nil || !strings.Contains(err.Error(), "CONTENT_FILE") {
		t.Errorf("%v", err)
	}
}

func TestWhatCannotBeACatalogIsNamed(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a name that Braze does not take", `[{name: a.b, catalog: true}]`, "collections[0].catalog: true; allowed: a name that Braze takes"},
		{"a catalog of many", `[{name: a}, {name: "a*", catalog: true}]`, "collections[1].catalog"},
		{"two rules for one", `[{name: a, catalog: true}, {name: a, catalog: true}]`, "collections[1].catalog"},
		{"fields of none", `[{name: a, fields: {x: string}}]`, "collections[0].fields"},
		{"a type that there is not", `[{name: a, catalog: true, fields: {x: text}}]`, "string, number, boolean, time, geo, object, array"},
		{"a field's name that Braze does not take", `[{name: a, catalog: true, fields: {"a b": string}}]`, "letters, digits, - and _"},
		{"an id of one's own", `[{name: a, catalog: true, fields: {id: string}}]`, "collections[0].fields"},
		{"nothing behind the dash", "\n  -\n", "collections[0].name"},
	} {
		_, err := content.Parse([]byte("collections: "+c.text), "content.yaml")
		if err == nil || !strings.Contains(err.Error(), "content.yaml") || !strings.Contains(strings.ReplaceAll(err.Error(), `"`, ""), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
