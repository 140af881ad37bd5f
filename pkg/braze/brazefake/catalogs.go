package brazefake

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
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
