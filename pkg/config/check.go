package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// check holds every field of the struct v, which stands at path, against its tags.
func (l *loader) check(s *section, v reflect.Value, path string) {
	s.each(func(f *field) {
		at, value := within(s, f, path), f.get(v)
		_, given := l.origins[at]
		switch {
		case l.failed[at]:
		case f.required && (!given || empty(value)):
			l.problem(f, at, nil, "required; set "+f.ways(at))
		case given && !f.fits(value):
			l.problem(f, at, shown(value), f.allowed())
		}
		if f.elem != nil {
			for i := range value.Len() {
				l.note(f.elem, value.Index(i), fmt.Sprintf("%s[%d]", at, i))
				l.check(f.elem, value.Index(i), fmt.Sprintf("%s[%d]", at, i))
			}
		}
	})
}

// note counts the fields of a list's element as given where they hold something: when the list read
// itself from text, nobody saw them come.
func (l *loader) note(s *section, v reflect.Value, path string) {
	s.each(func(f *field) {
		at := within(s, f, path)
		if _, known := l.origins[at]; !known && !f.get(v).IsZero() {
			l.origins[at] = ""
		}
	})
}

// empty says whether there is no text or no element; a number is never empty.
func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		return v.IsZero()
	}
	return false
}

// ways names what sets the field at path.
func (f *field) ways(path string) string {
	ways := []string{path}
	if f.file {
		ways = append(ways, path+"_file")
	}
	if f.env != "" {
		ways = append(ways, f.env)
		if f.file {
			ways = append(ways, f.env+"_FILE")
		}
	}
	if len(ways) == 1 {
		return ways[0]
	}
	return strings.Join(ways[:len(ways)-1], ", ") + " or " + ways[len(ways)-1]
}

// fits says whether the value obeys oneof, min and max.
func (f *field) fits(v reflect.Value) bool {
	if len(f.oneof) > 0 && !f.listed(v) {
		return false
	}
	if f.counted() {
		v = reflect.ValueOf(length(v))
	}
	return (!f.least.IsValid() || compare(v, f.least) >= 0) && (!f.most.IsValid() || compare(v, f.most) <= 0)
}

// listed says whether the value, or each element of it, is one of those that oneof names.
func (f *field) listed(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		for i := range v.Len() {
			if !f.listed(v.Index(i)) {
				return false
			}
		}
		return true
	}
	if v.Type() == secretType {
		return slices.Contains(f.oneof, v.String())
	}
	return slices.Contains(f.oneof, fmt.Sprint(plain(v, nil)))
}

func length(v reflect.Value) int {
	if v.Kind() == reflect.String {
		return len([]rune(v.String()))
	}
	return v.Len()
}

func compare(a, b reflect.Value) int {
	switch {
	case a.CanInt():
		return cmp.Compare(a.Int(), b.Int())
	case a.CanUint():
		return cmp.Compare(a.Uint(), b.Uint())
	default:
		return cmp.Compare(a.Float(), b.Float())
	}
}

// shown is a value as a Problem shows it.
func shown(v reflect.Value) any {
	if v.Kind() == reflect.Slice {
		return fmt.Sprint(plain(v, nil))
	}
	if v.Type() == secretType {
		return v.Interface()
	}
	return plain(v, nil)
}
