package brazefake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
)

var catalogTypes = []string{"string", "number", "boolean", "time", "geo", "object", "array"}

// planCatalog plans POST /catalogs (braze-docs: post_create_catalog).
func (s *Sandbox) planCatalog(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "catalogs")
	p := plan{items: 1, status: http.StatusCreated, now: true}
	if !f.has("catalogs") || f.members["catalogs"][0] != '[' || len(f.list("catalogs")) == 0 || f.list("catalogs")[0][0] != '{' {
		return p, bad("catalog-array-invalid", "catalogs must be an array of objects")
	}
	if len(f.list("catalogs")) > 1 {
		return p, bad("too-many-catalog-atoms", "one catalog can be created at a time")
	}
	cf := s.read(c, "catalogs[0].", f.list("catalogs")[0], "name", "description", "fields")
	created := &Catalog{Name: cf.text("name"), Description: cf.text("description"), Items: map[string]Item{}, UpdatedAt: c.at.UTC()}
	fields := cf.list("fields")
	switch {
	case cf.problem != "":
		return p, bad("catalog-array-invalid", cf.problem)
	case utf8.RuneCountInString(created.Name) > braze.MaxCatalogName:
		return p, bad("catalog-name-too-large", "the name is longer than 250 characters")
	case !validCatalogName(created.Name):
		return p, bad("invalid-catalog-name", "a name has letters, digits, hyphens and underscores only", "name", created.Name)
	case utf8.RuneCountInString(created.Description) > braze.MaxCatalogName:
		return p, bad("description-too-long", "the description is longer than 250 characters")
	case len(fields) > braze.MaxCatalogFields:
		return p, bad("too-many-fields", "there are more than 500 fields")
	case len(fields) == 0:
		return p, bad("invalid-fields", "fields must be an array of objects")
	}
	var refusal reply
	if created.Fields, refusal = s.readFields(c, "catalogs[0].", fields); refusal.status != 0 {
		return p, refusal
	}
	if created.Fields[0] != (CatalogField{"id", "string"}) {
		return p, bad("id-not-first-column", "the first field must be id, a string")
	}
	s.catalogs.mu.Lock()
	defer s.catalogs.mu.Unlock()
	if s.catalogs.byName[created.Name] != nil {
		return p, bad("catalog-name-already-exists", "a catalog of that name exists", "name", created.Name)
	}
	p.apply = func() {
		s.catalogs.mu.Lock()
		defer s.catalogs.mu.Unlock()
		if s.catalogs.byName == nil {
			s.catalogs.byName = map[string]*Catalog{}
		}
		if s.catalogs.byName[created.Name] == nil {
			s.catalogs.byName[created.Name] = created
		}
	}
	p.body = success("catalogs", string(mustJSON([]any{map[string]any{
		"name": created.Name, "description": created.Description, "fields": created.Fields, "num_items": 0, "updated_at": created.UpdatedAt,
	}})))
	return p, reply{}
}

// readFields reads the fields of a catalog, or returns the refusal of the whole call.
func (s *Sandbox) readFields(c *call, at string, list [][]byte) (fields []CatalogField, refusal reply) {
	for i, field := range list {
		ff := s.read(c, fmt.Sprintf("%sfields[%d].", at, i), field, "name", "type")
		column := CatalogField{ff.text("name"), ff.text("type")}
		switch {
		case ff.problem != "":
			return nil, bad("invalid-fields", ff.problem)
		case utf8.RuneCountInString(column.Name) > braze.MaxCatalogName:
			return nil, bad("field-names-too-large", "a field's name is longer than 250 characters", "field", column.Name)
		case !validCatalogName(column.Name):
			return nil, bad("invalid-field-names", "a name has letters, digits, hyphens and underscores only", "field", column.Name)
		case !slices.Contains(catalogTypes, column.Type):
			return nil, bad("invalid-field-types", "there is no such type", "field", column.Name)
		case slices.ContainsFunc(fields, func(other CatalogField) bool { return other.Name == column.Name }):
			return nil, bad("field-names-not-unique", "a field is named twice", "field", column.Name)
		}
		fields = append(fields, column)
	}
	return fields, reply{}
}

func validCatalogName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}
