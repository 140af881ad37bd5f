package avro

import (
	"encoding/json"
	"reflect"
)

// same reports whether two schemas put the same bytes on the wire and mean the same by them. It
// looks at names and types, logical types included, which the specification's canonical form leaves
// out; it does not look at docs, defaults, aliases and properties of our own.
func same(a, b string) bool {
	left, errA := normalise(a)
	right, errB := normalise(b)
	return errA == nil && errB == nil && reflect.DeepEqual(left, right)
}

// telling are the members of a schema that decide what bytes mean.
var telling = []string{"type", "name", "namespace", "fields", "items", "values", "symbols", "size", "logicalType", "precision", "scale"}

func normalise(text string) (any, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, err
	}
	return strip(v), nil
}

func strip(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
		return v
	case map[string]any:
		kept := map[string]any{}
		for _, k := range telling {
			if member, ok := v[k]; ok {
				kept[k] = strip(member)
			}
		}
		if len(kept) == 1 && kept["type"] != nil {
			return kept["type"] // {"type": "string"} is "string"
		}
		return kept
	}
	return v
}
