package brazefake

import (
	"net/http"
	"slices"

	"github.com/sluicehq/sluice/pkg/braze"
)

// planFields plans POST /catalogs/{catalog_name}/fields, which is answered 202 and done later (braze-docs:
// post_create_catalog_fields). A field that is there already comes to nothing, like an item: what Braze
// does then is not documented. Nor are the errors of a single field, which here are those of a new catalog.
func (s *Sandbox) planFields(c *call, r *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "fields")
	p := plan{status: http.StatusAccepted, body: success()}
	fields := f.list("fields")
	if p.items = len(fields); p.items > c.endpoint.MaxItems {
		return p, bad("request-includes-too-many-fields", "there are more than 50 fields")
	}
	if p.items == 0 || f.problem != "" || fields[0][0] != '{' {
		return p, bad("invalid-fields", "fields must be an array of objects")
	}
	name := r.PathValue("catalog_name")
	catalog, _ := s.catalogs.find(name, "")
	if catalog == nil {
		return p, invalid(http.StatusNotFound, "catalog-not-found", "there is no such catalog", "catalog_name", name)
	}
	added, refusal := s.readFields(c, "", fields)
	if refusal.status != 0 {
		return p, refusal
	}
	if len(catalog.lacks(added))+len(catalog.Fields) > braze.MaxCatalogFields {
		return p, bad("catalog-exceeds-fields-limit", "a catalog has 500 fields at most")
	}
	p.apply = func() { s.catalogs.add(name, added) }
	return p, reply{}
}

// lacks are those of the fields that the catalog does not have.
func (c *Catalog) lacks(fields []CatalogField) []CatalogField {
	return slices.DeleteFunc(slices.Clone(fields), func(f CatalogField) bool {
		return slices.ContainsFunc(c.Fields, func(other CatalogField) bool { return other.Name == f.Name })
	})
}

// add adds fields to a catalog. The list of them is made anew: others may be reading the old one.
func (c *catalogs) add(name string, fields []CatalogField) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.byName[name]
	if old == nil {
		return // the sandbox was reset
	}
	changed := *old
	lacking := changed.lacks(fields)
	changed.Ignored += len(fields) - len(lacking)
	changed.Fields = append(slices.Clone(changed.Fields), lacking...)
	c.byName[name] = &changed
}
