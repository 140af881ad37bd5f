package registry

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
)

// MaxSchemaBytes is the longest schema text taken. The longest honest ones have a tenth of it.
const MaxSchemaBytes = 1 << 20

const (
	// maxNesting bounds the JSON brackets around anything in a schema; a record in a record takes
	// three.
	maxNesting = 200
	// maxRecordDefaults bounds the JSON objects in the defaults of fields. A default of {} stands for
	// every field of its record, whose defaults stand for theirs: with two such fields a level, sixty
	// levels are 2⁶⁰ values, and the parser sets out to make them.
	maxRecordDefaults = 20
)

// ParseSchema reads an Avro schema that may come from anywhere. Beyond what Avro forbids it refuses
// what is too long or too deep, what names a key twice (readers disagree on which counts), and what
// is small but unfolds without end.
func ParseSchema(text string) (*avro.Schema, error) {
	if len(text) > MaxSchemaBytes {
		return nil, fmt.Errorf("parsing schema: %d bytes, at most %d are taken", len(text), MaxSchemaBytes)
	}
	tree, err := parseTree(text)
	if err != nil {
		return nil, fmt.Errorf("parsing schema: %w", err)
	}
	if n := recordDefaults(tree); n > maxRecordDefaults {
		return nil, fmt.Errorf("parsing schema: %d objects in defaults, at most %d are taken", n, maxRecordDefaults)
	}
	schema, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing schema: %w", err)
	}
	return schema, nil
}

// parseTree reads one JSON value as map[string]any, []any, json.Number, string, bool or nil.
func parseTree(text string) (any, error) {
	dec := jsontext.NewDecoder(strings.NewReader(text)) // refuses a key given twice and broken UTF-8
	tree, err := readTree(dec)
	if err != nil {
		return nil, err
	}
	if tok, err := dec.ReadToken(); err == nil {
		return nil, fmt.Errorf("a second value after the schema: %s", tok.Kind())
	}
	return tree, nil
}

func readTree(dec *jsontext.Decoder) (any, error) {
	tok, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if dec.StackDepth() > maxNesting {
		return nil, fmt.Errorf("nested deeper than %d", maxNesting)
	}
	switch tok.Kind() {
	case '{':
		object := make(map[string]any)
		for dec.PeekKind() != '}' {
			key, err := dec.ReadToken()
			if err != nil {
				return nil, err
			}
			name := key.String() // before the next read, which reuses the token's bytes
			if object[name], err = readTree(dec); err != nil {
				return nil, err
			}
		}
		_, err = dec.ReadToken()
		return object, err
	case '[':
		array := []any{}
		for dec.PeekKind() != ']' {
			item, err := readTree(dec)
			if err != nil {
				return nil, err
			}
			array = append(array, item)
		}
		_, err = dec.ReadToken()
		return array, err
	case '"':
		return tok.String(), nil
	case '0':
		return json.Number(tok.String()), nil
	case 't', 'f':
		return tok.Bool(), nil
	default:
		return nil, nil
	}
}

// recordDefaults counts the JSON objects in the defaults of all fields, but for the empty map.
func recordDefaults(tree any) int {
	n := 0
	switch t := tree.(type) {
	case []any:
		for _, item := range t {
			n += recordDefaults(item)
		}
	case map[string]any:
		if d, ok := t["default"]; ok && !emptyMap(t["type"], d) {
			n += objects(d)
		}
		for key, value := range t {
			if key != "default" {
				n += recordDefaults(value)
			}
		}
	}
	return n
}

func emptyMap(fieldType, value any) bool {
	object, ok := value.(map[string]any)
	t, isType := fieldType.(map[string]any)
	return ok && len(object) == 0 && isType && t["type"] == "map"
}

func objects(value any) int {
	n := 0
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			n += objects(item)
		}
	case map[string]any:
		n = 1
		for _, item := range v {
			n += objects(item)
		}
	}
	return n
}

// Canonical is the text that stands for every way to write the same schema: without white space, with
// attributes in one order, primitive types bare and names in full where they are referred to. Unlike
// Avro's own canonical form it keeps docs, defaults, aliases, logical types and other properties: to a
// registry a schema that differs in one of them is another schema.
func Canonical(text string) (string, error) {
	if _, err := ParseSchema(text); err != nil {
		return "", err
	}
	tree, err := parseTree(text)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	writeType(&b, tree, "")
	return b.String(), nil
}

var primitives = []string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}

// attributes is the order in which a type's or a field's known attributes are written; the others
// follow by name.
var attributes = []string{"type", "name", "namespace", "doc", "aliases", "logicalType", "precision", "scale", "size", "symbols", "items", "values", "fields", "default"}

// writeType writes a schema that stands in a namespace.
func writeType(b *bytes.Buffer, t any, namespace string) {
	switch t := t.(type) {
	case string:
		if !slices.Contains(primitives, t) {
			t = fullName(t, namespace)
		}
		writeValue(b, t)
	case []any:
		writeList(b, t, func(branch any) { writeType(b, branch, namespace) })
	case map[string]any:
		writeComplex(b, t, namespace)
	default:
		writeValue(b, t)
	}
}

func writeComplex(b *bytes.Buffer, t map[string]any, namespace string) {
	kind, _ := t["type"].(string)
	if len(t) == 1 && t["type"] != nil { // {"type": X} is X
		writeType(b, t["type"], namespace)
		return
	}
	named := slices.Contains([]string{"record", "error", "enum", "fixed"}, kind)
	if named {
		name, _ := t["name"].(string)
		own, has := t["namespace"].(string)
		if strings.Contains(name, ".") || !has {
			own = namespace
		}
		full := fullName(name, own)
		namespace = full[:max(0, strings.LastIndexByte(full, '.'))]
		t = maps.Clone(t)
		t["name"] = full
		delete(t, "namespace")
	}
	writeObject(b, t, func(key string, value any) {
		switch {
		case key == "type" && !named && kind != "array" && kind != "map":
			writeType(b, value, namespace)
		case key == "items", key == "values":
			writeType(b, value, namespace)
		case key == "fields" && named:
			fields, _ := value.([]any)
			writeList(b, fields, func(field any) { writeField(b, field, namespace) })
		default:
			writeValue(b, value)
		}
	})
}

func writeField(b *bytes.Buffer, field any, namespace string) {
	f, ok := field.(map[string]any)
	if !ok {
		writeValue(b, field)
		return
	}
	if f["order"] == "ascending" { // the default
		f = maps.Clone(f)
		delete(f, "order")
	}
	writeObject(b, f, func(key string, value any) {
		if key == "type" {
			writeType(b, value, namespace)
			return
		}
		writeValue(b, value)
	})
}

// fullName is a name as it is known outside its namespace.
func fullName(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

func writeObject(b *bytes.Buffer, object map[string]any, value func(key string, value any)) {
	rank := func(key string) int {
		if i := slices.Index(attributes, key); i >= 0 {
			return i
		}
		return len(attributes)
	}
	keys := slices.SortedFunc(maps.Keys(object), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b))
	})
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		writeValue(b, key)
		b.WriteByte(':')
		value(key, object[key])
	}
	b.WriteByte('}')
}

func writeList(b *bytes.Buffer, list []any, item func(any)) {
	b.WriteByte('[')
	for i, each := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		item(each)
	}
	b.WriteByte(']')
}

// writeValue writes a JSON value that is no schema; its objects are sorted by key.
func writeValue(b *bytes.Buffer, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // parseTree makes nothing that cannot be marshalled
	}
	b.Write(text)
}
