package braze

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// CatalogField is one column of a catalog. Types are string, number, boolean, time, geo ([longitude,
// latitude]), object and array (braze-docs: post_create_catalog).
type CatalogField struct{ Name, Type string }

// NewCatalog is a request to POST /catalogs. The first field must be "id", a string.
type NewCatalog struct {
	Name        string
	Description string
	Fields      []CatalogField
}

// Endpoint is [CatalogsCreate].
func (*NewCatalog) Endpoint() *Endpoint { return CatalogsCreate }

// Path is the endpoint's.
func (*NewCatalog) Path() string { return CatalogsCreate.Path }

// Items is 1.
func (*NewCatalog) Items() int { return 1 }

// Repeatable is true: a name that is taken is refused.
func (*NewCatalog) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (c *NewCatalog) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.name("catalogs")
	w.open('[')
	w.open('{')
	w.text("name", c.Name)
	w.text("description", c.Description)
	w.name("fields")
	w.open('[')
	for _, f := range c.Fields {
		w.open('{')
		w.text("name", f.Name)
		w.text("type", f.Type)
		w.close('}')
	}
	w.close(']')
	w.close('}')
	w.close(']')
	w.close('}')
	return w.b
}

var catalogTypes = []string{"string", "number", "boolean", "time", "geo", "object", "array"}

// Check checks the request.
func (c *NewCatalog) Check() *Violation {
	if v := checkCatalogName("name", c.Name); v != nil {
		return v
	}
	if longerText(c.Description, MaxCatalogName) {
		return &Violation{Field: "description", Rule: RuleTooLong, Detail: most250}
	}
	switch {
	case len(c.Fields) == 0 || c.Fields[0] != CatalogField{"id", "string"}:
		return &Violation{Field: "fields[0]", Rule: RuleNotOneOf, Detail: "the first field is id, a string"}
	case len(c.Fields) > MaxCatalogFields:
		return tooMany("fields", len(c.Fields), MaxCatalogFields)
	}
	seen := make(map[string]bool, len(c.Fields))
	for i, f := range c.Fields {
		at := indexed("fields", i)
		if v := checkCatalogName(at+".name", f.Name); v != nil {
			return v
		}
		switch {
		case seen[f.Name]:
			return &Violation{Field: at + ".name", Rule: RuleTwice}
		case !slices.Contains(catalogTypes, f.Type):
			return &Violation{Field: at + ".type", Rule: RuleNotOneOf, Detail: "string, number, boolean, time, geo, object, array"}
		}
		seen[f.Name] = true
	}
	return nil
}

const most250 = "250 characters"

// checkCatalogName checks the name of a catalog or a field, or an item's id: letters, digits, hyphens and
// underscores.
func checkCatalogName(field, name string) *Violation {
	switch {
	case name == "":
		return &Violation{Field: field, Rule: RuleMissing}
	case len(name) > MaxCatalogName:
		return &Violation{Field: field, Rule: RuleTooLong, Detail: most250}
	}
	for i := range len(name) {
		if c := name[i]; c != '-' && c != '_' && !alphanumeric(c) {
			return &Violation{Field: field, Rule: RulePattern, Detail: "letters, digits, - and _"}
		}
	}
	return nil
}

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

// isArrayChange reports whether an object is {"$add": …, "$remove": …} or one of the two.
func isArrayChange(value []byte) bool {
	n := 0
	for name := range jsonscan.Members(value) {
		if string(name) != "$add" && string(name) != "$remove" {
			return false
		}
		n++
	}
	return n > 0
}

func checkCatalogValue(field string, value []byte) *Violation {
	switch value[0] {
	case '[':
		return checkCatalogArray(field, value)
	case '{':
		return checkCatalogObject(field, value, 1)
	}
	return checkCatalogString(field, value)
}

// checkCatalogArray checks a field that is an array: of strings, or of the two numbers of a geo.
func checkCatalogArray(field string, value []byte) *Violation {
	if value[0] != '[' {
		return &Violation{Field: field, Rule: RuleNotAList}
	}
	n, numbers := 0, 0
	for element := range jsonscan.Elements(value) {
		if n++; n > MaxCatalogArray {
			return &Violation{Field: field, Rule: RuleTooManyItems, Detail: strconv.Itoa(MaxCatalogArray) + " at most"}
		}
		if element[0] != '"' {
			numbers++
		}
		if v := checkCatalogString(field, element); v != nil {
			return v
		}
	}
	if numbers > 0 && (numbers != n || n != 2 || !twoNumbers(value)) {
		return &Violation{Field: field, Rule: RuleWrongType, Detail: "an array holds strings, a geo two numbers"}
	}
	return nil
}

func twoNumbers(value []byte) bool {
	for element := range jsonscan.Elements(value) {
		if c := element[0]; c != '-' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// checkCatalogObject checks what is nested in a field; depth is that of the value itself.
func checkCatalogObject(field string, value []byte, depth int) *Violation {
	if value[0] != '{' && value[0] != '[' {
		return checkCatalogString(field, value)
	}
	if depth > MaxCatalogNesting {
		return &Violation{Field: field, Rule: RuleTooDeep, Detail: "more than 50 in a catalog"}
	}
	for element := range jsonscan.Elements(value) {
		if v := checkCatalogObject(field, element, depth+1); v != nil {
			return v
		}
	}
	for name, member := range jsonscan.Members(value) {
		if bytes.ContainsAny(jsonscan.Unquote(name), ".$") {
			return &Violation{Field: field + "." + shortName(name), Rule: RulePattern, Detail: "a key has no . and no $"}
		}
		if v := checkCatalogObject(field, member, depth+1); v != nil {
			return v
		}
	}
	return nil
}

func checkCatalogString(field string, value []byte) *Violation {
	if value[0] == '"' && longer(value[1:len(value)-1], MaxCatalogValue) {
		return &Violation{Field: field, Rule: RuleTooLong, Detail: "5000 characters"}
	}
	return nil
}
