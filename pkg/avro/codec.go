package avro

import (
	"fmt"

	"github.com/linkedin/goavro/v2"
)

// Codec encodes and decodes the records of one schema from and to maps. It is the codec of record,
// and fast enough for everything but the hot path. It may be shared.
type Codec struct {
	id    int
	codec *goavro.Codec
}

// NewCodec compiles a schema that has the given id in the registry.
func NewCodec(text string, id int) (*Codec, error) {
	c, err := goavro.NewCodec(text)
	if err != nil {
		return nil, fmt.Errorf("compiling schema %d: %w", id, err)
	}
	return &Codec{id, c}, nil
}

// Append appends header and body of a record. The map must name every field: one that the schema
// does not know is silently left out by the codec beneath, which tests of each record guard against.
func (c *Codec) Append(dst []byte, record map[string]any) ([]byte, error) {
	out, err := c.codec.BinaryFromNative(AppendHeader(dst, c.id), record)
	if err != nil {
		return dst, fmt.Errorf("encoding record: %w", err)
	}
	return out, nil
}

// Decode reads the body of a record that was written with exactly this schema.
func (c *Codec) Decode(body []byte) (map[string]any, error) {
	native, rest, err := c.codec.NativeFromBinary(body)
	if err != nil {
		return nil, &Unreadable{Reason: "undecodable", Detail: err.Error()}
	}
	if len(rest) > 0 {
		return nil, &Unreadable{Reason: "undecodable", Detail: "bytes are left over behind the last field"}
	}
	record, ok := native.(map[string]any)
	if !ok {
		return nil, &Unreadable{Reason: "incompatible_schema", Detail: "the schema's top level is not a record"}
	}
	return record, nil
}

// Opt wraps a value for a union ["null", branch]; the zero value of its type becomes null.
func Opt[T comparable](branch string, v T) any {
	var zero T
	if v == zero {
		return nil
	}
	return map[string]any{branch: v}
}

// OptBlob wraps bytes for a union ["null", "bytes"]; nil becomes null.
func OptBlob(b []byte) any {
	if b == nil {
		return nil
	}
	return map[string]any{"bytes": b}
}

// Unwrap takes a nullable value out of its union; null is the zero value.
func Unwrap[T any](v any) T {
	var zero T
	union, ok := v.(map[string]any)
	if !ok {
		return zero
	}
	for _, inner := range union {
		if t, ok := inner.(T); ok {
			return t
		}
	}
	return zero
}
