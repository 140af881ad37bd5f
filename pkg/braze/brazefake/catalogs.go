package brazefake

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// Catalog is a catalog as it is kept.
type Catalog struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Fields      []CatalogField  `json:"fields"`
	UpdatedAt   time.Time       `json:"updated_at"`
	Items       map[string]Item `json:"items"`
	// Ignored counts items that a call was accepted with and that came to nothing: created although they
	// are there, changed or deleted although they are not.
	Ignored int `json:"ignored,omitempty"`
}

// CatalogField is a column of a catalog.
type CatalogField struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Item is a row of a catalog without its id: values by field.
type Item map[string]json.RawMessage

// catalogs are all of them.
type catalogs struct {
	mu     sync.Mutex
	byName map[string]*Catalog
	bytes  int // of all values
}

const freeCatalogBytes = 500_000_000 // braze-docs: put_update_catalog_items

func (c *catalogs) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byName, c.bytes = nil, 0
}

// find returns a catalog, of which only the name and the fields may be looked at, or nil; and whether it
// has that item.
func (c *catalogs) find(name, item string) (catalog *Catalog, exists bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if catalog = c.byName[name]; catalog == nil {
		return nil, false
	}
	_, exists = catalog.Items[item]
	return catalog, exists
}

// Catalogs are copies of all catalogs, by name.
func (s *Sandbox) Catalogs() []Catalog {
	s.catalogs.mu.Lock()
	defer s.catalogs.mu.Unlock()
	out := []Catalog{}
	for _, name := range slices.Sorted(maps.Keys(s.catalogs.byName)) {
		c := *s.catalogs.byName[name]
		c.Fields, c.Items = slices.Clone(c.Fields), maps.Clone(c.Items)
		for id, item := range c.Items {
			c.Items[id] = maps.Clone(item)
		}
		out = append(out, c)
	}
	return out
}

// Catalog is a copy of one.
func (s *Sandbox) Catalog(name string) (Catalog, bool) {
	for _, c := range s.Catalogs() {
		if c.Name == name {
			return c, true
		}
	}
	return Catalog{}, false
}

// catalogError is one of the errors that catalogs are answered with, by their documented ids.
type catalogError struct {
	ID         string   `json:"id"`
	Message    string   `json:"message"`
	Parameters []string `json:"parameters"`
	Values     []string `json:"parameter_values"`
}

// invalid refuses a call about catalogs with one error. Pairs are a parameter and its value each.
func invalid(status int, id, message string, pairs ...string) reply {
	e := catalogError{ID: id, Message: message, Parameters: []string{}, Values: []string{}}
	for i := 0; i < len(pairs); i += 2 {
		e.Parameters, e.Values = append(e.Parameters, pairs[i]), append(e.Values, pairs[i+1])
	}
	body := mustJSON(map[string]any{"message": "Invalid Request", "errors": []catalogError{e}})
	return reply{status: status, body: body, message: id + ": " + message}
}

