package registry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/avro"
)

// CheckChange says why a public topic's schema may not change from old to next; nothing means that it
// may. A public topic is read and written by programs nobody here knows, in any order of upgrade, so a
// change must be safe in both directions against every version: FULL_TRANSITIVE. Avro's own rules are
// not enough for that. They let a field with a default vanish, which breaks every query that names it,
// and do not look at logical types, so that milliseconds may turn into microseconds unnoticed.
//
// What may change: fields may be added that are ["null", T] with default null; docs and other
// properties may say something else; a default may be added. Each reason names the field.
func CheckChange(old, next string) []string {
	before, err := parseCanonical(old)
	if err != nil {
		return []string{"the old schema: " + err.Error()}
	}
	after, err := parseCanonical(next)
	if err != nil {
		return []string{"the new schema: " + err.Error()}
	}
	var d diff
	d.types("", before.Root().ExpandReferences(), after.Root().ExpandReferences())
	if len(d.reasons) == 0 {
		// Nothing seen; Avro has the last word.
		return Incompatibilities(FullTransitive, after, Earlier{Version: 1, Schema: before})
	}
	return d.reasons
}

// parseCanonical parses a schema's canonical text, in which a reference is always the full name.
func parseCanonical(text string) (*avro.Schema, error) {
	form, err := Canonical(text)
	if err != nil {
		return nil, err
	}
	return ParseSchema(form)
}

// diff collects the differences that matter between two versions of a schema.
type diff struct{ reasons []string }

func (d *diff) because(path, format string, args ...any) {
	if path == "" {
		path = "the record"
	}
	d.reasons = append(d.reasons, clipped(path)+": "+fmt.Sprintf(format, args...))
}

func (d *diff) types(path string, was, is *avro.SchemaNode) {
	if was.Type != is.Type || was.LogicalType != is.LogicalType || len(was.Branches) != len(is.Branches) {
		d.because(path, "type changed from %s to %s; add a field of the new type instead", describe(was), describe(is))
		return
	}
	switch was.Type {
	case "union":
		for i := range was.Branches {
			d.types(path, &was.Branches[i], &is.Branches[i])
		}
	case "array":
		d.types(path+"[]", was.Items, is.Items)
	case "map":
		d.types(path+"{}", was.Values, is.Values)
	case "record", "error":
		d.names(path, was, is)
		d.fields(path, was, is)
	case "enum":
		d.names(path, was, is)
		if !slices.Equal(was.Symbols, is.Symbols) {
			d.because(path, "symbols changed from %s to %s; an older reader fails at a new symbol", clipped(fmt.Sprint(was.Symbols)), clipped(fmt.Sprint(is.Symbols)))
		}
		if was.EnumDefault != is.EnumDefault {
			d.because(path, "default symbol changed from %q to %q", was.EnumDefault, is.EnumDefault)
		}
	case "fixed":
		d.names(path, was, is)
		if was.Size != is.Size {
			d.because(path, "size changed from %d to %d bytes", was.Size, is.Size)
		}
	}
	if was.Precision != is.Precision || was.Scale != is.Scale {
		d.because(path, "decimal changed from (%d,%d) to (%d,%d); the bytes would mean another number", was.Precision, was.Scale, is.Precision, is.Scale)
	}
}

func (d *diff) names(path string, was, is *avro.SchemaNode) {
	if before, after := fullName(was.Name, was.Namespace), fullName(is.Name, is.Namespace); before != after {
		d.because(path, "%s renamed from %s to %s; readers find it by name", was.Type, clipped(before), clipped(after))
	}
}

func (d *diff) fields(path string, was, is *avro.SchemaNode) {
	before := make(map[string]*avro.SchemaField, len(was.Fields))
	for i := range was.Fields {
		before[was.Fields[i].Name] = &was.Fields[i]
	}
	kept := make(map[string]bool, len(is.Fields))
	for i := range is.Fields {
		field := &is.Fields[i]
		kept[field.Name] = true
		if old, had := before[field.Name]; had {
			d.field(below(path, field.Name), old, field)
		} else if !nullable(field) {
			d.because(below(path, field.Name), `added as %s; whatever is added must be ["null", T] with default null`, describe(&field.Type))
		}
	}
	for _, field := range was.Fields {
		if !kept[field.Name] {
			d.because(below(path, field.Name), "removed; keep the field, or begin a new topic")
		}
	}
}

func (d *diff) field(path string, was, is *avro.SchemaField) {
	d.types(path, &was.Type, &is.Type)
	before, after := fmt.Sprintf("%#v", was.Default), fmt.Sprintf("%#v", is.Default) // as text NaN equals NaN
	switch {
	case was.HasDefault && !is.HasDefault:
		d.because(path, "its default is gone; records from before the field could not be read")
	case was.HasDefault && before != after:
		d.because(path, "its default changed from %s to %s", clipped(before), clipped(after))
	}
}

// below is the path of a field of the record at path.
func below(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

// nullable says whether a field is ["null", T] with default null.
func nullable(f *avro.SchemaField) bool {
	return optional(&f.Type) && f.HasDefault && f.Default == nil
}

// optional says whether a type is ["null", T].
func optional(t *avro.SchemaNode) bool {
	return t.Type == "union" && len(t.Branches) == 2 && t.Branches[0].Type == "null"
}

// describe is a type in few words: long, long (timestamp-millis), ["null", string], array of Line.
func describe(t *avro.SchemaNode) string {
	switch {
	case t.Type == "union":
		branches := make([]string, len(t.Branches))
		for i := range t.Branches {
			branches[i] = describe(&t.Branches[i])
		}
		return clipped("[" + strings.Join(branches, ", ") + "]")
	case t.Type == "array" && t.Items != nil:
		return "array of " + describe(t.Items)
	case t.Type == "map" && t.Values != nil:
		return "map of " + describe(t.Values)
	case t.LogicalType == "decimal":
		return fmt.Sprintf("%s (decimal %d,%d)", t.Type, t.Precision, t.Scale)
	case t.LogicalType != "":
		return fmt.Sprintf("%s (%s)", t.Type, clipped(t.LogicalType))
	case t.Name != "":
		return t.Type + " " + clipped(t.Name)
	}
	return clipped(t.Type)
}
