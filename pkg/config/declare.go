package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// section is what is declared about one mapping of the YAML file.
type section struct {
	path    string // "braze"; "" for the whole file; "ingest.keys[]" for the elements of a list
	entries []entry
	structs [][]int // the Go structs that make it up, whose Validate is asked
}

// entry is one key of a section: a field, or another section.
type entry struct {
	name    string
	field   *field
	section *section
}

// field is what is declared about one value.
type field struct {
	path, name, goName string
	env, def, doc      string
	min, max           string
	oneof              []string
	required           bool
	file               bool // may be given as the name of a file
	secret             bool // is a Secret, or has one inside
	text               bool // reads text itself
	typ                reflect.Type
	at                 [][]int       // where it stands in the Go struct; several when configurations share it
	elem               *section      // of a list of structs
	least, most        reflect.Value // min and max, read
}

var (
	secretType   = reflect.TypeFor[Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func readsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && !readsText(t) }

// declare reads the tags of a configuration struct.
func declare(t reflect.Type) *section {
	root := &section{}
	root.add(t, nil)
	return root
}

// add declares the fields of one Go struct, which stands at the given index, in the section.
func (s *section) add(t reflect.Type, at []int) {
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("config: %s is not a struct", t))
	}
	s.structs = append(s.structs, at)
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(slices.Clone(at), i)
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case name == "-", !sf.IsExported() && !sf.Anonymous:
		case isSection(sf.Type) && (option == "inline" || sf.Anonymous && name == ""):
			s.add(sf.Type, index)
		case name == "" || strings.ContainsAny(name, ". []"):
			panic(fmt.Sprintf("config: %s.%s needs a yaml tag: a key, or \"-\"", t, sf.Name))
		case isSection(sf.Type):
			s.section(name).add(sf.Type, index)
		default:
			s.field(name, sf, index)
		}
	}
}

func (s *section) entry(name string) *entry {
	for i := range s.entries {
		if s.entries[i].name == name {
			return &s.entries[i]
		}
	}
	return nil
}

// section returns the nested section called name, which several Go structs may make up.
func (s *section) section(name string) *section {
	if e := s.entry(name); e != nil {
		if e.section == nil {
			panic("config: " + join(s.path, name) + " is declared as a field and as a section")
		}
		return e.section
	}
	sub := &section{path: join(s.path, name)}
	s.entries = append(s.entries, entry{name: name, section: sub})
	return sub
}

// field declares one value, or finds it declared already by another struct and adds its place.
func (s *section) field(name string, sf reflect.StructField, at []int) {
	f := &field{
		path: join(s.path, name), name: name, goName: sf.Name, typ: sf.Type, at: [][]int{at},
		env: sf.Tag.Get("env"), def: sf.Tag.Get("default"), doc: sf.Tag.Get("doc"),
		min: sf.Tag.Get("min"), max: sf.Tag.Get("max"), oneof: strings.Fields(sf.Tag.Get("oneof")),
		required: sf.Tag.Get("required") == "true",
		secret:   holdsSecret(sf.Type),
		text:     readsText(sf.Type),
	}
	if known := s.entry(name); known != nil {
		known.field.share(f)
		return
	}
	if sf.Type.Kind() == reflect.Slice && isSection(sf.Type.Elem()) {
		f.elem = &section{path: f.path + "[]"}
		f.elem.add(sf.Type.Elem(), nil)
	}
	oneText := readable(sf.Type)
	if f.elem == nil && !oneText || f.env != "" && !oneText {
		panic(fmt.Sprintf("config: %s has type %s, which cannot be read from one text", f.path, sf.Type))
	}
	f.file = oneText && (f.secret || sf.Tag.Get("file") == "true")
	f.least, f.most = f.bound(f.min), f.bound(f.max)
	s.entries = append(s.entries, entry{name: name, field: f})
}

// share adds the place of another declaration of the same path. Two declarations that disagree would
// give two services of one process different ideas of one setting.
func (f *field) share(other *field) {
	if f == nil || f.typ != other.typ || f.env != other.env || f.def != other.def || f.min != other.min ||
		f.max != other.max || f.required != other.required || !slices.Equal(f.oneof, other.oneof) {
		panic("config: " + other.path + " is declared twice, differently")
	}
	f.at = append(f.at, other.at...)
}

// each calls visit for every field, in the order of declaration, those of list elements excepted.
func (s *section) each(visit func(*field)) {
	for _, e := range s.entries {
		if e.section != nil {
			e.section.each(visit)
			continue
		}
		visit(e.field)
	}
}

// set puts a value wherever the field stands in the struct v.
func (f *field) set(v, value reflect.Value) {
	for _, at := range f.at {
		v.FieldByIndex(at).Set(value)
	}
}

func (f *field) get(v reflect.Value) reflect.Value { return v.FieldByIndex(f.at[0]) }

func holdsSecret(t reflect.Type) bool {
	switch {
	case t == secretType:
		return true
	case t.Kind() == reflect.Slice:
		return holdsSecret(t.Elem())
	case t.Kind() == reflect.Struct:
		return slices.ContainsFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
			return holdsSecret(f.Type)
		})
	}
	return false
}
