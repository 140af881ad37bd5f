package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// readable says whether parse knows the type.
func readable(t reflect.Type) bool {
	if readsText(t) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.Slice:
		return t.Elem().Kind() != reflect.Slice && readable(t.Elem())
	}
	return false
}

// parse reads the text of a default, a variable or a YAML scalar. Its error may quote the text.
func (f *field) parse(text string) (reflect.Value, error) {
	v := reflect.New(f.typ).Elem()
	return v, parseInto(v, text)
}

func parseInto(v reflect.Value, text string) error {
	if reader, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return reader.UnmarshalText([]byte(strings.TrimSpace(text)))
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Slice:
		return parseList(v, text)
	}
	text = strings.TrimSpace(text)
	if v.Type() == durationType {
		d, err := time.ParseDuration(text)
		v.SetInt(int64(d))
		return err
	}
	switch v.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		if x-x != 0 { // not a number, or infinite
			return strconv.ErrRange
		}
		v.SetFloat(x)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	default: // readable has seen to it that an integer is left
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return err
	}
}

// parseList reads a comma list; blanks around an element and empty elements do not count.
func parseList(v reflect.Value, text string) error {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := parseInto(elem, part); err != nil {
			return err
		}
		v.Set(reflect.Append(v, elem))
	}
	return nil
}

// bound reads a min or max tag: a value of the field's own type, or a length.
func (f *field) bound(text string) reflect.Value {
	if text == "" {
		return reflect.Value{}
	}
	v := reflect.New(f.typ).Elem()
	if f.counted() {
		v = reflect.New(reflect.TypeFor[int]()).Elem()
	}
	if err := parseInto(v, text); err != nil || f.text && !f.counted() {
		panic("config: min or max of " + f.path + " cannot be " + text)
	}
	return v
}

// counted says whether min and max concern a length.
func (f *field) counted() bool {
	return f.typ.Kind() == reflect.Slice || f.typ.Kind() == reflect.String && !f.text
}

// plain makes of a value what a report shows: text, numbers, booleans, lists and maps of these, with
// secrets as "set" or "unset".
func plain(v reflect.Value, elem *section) any {
	if v.Type() == secretType {
		return v.Interface().(Secret).String()
	}
	if v.Kind() == reflect.Struct && holdsSecret(v.Type()) { // fmt would print one in an unexported field
		if v.IsZero() {
			return Secret("").String()
		}
		return concealed("something").String()
	}
	if v.Kind() == reflect.Slice {
		list := make([]any, v.Len())
		for i := range list {
			if elem == nil {
				list[i] = plain(v.Index(i), nil)
				continue
			}
			object := map[string]any{}
			elem.each(func(f *field) {
				object[strings.TrimPrefix(f.path, elem.path+".")] = plain(f.get(v.Index(i)), f.elem)
			})
			list[i] = object
		}
		return list
	}
	switch value := v.Interface().(type) {
	case encoding.TextMarshaler:
		if text, err := value.MarshalText(); err == nil {
			return redactURLs(string(text))
		}
	case fmt.Stringer: // durations too
		return value.String()
	}
	if v.Kind() == reflect.String {
		return redactURLs(v.String())
	}
	if readsText(v.Type()) {
		return redactURLs(fmt.Sprint(v.Interface()))
	}
	return v.Interface()
}
