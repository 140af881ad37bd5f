package currents

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
)

// form says how the records of one file become JSON.
type form struct {
	typeName         string
	user, properties []place
}

// place is where a field of a record goes.
type place struct {
	field string // in the record
	name  string // in the JSON
	json  bool   // a text that is JSON
}

func newForm(root *avro.SchemaNode, typeName string) form {
	f := form{typeName: typeName}
	renamed := map[string]place{}
	if t, ok := Lookup(typeName); ok {
		for i := range t.Fields {
			if field := &t.Fields[i]; field.Only != HTTP {
				renamed[field.AvroName()] = place{field.AvroName(), field.Name, field.Kind == JSON}
			}
		}
	}
	for i := range root.Fields {
		name := root.Fields[i].Name
		to, ok := renamed[name]
		if !ok {
			to = place{field: name, name: name}
		}
		switch {
		case name == "id" || name == "time":
		case inUser(name):
			f.user = append(f.user, to)
		default:
			f.properties = append(f.properties, to)
		}
	}
	return f
}

// event is the JSON of a record.
func (f *form) event(record map[string]any) []byte {
	dst := append(make([]byte, 0, 1024), `{"event_type":`...)
	dst = appendText(dst, f.typeName)
	for _, name := range []string{"id", "time"} {
		if v := record[name]; v != nil {
			dst = append(dst, `,"`+name+`":`...)
			dst = appendValue(dst, v)
		}
	}
	dst = append(dst, `,"user":`...)
	dst = appendPlaces(dst, f.user, record)
	dst = append(dst, `,"properties":`...)
	dst = appendPlaces(dst, f.properties, record)
	return append(dst, '}')
}

func appendPlaces(dst []byte, places []place, record map[string]any) []byte {
	dst = append(dst, '{')
	for i := range places {
		p := &places[i]
		v := record[p.field]
		if v == nil {
			continue
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = appendText(dst, p.name)
		dst = append(dst, ':')
		if text, ok := v.(string); ok && p.json {
			dst = appendJSON(dst, text)
		} else {
			dst = appendValue(dst, v)
		}
	}
	return append(dst, '}')
}

// appendJSON appends the JSON that a text is, on one line, or the text where it is none.
func appendJSON(dst []byte, text string) []byte {
	one, err := jsontext.AppendFormat(dst, text, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true))
	if err != nil {
		return appendText(dst, text)
	}
	return one
}

// appendValue appends a value as Avro's decoder gives it. What JSON cannot say is null, as infinite
// numbers, or a text, as bytes, which are in base64.
func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...)
	case string:
		return appendText(dst, v)
	case bool:
		return strconv.AppendBool(dst, v)
	case int32:
		return strconv.AppendInt(dst, int64(v), 10)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case []byte:
		return appendText(dst, base64.StdEncoding.EncodeToString(v))
	case time.Time:
		return appendText(dst, v.UTC().Format(time.RFC3339Nano))
	case []any:
		dst = append(dst, '[')
		for i, element := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, element)
		}
		return append(dst, ']')
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendText(dst, name)
			dst = append(dst, ':')
			dst = appendValue(dst, v[name])
		}
		return append(dst, '}')
	}
	return appendText(dst, fmt.Sprint(v)) // logical types that no file of Braze's has
}

func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the error says that it put U+FFFD where something was no text
	return dst
}

func appendFloat(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if whole := math.Abs(f); whole != 0 && (whole < 1e-6 || whole >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, bits)
}
