package braze

import (
	"slices"
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
	w.catalogFields(c.Fields)
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
	return checkCatalogFields(c.Fields)
}

// checkCatalogFields checks the names and types of fields.
func checkCatalogFields(fields []CatalogField) *Violation {
	seen := make(map[string]bool, len(fields))
	for i, f := range fields {
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
