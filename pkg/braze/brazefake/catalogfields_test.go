package brazefake_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

func TestFieldsAreAddedToACatalog(t *testing.T) {
	s, c := shop(t, brazefake.Options{})
	before, _ := s.Catalog("products")
	accepted(t, c, &braze.CatalogFields{Catalog: "products", Fields: []braze.CatalogField{{Name: "weight", Type: "number"}, {Name: "price", Type: "string"}}})
	after, _ := s.Catalog("products")
	if diff := cmp.Diff(append(before.Fields, brazefake.CatalogField{Name: "weight", Type: "number"}), after.Fields); diff != "" || after.Ignored != 1 {
		t.Errorf("%d ignored, fields (-want +got):\n%s", after.Ignored, diff)
	}
	accepted(t, c, change(braze.ReplaceItems, "products", item("P2", `{"weight":3.5}`)))
	if got := stocked(t, s); len(got) != 2 || got[1] != `P2 {"weight":3.5}` {
		t.Errorf("items %v", got)
	}
}

func TestACatalogHas500FieldsAtMost(t *testing.T) {
	s, _ := shop(t, brazefake.Options{Knobs: brazefake.Knobs{PoolLimits: "catalog_fields=none"}})
	full, _ := s.Catalog("products")
	for n := len(full.Fields); n < braze.MaxCatalogFields; n++ {
		if status, answer := call(s, "POST", "/catalogs/products/fields", fmt.Sprintf(`{"fields":[{"name":"f%d","type":"string"}]}`, n)); status != 202 {
			t.Fatalf("field %d: %d %s", n, status, answer)
		}
	}
	if status, answer := call(s, "POST", "/catalogs/products/fields", `{"fields":[{"name":"more","type":"string"}]}`); status != 400 {
		t.Errorf("%d %s", status, answer)
	}
}