func bad(id, message string, pairs ...string) reply {
	return invalid(http.StatusBadRequest, id, message, pairs...)
}

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
	for i, field := range fields {
		ff := s.read(c, fmt.Sprintf("catalogs[0].fields[%d].", i), field, "name", "type")
		column := CatalogField{ff.text("name"), ff.text("type")}
		switch {
		case ff.problem != "":
			return p, bad("invalid-fields", ff.problem)
		case utf8.RuneCountInString(column.Name) > braze.MaxCatalogName:
			return p, bad("field-names-too-large", "a field's name is longer than 250 characters", "field", column.Name)
		case !validCatalogName(column.Name):
			return p, bad("invalid-field-names", "a name has letters, digits, hyphens and underscores only", "field", column.Name)
		case !slices.Contains(catalogTypes, column.Type):
			return p, bad("invalid-field-types", "there is no such type", "field", column.Name)
		case slices.ContainsFunc(created.Fields, func(other CatalogField) bool { return other.Name == column.Name }):
			return p, bad("field-names-not-unique", "a field is named twice", "field", column.Name)
		}
		created.Fields = append(created.Fields, column)
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

func validCatalogName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// row is an item that came in.
type row struct {
	id     string
	values map[string][]byte
}

// planItems plans the four calls about up to 50 items. They are answered 202 and done later; what became
// of an item is not told (braze-docs: post_create_catalog_items_bulk and its siblings).
func (s *Sandbox) planItems(c *call, r *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "items")
	p := plan{status: http.StatusAccepted, body: success()}
	if !f.has("items") || f.members["items"][0] != '[' || slices.ContainsFunc(f.list("items"), func(e []byte) bool { return e[0] != '{' }) {
		return p, bad("item-array-invalid", "items must be an array of objects")
	}
	elements := f.list("items")
	if p.items = len(elements); p.items > c.endpoint.MaxItems {
		return p, bad("request-includes-too-many-items", "there are more than 50 items")
	}
	if p.items == 0 {
		return p, bad("item-array-invalid", "items must be an array of objects")
	}
	name := r.PathValue("catalog_name")
	catalog, _ := s.catalogs.find(name, "")
	if catalog == nil {
		return p, invalid(http.StatusNotFound, "catalog-not-found", "there is no such catalog", "catalog_name", name)
	}
	var rows []row
	for _, element := range elements {
		values := dictionary(element)
		id, isText := jsonscan.String(values["id"])
		switch {
		case len(values["id"]) == 0 || isNull(values["id"]):
			return p, bad("items-missing-ids", "an item lacks an id")
		case !isText:
			return p, bad("ids-not-strings", "an id is no string", "id", string(values["id"]))
		case utf8.RuneCount(id) > braze.MaxCatalogName:
			return p, bad("ids-too-large", "an id is longer than 250 characters", "id", string(id))
		case !validCatalogName(string(id)):
			return p, bad("invalid-ids", "an id has letters, digits, hyphens and underscores only", "id", string(id))
		case slices.ContainsFunc(rows, func(other row) bool { return other.id == string(id) }):
			return p, bad("ids-not-unique", "an id stands in the request twice", "id", string(id))
		}
		delete(values, "id")
		item := row{string(id), values}
		if c.endpoint == braze.CatalogItemsDelete {
			item.values = nil
		} else if refusal := catalog.check(item, c.endpoint); refusal.status != 0 {
			return p, refusal
		}
		rows = append(rows, item)
	}
	if refusal := s.roomFor(c, len(body)); refusal.status != 0 {
		return p, refusal
	}
	p.apply = func() {
		for _, item := range rows {
			s.catalogs.change(name, item, c.endpoint)
		}
	}
	return p, reply{}
}

// roomFor refuses what goes beyond the company's storage (braze-docs: put_update_catalog_items).
func (s *Sandbox) roomFor(c *call, size int) reply {
	limit := s.options.CatalogBytes
	if limit == 0 {
		limit = freeCatalogBytes
	}
	s.catalogs.mu.Lock()
	defer s.catalogs.mu.Unlock()
	switch {
	case c.endpoint != braze.CatalogItemsReplace:
		return reply{}
	case s.catalogs.bytes >= limit:
		return bad("company-size-limit-already-reached", "the storage is used up")
	case s.catalogs.bytes+size > limit:
		return bad("company-size-limit-surge", "the request goes beyond the storage")
	}
	return reply{}
}

// planItem plans the call for a single item, which is done at once (braze-docs: post_create_catalog_item).
func (s *Sandbox) planItem(c *call, r *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "items")
	p := plan{items: 1, status: http.StatusCreated, now: true, body: success()}
	if elements := f.list("items"); len(elements) != 1 || elements[0][0] != '{' {
		return p, bad("item-array-invalid", "items must be an array of one object")
	}
	name, id := r.PathValue("catalog_name"), r.PathValue("item_id")
	catalog, exists := s.catalogs.find(name, id)
	values := dictionary(f.list("items")[0])
	switch {
	case catalog == nil:
		return p, invalid(http.StatusNotFound, "catalog-not-found", "there is no such catalog", "catalog_name", name)
	case chance(c.dice, c.knobs.PArbitrary):
		s.counters.mishap("arbitrary-error")
		return p, bad("arbitrary-error", "an arbitrary error has happened, try again")
	case values["id"] != nil:
		return p, bad("id-in-body", "the id stands in the path only")
	case utf8.RuneCountInString(id) > braze.MaxCatalogName:
		return p, bad("ids-too-large", "an id is longer than 250 characters", "id", id)
	case !validCatalogName(id):
		return p, bad("invalid-ids", "an id has letters, digits, hyphens and underscores only", "id", id)
	case exists:
		return p, bad("item-already-exists", "the item is there", "id", id)
	}
	item := row{id, values}
	if refusal := catalog.check(item, c.endpoint); refusal.status != 0 {
		return p, refusal
	}
	p.apply = func() { s.catalogs.change(name, item, c.endpoint) }
	return p, reply{}
}
