package config

import (
	"cmp"
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// allowed says in words what the field takes.
func (f *field) allowed() string {
	limits := f.limits()
	switch {
	case len(f.oneof) > 0:
		return limits
	case limits == "":
		return kindInWords(f.typ)
	case f.counted():
		return kindInWords(f.typ) + " of " + limits
	case f.typ == durationType:
		return kindInWords(f.typ) + ", " + limits
	}
	return kindInWords(f.typ) + " " + limits
}

// limits are the field's choices or bounds, empty when its type says it all.
func (f *field) limits() string {
	unit := ""
	switch {
	case len(f.oneof) > 0:
		return "one of " + strings.Join(f.oneof, ", ")
	case f.typ.Kind() == reflect.Slice:
		unit = " element"
	case f.counted():
		unit = " character"
	}
	if unit != "" && cmp.Or(f.max, f.min) != "1" {
		unit += "s"
	}
	switch {
	case f.min != "" && f.max != "":
		return "from " + f.min + " to " + f.max + unit
	case f.min != "":
		return "at least " + f.min + unit
	case f.max != "":
		return "at most " + f.max + unit
	case f.text:
		return ""
	}
	switch f.typ.Kind() { // the type is a bound of its own
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return "from 0 to " + strconv.FormatUint(1<<f.typ.Bits()-1, 10)
	case reflect.Uint, reflect.Uint64:
		return "at least 0"
	}
	return ""
}

func kindInWords(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 200ms or 1m30s"
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		return "a list of mappings"
	case t.Kind() == reflect.Slice && kindInWords(t.Elem()) == "text":
		return "a list"
	case t.Kind() == reflect.Slice:
		return "a list, each " + kindInWords(t.Elem())
	case t.Kind() == reflect.String, readsText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

// complaint says what would have been allowed where parse failed. A type that reads text itself knows
// best, but its words may quote what it read, so of secrets they are not repeated.
func (f *field) complaint(err error) string {
	if !f.text || f.secret {
		return f.allowed()
	}
	var p Problem
	if errors.As(err, &p) {
		return p.Allowed
	}
	return redactURLs(err.Error())
}
