package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
)

// object is a JSON object of a schema; encoding/json sorts its keys, so equal schemas are equal bytes.
type object map[string]any

// durationPattern is what [time.ParseDuration] reads.
const durationPattern = `^(0|[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$`

// JSONSchema describes the YAML file of a C for editors, in JSON Schema draft 2020-12. No field of the
// outer mappings is required, since the environment may give it instead.
func JSONSchema[C any]() []byte {
	schema := declare(reflect.TypeFor[C]()).schema(false)
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(schema); err != nil {
		panic("config: encoding the schema: " + err.Error()) // maps, text and numbers only
	}
	return b.Bytes()
}

func (s *section) schema(inList bool) object {
	properties := object{}
	var required []string
	for _, e := range s.entries {
		if e.section != nil {
			properties[e.name] = e.section.schema(inList)
			continue
		}
		properties[e.name] = e.field.schema()
		if e.field.file {
			properties[e.name+"_file"] = object{"type": "string", "description": "name of a file that holds " + e.name}
		}
		if inList && e.field.required && !e.field.file {
			required = append(required, e.name)
		}
	}
	schema := object{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
	if inList {
		schema["type"] = "object"
	}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

func (f *field) schema() object {
	schema := f.shape(f.typ)
	description := f.doc
	if f.env != "" {
		description = sentence(description) + "Environment: " + f.env
		if f.file {
			description += " or " + f.env + "_FILE"
		}
	}
	if description != "" {
		schema["description"] = description
	}
	if f.def != "" && !f.secret {
		if value, err := f.parse(f.def); err == nil {
			schema["default"] = plain(value, f.elem)
		}
	}
	return schema
}

// shape is the schema of a value of the field, or of its elements.
func (f *field) shape(t reflect.Type) object {
	if t.Kind() == reflect.Slice && t == f.typ {
		var items object
		if f.elem != nil {
			items = f.elem.schema(true)
		} else {
			items = f.shape(t.Elem())
		}
		schema := object{"type": "array", "items": items}
		if readable(t) {
			schema["type"] = []string{"array", "string"}
		}
		return f.limit(schema, "minItems", "maxItems")
	}
	schema := object{}
	switch {
	case t == secretType:
		schema["type"], schema["writeOnly"] = "string", true
	case t == durationType:
		schema["type"], schema["pattern"] = "string", durationPattern
	case readsText(t):
		schema["type"] = []string{"string", "number"}
	case t.Kind() == reflect.String:
		schema["type"] = "string"
	case t.Kind() == reflect.Bool:
		schema["type"] = "boolean"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		schema["type"] = "number"
	default:
		schema["type"] = "integer"
	}
	if len(f.oneof) > 0 {
		schema["enum"] = f.choices(t)
	}
	switch {
	case t != f.typ || t == durationType: // no words for the length of a duration
		return schema
	case schema["type"] == "string":
		return f.limit(schema, "minLength", "maxLength")
	default:
		return f.limit(schema, "minimum", "maximum")
	}
}

func (f *field) limit(schema object, least, most string) object {
	if f.least.IsValid() {
		schema[least] = f.least.Interface()
	}
	if f.most.IsValid() {
		schema[most] = f.most.Interface()
	}
	return schema
}

// choices are the words of oneof, as numbers where the field is one.
func (f *field) choices(t reflect.Type) []any {
	var choices []any
	for _, word := range f.oneof {
		if n, err := strconv.ParseFloat(word, 64); err == nil && t.Kind() != reflect.String && t != durationType {
			choices = append(choices, n)
			continue
		}
		choices = append(choices, word)
	}
	return choices
}

// sentence ends a phrase so that another may follow.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return s + ". "
}
