package brazefake

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// check holds an item to the catalog's fields and to the limits of values, and returns the refusal of the
// whole call.
func (c *Catalog) check(item row, e *braze.Endpoint) reply {
	for name, value := range item.values {
		at := slices.IndexFunc(c.Fields, func(f CatalogField) bool { return f.Name == name })
		if at < 0 {
			return bad("invalid-fields", "the catalog has no such field", "id", item.id, "field", name)
		}
		kind := c.Fields[at].Type
		if e == braze.CatalogItemsUpdate && kind == "array" && value[0] == '{' {
			members := dictionary(value)
			if !only(members, "$add", "$remove") || !arrayValue(members["$add"]) || !arrayValue(members["$remove"]) {
				return bad("unable-to-coerce-value", "an array is changed by $add and $remove", "id", item.id, "field", name)
			}
			continue
		}
		if id, message := checkValue(value, kind); id != "" {
			return bad(id, message, "id", item.id, "field", name)
		}
	}
	if e != braze.CatalogItemsCreate && e != braze.CatalogItemCreate {
		return reply{}
	}
	for _, f := range c.Fields[1:] {
		if item.values[f.Name] == nil {
			return bad("invalid-fields", "a field of the catalog is missing", "id", item.id, "field", f.Name)
		}
	}
	return reply{}
}

// arrayValue reports whether a value, where there is one, may stand in an array field.
func arrayValue(value []byte) bool {
	if value == nil {
		return true
	}
	id, _ := checkValue(value, "array")
	return id == ""
}

// checkValue returns the error's id for a value that the field's type does not take. Null is always taken.
func checkValue(value []byte, kind string) (id, message string) {
	if isNull(value) {
		return "", ""
	}
	if tooLong(value) {
		return "items-too-large", "a value is longer than 5,000 characters"
	}
	text, isText := jsonscan.String(value)
	coerced := true
	switch kind {
	case "string":
		coerced = value[0] != '{' && value[0] != '['
	case "number":
		_, err := strconv.ParseFloat(string(text), 64)
		coerced = isNumber(value) || isText && err == nil
	case "boolean":
		coerced = slices.Contains([]string{"true", "false", `"true"`, `"false"`}, string(value))
	case "time":
		_, ok := parseDate(string(text))
		coerced = ok
	case "geo":
		pair := list(value)
		coerced = value[0] == '[' && len(pair) == 2 && isNumber(pair[0]) && isNumber(pair[1])
	case "array":
		elements := list(value)
		coerced = value[0] == '[' && len(elements) <= braze.MaxCatalogArray &&
			!slices.ContainsFunc(elements, func(e []byte) bool { return e[0] != '"' })
	case "object":
		if coerced = value[0] == '{'; coerced {
			return checkNesting(value, 1)
		}
	}
	if !coerced {
		return "unable-to-coerce-value", "a value is not of the field's type, " + kind
	}
	return "", ""
}

func tooLong(value []byte) bool {
	switch value[0] {
	case '"':
		return jsonscan.Runes(value[1:len(value)-1], braze.MaxCatalogValue) > braze.MaxCatalogValue
	case '[':
		return slices.ContainsFunc(list(value), tooLong)
	case '{':
		for _, member := range jsonscan.Members(value) {
			if tooLong(member) {
				return true
			}
		}
	}
	return false
}

func checkNesting(value []byte, depth int) (id, message string) {
	if value[0] != '{' && value[0] != '[' {
		return "", ""
	}
	if depth > braze.MaxCatalogNesting {
		return "too-deep-nesting-in-value-object", "an object is nested more than 50 levels deep"
	}
	for name, member := range jsonscan.Members(value) {
		if strings.ContainsAny(string(jsonscan.Unquote(name)), ".$") {
			return "invalid-keys-in-value-object", "a key has a . or a $"
		}
		if id, message = checkNesting(member, depth+1); id != "" {
			return id, message
		}
	}
	for element := range jsonscan.Elements(value) {
		if id, message = checkNesting(element, depth+1); id != "" {
			return id, message
		}
	}
	return "", ""
}

// change does to an item what a call says. An item that is to be created and is there, or is to be changed
// or deleted and is not, is left alone without a word: what Braze does then is not documented.
func (c *catalogs) change(name string, item row, e *braze.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	catalog := c.byName[name]
	if catalog == nil {
		return // the sandbox was reset
	}
	old, exists := catalog.Items[item.id]
	create := e == braze.CatalogItemsCreate || e == braze.CatalogItemCreate
	if create && exists || !exists && (e == braze.CatalogItemsUpdate || e == braze.CatalogItemsDelete) {
		catalog.Ignored++
		return
	}
	c.bytes -= old.size()
	catalog.UpdatedAt = time.Now().UTC()
	if e == braze.CatalogItemsDelete {
		delete(catalog.Items, item.id)
		return
	}
	now := Item{}
	if e == braze.CatalogItemsUpdate {
		now = old
	}
	for field, value := range item.values {
		if members := dictionary(value); e == braze.CatalogItemsUpdate && only(members, "$add", "$remove") {
			elements := append(list(now[field]), list(members["$add"])...)
			for _, gone := range list(members["$remove"]) {
				elements = slices.DeleteFunc(elements, func(e []byte) bool { return bytes.Equal(e, gone) })
			}
			now[field] = joined(elements)
			continue
		}
		now[field] = json.RawMessage(value)
	}
	catalog.Items[item.id] = now
	c.bytes += now.size()
}

// size is how many bytes an item holds.
func (i Item) size() (n int) {
	for name, value := range i {
		n += len(name) + len(value)
	}
	return n
}
