package brazefake

import (
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

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
