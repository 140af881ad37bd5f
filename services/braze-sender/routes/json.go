package routes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

// parseJSON makes the plain tree that jq works on: every number a json.Number, so that none of its
// digits is lost. Of a name that comes twice the last counts, as it does to Braze.
func parseJSON(text []byte) (any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	v, err := parseNext(d, 0)
	if err != nil {
		return nil, err
	}
	if d.InputOffset() < int64(len(text)) && len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		return nil, errors.New("something follows the JSON value")
	}
	return v, nil
}

// maxDepth is how deep JSON may be nested on its way in and on its way out, as in pkg/braze.
const maxDepth = 128

var errDeep = fmt.Errorf("nested more than %d levels deep", maxDepth)

func parseNext(d *jsontext.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	tok, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	switch tok.Kind() {
	case 't', 'f':
		return tok.Bool(), nil
	case '"':
		return tok.String(), nil
	case '0':
		return json.Number(tok.String()), nil
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			item, err := parseNext(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		_, err := d.ReadToken()
		return list, err
	case '{':
		members := map[string]any{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if members[key], err = parseNext(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.ReadToken()
		return members, err
	}
	return nil, nil // null
}

// writer makes JSON of what a jq program answers, up to a size. The first thing that is wrong sticks.
type writer struct {
	dst []byte
	max int
	bad error
}

// encode is v as JSON of at most so many bytes, the names of objects sorted.
func encode(v any, most int) ([]byte, error) {
	w := writer{max: most}
	w.value(v, 0)
	if w.bad != nil {
		return nil, w.bad
	}
	return w.dst, nil
}

// appendValue appends a value that is known to be small and in order.
func appendValue(dst []byte, v any) []byte {
	w := writer{dst: dst, max: math.MaxInt}
	w.value(v, 0)
	return w.dst
}

func (w *writer) value(v any, depth int) {
	switch {
	case w.bad != nil:
		return
	case depth > maxDepth:
		w.bad = errDeep
		return
	case len(w.dst) > w.max:
		w.bad = fmt.Errorf("larger than the %d bytes that Braze takes", w.max)
		return
	}
	switch v := v.(type) {
	case nil:
		w.dst = append(w.dst, "null"...)
	case bool:
		w.dst = strconv.AppendBool(w.dst, v)
	case int:
		w.dst = strconv.AppendInt(w.dst, int64(v), 10)
	case float64:
		w.float(v)
	case *big.Int:
		w.dst = v.Append(w.dst, 10)
	case json.Number:
		w.dst = append(w.dst, v...)
	case string:
		w.dst = appendString(w.dst, v)
	case []any:
		w.list(v, depth)
	case map[string]any:
		w.members(v, depth)
	default:
		w.bad = fmt.Errorf("a value of type %T is no JSON", v)
	}
	if len(w.dst) > w.max && w.bad == nil {
		w.bad = fmt.Errorf("larger than the %d bytes that Braze takes", w.max)
	}
}

func (w *writer) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		w.bad = errors.New("a number is infinite or none at all")
		return
	}
	if math.Abs(f) < 1e15 {
		w.dst = strconv.AppendFloat(w.dst, f, 'f', -1, 64) // 0.1 and 12.5, not 1e-01
		return
	}
	w.dst = strconv.AppendFloat(w.dst, f, 'e', -1, 64)
}

func (w *writer) list(list []any, depth int) {
	w.dst = append(w.dst, '[')
	for i, item := range list {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		if w.value(item, depth+1); w.bad != nil {
			return
		}
	}
	w.dst = append(w.dst, ']')
}

func (w *writer) members(members map[string]any, depth int) {
	o := object{dst: append(w.dst, '{')}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		o.name(name)
		w.dst = o.dst
		if w.value(members[name], depth+1); w.bad != nil {
			return
		}
		o.dst = w.dst
	}
	w.dst = append(o.dst, '}')
}

// object appends the members of a JSON object, leaving out those that are empty.
type object struct {
	dst  []byte
	more bool
}

func (o *object) name(name string) {
	if o.more {
		o.dst = append(o.dst, ',')
	}
	o.more = true
	o.dst = append(appendString(o.dst, name), ':')
}

func (o *object) text(name, value string) {
	if value != "" {
		o.name(name)
		o.dst = appendString(o.dst, value)
	}
}

func (o *object) raw(name string, value []byte) {
	if len(value) > 0 {
		o.name(name)
		o.dst = append(o.dst, value...)
	}
}

func appendString(dst []byte, s string) []byte { return braze.AppendString(dst, s) }
