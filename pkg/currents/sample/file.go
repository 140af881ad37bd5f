package sample

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"

	"github.com/sluicehq/sluice/pkg/currents"
)

// Schema is the Avro schema that Currents' files of a type have, after the catalogue.
func Schema(t *currents.Type) string {
	at := strings.LastIndexByte(t.Name, '.')
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"record","name":%q,"namespace":%q,"fields":[{"name":"id","type":"string"},{"name":"time","type":%q}`,
		t.Name[at+1:], "dataexport.S3.inner."+t.Name[:at], t.Time)
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Only == currents.HTTP {
			continue
		}
		kind := strconv.Quote(string(f.Kind))
		switch f.Kind {
		case currents.JSON:
			kind = `"string"`
		case currents.Strings:
			kind = `{"type":"array","items":["null","string"]}`
		default:
		}
		if f.Required {
			fmt.Fprintf(&b, `,{"name":%q,"type":%s}`, f.AvroName(), kind)
		} else {
			fmt.Fprintf(&b, `,{"name":%q,"type":["null",%s],"default":null}`, f.AvroName(), kind)
		}
	}
	b.WriteString("]}")
	return b.String()
}

// File writes events of one type, as [Event] makes them, as an Avro file of Currents. What such files
// have no field for is left out, and what they require and the event lacks is empty.
func File(w io.Writer, typeName string, events ...[]byte) error {
	t, ok := currents.Lookup(typeName)
	if !ok {
		return fmt.Errorf("writing a file of %s: no such type", typeName)
	}
	schema, err := avro.Parse(Schema(&t))
	if err != nil {
		return fmt.Errorf("writing a file of %s: %w", typeName, err)
	}
	file, err := ocf.NewWriter(w, schema)
	if err != nil {
		return fmt.Errorf("writing a file of %s: %w", typeName, err)
	}
	for i, raw := range events {
		record, err := flat(&t, raw)
		if err == nil {
			err = file.Encode(record)
		}
		if err != nil {
			return fmt.Errorf("writing a file of %s: event %d: %w", typeName, i, err)
		}
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("writing a file of %s: %w", typeName, err)
	}
	return nil
}

// flat is an event as a record.
func flat(t *currents.Type, raw []byte) (map[string]any, error) {
	var e struct {
		ID         string                    `json:"id"`
		Time       int64                     `json:"time"`
		User       map[string]jsontext.Value `json:"user"`
		Properties map[string]jsontext.Value `json:"properties"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, err
	}
	record := map[string]any{"id": e.ID, "time": e.Time}
	for i := range t.Fields {
		f := &t.Fields[i]
		if f.Only == currents.HTTP {
			continue
		}
		from := e.Properties
		if f.In == currents.InUser {
			from = e.User
		}
		v, err := native(f, from[f.Name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		record[f.AvroName()] = v
	}
	return record, nil
}

// native is a field's value as Avro's encoder takes it.
func native(f *currents.Field, value jsontext.Value) (any, error) {
	if missing := len(value) == 0 || string(value) == "null"; missing && !f.Required {
		return nil, nil
	} else if missing {
		value = jsontext.Value(map[currents.Kind]string{
			currents.String: `""`, currents.Boolean: "false", currents.Strings: "[]", currents.JSON: "{}",
		}[f.Kind])
		if len(value) == 0 {
			value = jsontext.Value("0")
		}
	}
	switch f.Kind {
	case currents.JSON:
		return string(bytes.TrimSpace(value)), nil
	case currents.Boolean:
		return unmarshal[bool](value)
	case currents.Int:
		return unmarshal[int32](value)
	case currents.Long:
		return unmarshal[int64](value)
	case currents.Float:
		return unmarshal[float32](value)
	case currents.Double:
		return unmarshal[float64](value)
	case currents.Strings:
		return unmarshal[[]any](value)
	case currents.String:
	}
	return unmarshal[string](value)
}

func unmarshal[T any](value jsontext.Value) (any, error) {
	var v T
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, err
	}
	return v, nil
}
