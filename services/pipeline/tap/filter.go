package tap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Filter says which records to show. Everything that is set must hold.
type Filter struct {
	Key    *string   // the record's key, exactly
	Since  time.Time // stamped then or later
	Until  time.Time // stamped before
	Fields []Field
}

// Field asks for a value somewhere in the record.
type Field struct {
	Path []string // such as event_name, or properties_json and order_id
	Want string
}

// ParseField reads "path.to.field=value".
func ParseField(text string) (Field, error) {
	path, want, ok := strings.Cut(text, "=")
	if !ok || path == "" {
		return Field{}, fmt.Errorf("%q: want NAME=VALUE, such as event_name=Signed Up or properties.order_id=A-1", text)
	}
	return Field{strings.Split(path, "."), want}, nil
}

// Record looks at what needs no decoding.
func (f Filter) Record(r *stream.Record) bool {
	switch {
	case f.Key != nil && (r.Key == nil || string(r.Key) != *f.Key),
		!f.Since.IsZero() && r.Timestamp.Before(f.Since),
		!f.Until.IsZero() && !r.Timestamp.Before(f.Until):
		return false
	}
	return true
}

// Line looks at the fields.
func (f Filter) Line(l Line) bool {
	if len(f.Fields) == 0 {
		return true
	}
	value, ok := parse(l.Value)
	if !ok {
		return false
	}
	for _, field := range f.Fields {
		if !matches(value, field.Path, field.Want) {
			return false
		}
	}
	return true
}

// parse reads JSON without making a float of any number.
func parse(text []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	return v, d.Decode(&v) == nil
}

// matches follows the path and compares what it finds. JSON that stands in a text field called
// *_json is looked into, and the ending may be left out of the path. Of a list any item will do.
func matches(v any, path []string, want string) bool {
	switch v := v.(type) {
	case map[string]any:
		if len(path) == 0 {
			return false
		}
		name := path[0]
		inner, ok := v[name]
		if !ok && len(path) > 1 {
			name += "_json"
			inner, ok = v[name]
		}
		if !ok {
			return false
		}
		if text, isText := inner.(string); isText && len(path) > 1 && strings.HasSuffix(name, "_json") {
			inner, ok = parse([]byte(text))
		}
		return ok && matches(inner, path[1:], want)
	case []any:
		if len(path) > 0 {
			if i, err := strconv.Atoi(path[0]); err == nil {
				return i >= 0 && i < len(v) && matches(v[i], path[1:], want)
			}
		}
		for _, item := range v {
			if matches(item, path, want) {
				return true
			}
		}
		return false
	case nil:
		return len(path) == 0 && want == "null"
	}
	return len(path) == 0 && fmt.Sprint(v) == want
}
