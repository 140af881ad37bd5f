package braze

// CatalogFields is a request to POST /catalogs/{catalog_name}/fields, which adds up to 50 fields to a
// catalog. Braze answers 202 and does it later: items that have them are refused until then.
type CatalogFields struct {
	Catalog string
	Fields  []CatalogField
}

// Endpoint is [CatalogFieldsCreate].
func (*CatalogFields) Endpoint() *Endpoint { return CatalogFieldsCreate }

// Path names the catalog.
func (c *CatalogFields) Path() string { return CatalogFieldsCreate.At(c.Catalog) }

// Items is the number of fields.
func (c *CatalogFields) Items() int { return len(c.Fields) }

// Repeatable is true: a name that is taken is refused.
func (*CatalogFields) Repeatable() bool { return true }

// AppendBody appends the request's body.
func (c *CatalogFields) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.catalogFields(c.Fields)
	w.close('}')
	return w.b
}

// Check checks the request.
func (c *CatalogFields) Check() *Violation {
	if v := checkCatalogName("catalog_name", c.Catalog); v != nil {
		return v
	}
	if len(c.Fields) == 0 {
		return &Violation{Field: "fields", Rule: RuleMissing}
	}
	if v := tooMany("fields", len(c.Fields), c.Endpoint().MaxItems); v != nil {
		return v
	}
	return checkCatalogFields(c.Fields)
}

// catalogFields writes the list of fields.
func (w *writer) catalogFields(fields []CatalogField) {
	w.name("fields")
	w.open('[')
	for _, f := range fields {
		w.open('{')
		w.text("name", f.Name)
		w.text("type", f.Type)
		w.close('}')
	}
	w.close(']')
}
