package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// row is what a catalog holds of an item: values by field. Braze has an item's id beside it.
type row struct {
	values map[string]jsontext.Value
	bases  map[string]string // of fields that are one locale's, the field that they are the variant of
}

// Variant is the name of a field's variant in a locale: headline_de-AT.
func Variant(field, locale string) string { return field + "_" + locale }

// add takes a body in, as the item's own or, with a locale, as that locale's. Declared is the collection's
// list of fields; where it is empty all are taken. A body's own id is left out: it would be taken for that
// of the row.
func (r *row) add(body []byte, locale string, declared map[string]string) *refusal {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(body, &members); err != nil {
		return &refusal{"invalid", "a body is not one JSON object: " + err.Error()}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := members[name]
		if _, named := declared[name]; name == "id" || value.Kind() == 'n' || len(declared) > 0 && !named {
			continue
		}
		if err := value.Compact(); err != nil {
			return &refusal{"invalid", "a body is not JSON: " + err.Error()}
		}
		field := name
		if locale != "" {
			field = Variant(name, locale)
			r.bases[field] = name
		}
		switch {
		case len(field) > braze.MaxCatalogName || !plain(field):
			return &refusal{"invalid_field", fmt.Sprintf("Braze takes no field of the name %.100q: letters, digits, - and _, 250 of them", field)}
		case field == "id" || r.values[field] != nil:
			return &refusal{"ambiguous_field", fmt.Sprintf("two values would be the field %.100q: fields' variants are called after the field and the locale", field)}
		}
		r.values[field] = value
	}
	return nil
}

// text is the row as one JSON object, the same for the same values.
func (r *row) text() []byte {
	b := []byte{'{'}
	for i, name := range slices.Sorted(maps.Keys(r.values)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(append(b, '"'), name...), `":`...), r.values[name]...)
	}
	return append(b, '}')
}

// hash is what is remembered of a row's text.
func hash(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// build makes the row of what is shown of an item at a moment; nil where nothing is. Without a locale stands
// what a reader gets who asks for none.
func (b *book) build(it *item, now int64) (*row, *refusal) {
	var own event.Content
	bodies := map[string][]byte{} // by locale
	var plain []byte
	if it.shown(it.own, now) {
		if err := b.read(it.own.record, &own); err != nil {
			return nil, &refusal{"undecodable", err.Error()}
		}
		plain = own.Body
		for _, v := range own.Variants {
			bodies[v.Locale] = v.Body
		}
	}
	for _, e := range it.locales {
		if !it.shown(e, now) {
			continue
		}
		var c event.Content
		if err := b.read(e.record, &c); err != nil {
			return nil, &refusal{"undecodable", err.Error()}
		}
		bodies[e.locale] = c.Body
		if plain == nil && b.rule.Locale == "" {
			plain = c.Body // the first in the alphabet
		}
	}
	if body, there := bodies[b.rule.Locale]; there && b.rule.Locale != "" {
		plain = body
	}
	if plain == nil && len(bodies) == 0 {
		return nil, nil
	}
	r := &row{values: map[string]jsontext.Value{}, bases: map[string]string{}}
	if plain != nil {
		if no := r.add(plain, "", b.rule.Fields); no != nil {
			return nil, no
		}
	}
	for _, locale := range slices.Sorted(maps.Keys(bodies)) {
		if no := r.add(bodies[locale], locale, b.rule.Fields); no != nil {
			return nil, no
		}
	}
	return r, nil
}

// The types of fields (braze-docs: post_create_catalog).
const (
	typeString, typeNumber, typeBoolean = "string", "number", "boolean"
	typeTime, typeGeo                   = "time", "geo"
	typeObject, typeArray               = "object", "array"
)

// typeOf is the type of a field that is seen with a value first.
func typeOf(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		if fits(typeTime, v) && len(v) > len(`"2006-01-02"`) {
			return typeTime
		}
		return typeString
	case '0':
		return typeNumber
	case '{':
		return typeObject
	case '[':
		if fits(typeGeo, v) {
			return typeGeo
		}
		return typeArray
	}
	return typeBoolean
}

// fits reports whether Braze takes a value for a field of a type.
func fits(kind string, v jsontext.Value) bool {
	switch kind {
	case typeString:
		return v.Kind() == '"'
	case typeNumber:
		return v.Kind() == '0'
	case typeBoolean:
		return v.Kind() == 't' || v.Kind() == 'f'
	case typeObject:
		return v.Kind() == '{'
	case typeTime:
		var s string
		if v.Kind() != '"' || json.Unmarshal(v, &s) != nil {
			return false
		}
		_, err := time.Parse(time.RFC3339, s)
		if err != nil {
			_, err = time.Parse(time.DateOnly, s)
		}
		return err == nil
	}
	if v.Kind() != '[' {
		return false
	}
	var elements []jsontext.Value
	if json.Unmarshal(v, &elements) != nil {
		return false
	}
	want := jsontext.Kind('"')
	if kind == typeGeo {
		want = '0'
	}
	other := func(e jsontext.Value) bool { return e.Kind() != want }
	return !slices.ContainsFunc(elements, other) && (kind == typeArray || len(elements) == 2)
}

// inWords is what a value is, for people.
func inWords(v jsontext.Value) string {
	switch v.Kind() {
	case '"':
		return "a text"
	case '0':
		return "a number"
	case '{':
		return "an object"
	case '[':
		return "an array"
	}
	return "true or false"
}
