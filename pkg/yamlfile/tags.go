package yamlfile

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/pkg/config"
)

// eachField calls visit for the fields of a struct that have a key, those of inlined structs among them.
func eachField(v reflect.Value, visit func(key string, field reflect.Value, tag reflect.StructTag)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key, option, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case key == "-" || !f.IsExported() && !f.Anonymous:
		case f.Type.Kind() == reflect.Struct && (option == "inline" || f.Anonymous && key == ""):
			eachField(v.Field(i), visit)
		case !f.IsExported():
		default:
			if key == "" {
				key = strings.ToLower(f.Name)
			}
			visit(key, v.Field(i), f.Tag)
		}
	}
}

func fieldOf(v reflect.Value, key string) (field reflect.Value, ok bool) {
	eachField(v, func(k string, f reflect.Value, _ reflect.StructTag) {
		if k == key {
			field, ok = f, true
		}
	})
	return field, ok
}

// keysOf lists the keys of a struct.
func keysOf(t reflect.Type) []string {
	var keys []string
	eachField(reflect.New(t).Elem(), func(key string, _ reflect.Value, _ reflect.StructTag) { keys = append(keys, key) })
	return keys
}

func keysInWords(t reflect.Type) string {
	keys := keysOf(t)
	if len(keys) == 1 {
		return "the key " + keys[0]
	}
	return "the keys " + strings.Join(keys, ", ")
}

// fillDefaults sets what `default` tags say. A tag that cannot be right is a mistake in the program.
func fillDefaults(v reflect.Value) {
	if v.Kind() != reflect.Struct || readsText(v.Type()) {
		return
	}
	eachField(v, func(key string, field reflect.Value, tag reflect.StructTag) {
		text := tag.Get("default")
		switch {
		case text == "":
			fillDefaults(field)
		case field.Kind() == reflect.Slice && !readsText(field.Type()):
			for part := range strings.SplitSeq(text, ",") {
				elem := reflect.New(field.Type().Elem()).Elem()
				mustParse(elem, strings.TrimSpace(part), key)
				field.Set(reflect.Append(field, elem))
			}
		default:
			mustParse(field, text, key)
		}
	})
}

func mustParse(v reflect.Value, text, key string) {
	if err := parse(v, text); err != nil {
		panic(fmt.Sprintf("yamlfile: a tag of %s: %v", key, err))
	}
}

// checkTags holds a value to required, oneof, min and max, and says what would be allowed; empty when it is.
func checkTags(v reflect.Value, tag reflect.StructTag) string {
	if tag.Get("required") == "true" && v.IsZero() {
		return "it is needed"
	}
	if words := strings.Fields(tag.Get("oneof")); len(words) > 0 && v.Kind() == reflect.String && v.String() != "" && !slices.Contains(words, v.String()) {
		return "one of " + strings.Join(words, ", ")
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	least, most := tag.Get("min"), tag.Get("max")
	if least != "" && compare(v, least) < 0 || most != "" && compare(v, most) > 0 {
		switch {
		case most == "":
			return "at least " + least
		case least == "":
			return "at most " + most
		}
		return "from " + least + " to " + most
	}
	return ""
}

// compare is below, at or above zero as v, or its length, is below, at or above a bound.
func compare(v reflect.Value, bound string) int {
	counted := v.Kind() == reflect.String || v.Kind() == reflect.Slice || v.Kind() == reflect.Map
	b := reflect.New(v.Type()).Elem()
	if counted {
		b = reflect.New(reflect.TypeFor[int]()).Elem()
		length := reflect.New(b.Type()).Elem()
		length.SetInt(int64(v.Len()))
		v = length
	}
	mustParse(b, bound, v.Type().String())
	switch {
	case v.CanInt():
		return sign(v.Int() < b.Int(), v.Int() > b.Int())
	case v.CanUint():
		return sign(v.Uint() < b.Uint(), v.Uint() > b.Uint())
	case v.CanFloat():
		return sign(v.Float() < b.Float(), v.Float() > b.Float())
	}
	return 0
}

func sign(below, above bool) int {
	switch {
	case below:
		return -1
	case above:
		return 1
	}
	return 0
}

func readsText(t reflect.Type) bool {
	return t != reflect.TypeFor[config.Secret]() && reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// readsYAML reports whether a type has a way of its own.
func readsYAML(v reflect.Value) bool {
	switch v.Addr().Interface().(type) {
	case yaml.BytesUnmarshaler, yaml.InterfaceUnmarshaler, yaml.NodeUnmarshaler:
		return true
	}
	return false
}
