package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/jsontree"
)

// Bounds of what is written. Salesforce's longest text is 131,072 characters.
const (
	largestFields = 256 << 10
	mostFields    = 500
)

var errLarge = fmt.Errorf("the fields are larger than %d bytes together", largestFields)

// encode appends a value that came out of jq, or of jsontree, as JSON: the names of objects sorted, numbers with the
// digits that they have.
func encode(dst []byte, v any) ([]byte, error) { return encoded(dst, v, 0) }

func encoded(dst []byte, v any, depth int) ([]byte, error) {
	if depth > jsontree.MaxDepth {
		return dst, jsontree.ErrTooDeep
	}
	if len(dst) > largestFields {
		return dst, errLarge
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case float64:
		return appendFloat(dst, v)
	case *big.Int:
		return v.Append(dst, 10), nil
	case json.Number:
		return append(dst, v...), nil
	case string:
		return appendText(dst, v), nil
	case []any:
		dst = append(dst, '[')
		for i, item := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = encoded(dst, item, depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, name), ':')
			var err error
			if dst, err = encoded(dst, v[name], depth+1); err != nil {
				return dst, err
			}
		}
		return append(dst, '}'), nil
	}
	return dst, fmt.Errorf("a value of type %T is no JSON", v)
}

func appendFloat(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return dst, errors.New("a number is infinite or none at all")
	}
	if math.Abs(f) < 1e15 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil // 0.1 and 12.5, not 1e-01
	}
	return strconv.AppendFloat(dst, f, 'e', -1, 64), nil
}

func appendText(dst []byte, s string) []byte {
	dst, _ = jsontext.AppendQuote(dst, s) // the error is of what is not UTF-8, which is replaced
	return dst
}
