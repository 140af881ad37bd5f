package braze

import (
	"bytes"
	"slices"

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// CatalogChange is what is done to items.
type CatalogChange uint8

// The changes.
const (
	CreateItems  CatalogChange = iota // POST: new ones, with all of the catalog's fields
	UpdateItems                       // PATCH: the given fields of those there are; arrays may have $add and $remove
	ReplaceItems                      // PUT: whole, created where they are not
	DeleteItems                       // DELETE: Fields are left out
	CreateItem                        // POST of a single one, done at once and not later
)

var catalogEndpoints = [...]*Endpoint{
	CreateItems: CatalogItemsCreate, UpdateItems: CatalogItemsUpdate, ReplaceItems: CatalogItemsReplace,
	DeleteItems: CatalogItemsDelete, CreateItem: CatalogItemCreate,
}

// CatalogItem is one row of a catalog.
type CatalogItem struct {
	ID string
	// Fields is a JSON object of the item's fields without its id, or nothing.
	Fields []byte
}

// CatalogItems is a request about items of one catalog. Braze answers 202 and does it later, but for
// CreateItem; what became of an item then is not told, only read back.
type CatalogItems struct {
	Catalog string
	Change  CatalogChange
	List    []CatalogItem
}

// Endpoint is the one for the change.
func (c *CatalogItems) Endpoint() *Endpoint {
	return catalogEndpoints[min(int(c.Change), len(catalogEndpoints)-1)]
}

// Path names the catalog, and the item where there is only one.
func (c *CatalogItems) Path() string {
	if c.Change == CreateItem && len(c.List) > 0 {
		return CatalogItemCreate.At(c.Catalog, c.List[0].ID)
	}
	return c.Endpoint().At(c.Catalog)
}

// Items is the number of items.
func (c *CatalogItems) Items() int { return len(c.List) }

// Repeatable is true unless something is added to an array.
func (c *CatalogItems) Repeatable() bool {
	return c.Change != UpdateItems || !slices.ContainsFunc(c.List, func(i CatalogItem) bool {
		return bytes.Contains(i.Fields, []byte(`"$add"`))
	})
}

// AppendBody appends the request's body.
func (c *CatalogItems) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name("items")
	w.open('[')
	for i := range c.List {
		w.open('{')
		if c.Change != CreateItem {
			w.text("id", c.List[i].ID)
		}
		if fields := bytes.TrimSpace(c.List[i].Fields); c.Change != DeleteItems && len(fields) > 2 {
			if members := bytes.TrimSpace(fields[1 : len(fields)-1]); len(members) > 0 {
				w.rawValue(members)
			}
		}
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return w.b
}

// Check checks the request and each of its items.
func (c *CatalogItems) Check() *Violation {
	if v := checkCatalogName("catalog_name", c.Catalog); v != nil {
		return v
	}
	if len(c.List) == 0 {
		return &Violation{Field: "items", Rule: RuleMissing}
	}
	if v := tooMany("items", len(c.List), c.Endpoint().MaxItems); v != nil {
		return v
	}
	seen := make(map[string]bool, len(c.List))
	for i := range c.List {
		at := indexed("items", i)
		if v := c.List[i].check(at, c.Change); v != nil {
			return v
		}
		if seen[c.List[i].ID] {
			return &Violation{Field: at + ".id", Rule: RuleTwice}
		}
		seen[c.List[i].ID] = true
	}
	return nil
}

// Check checks an item by itself.
func (i *CatalogItem) Check(change CatalogChange) *Violation { return i.check("item", change) }

func (i *CatalogItem) check(at string, change CatalogChange) *Violation {
	if v := checkCatalogName(at+".id", i.ID); v != nil {
		return v
	}
	if change == DeleteItems {
		return nil
	}
	if v := checkJSON(at, i.Fields, MaxBody); v != nil {
		return v
	}
	for raw, value := range jsonscan.Members(i.Fields) {
		name := string(jsonscan.Unquote(raw))
		field := at + "." + shortName(raw)
		if name == "id" {
			return &Violation{Field: field, Rule: RuleNotAllowed, Detail: "the id stands by itself"}
		}
		if v := checkCatalogName(field, name); v != nil {
			return v
		}
		if change == UpdateItems && value[0] == '{' && isArrayChange(value) {
			for _, list := range jsonscan.Members(value) {
				if v := checkCatalogArray(field, list); v != nil {
					return v
				}
			}
			continue
		}
		if v := checkCatalogValue(field, value); v != nil {
			return v
		}
	}
	return nil
}
