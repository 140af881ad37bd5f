package filesink

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

type (
	avroRecord struct {
		Type      string      `json:"type"`
		Name      string      `json:"name"`
		Namespace string      `json:"namespace"`
		Fields    []avroField `json:"fields"`
	}
	avroField struct {
		Name    string `json:"name"`
		Type    any    `json:"type"`
		Default any    `json:"default,omitzero"`
	}
	avroType struct {
		Type    string `json:"type"`
		Logical string `json:"logicalType,omitzero"`
		Items   any    `json:"items,omitzero"`
	}
)

// null is the default of a field that may be null; a nil would be left out.
type null struct{}

// MarshalJSON is JSON's null.
func (null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// IsZero keeps it from being left out.
func (null) IsZero() bool { return false }

// avroSchema is the columns of a table as an Avro record.
func avroSchema(t *table) (*avro.Schema, error) {
	record := avroRecord{Type: "record", Name: t.name, Namespace: "io.sluice.files"}
	for _, c := range t.columns {
		f := avroField{Name: c.name, Type: avroOf(c.kind)}
		if !c.required {
			f.Type, f.Default = []any{"null", f.Type}, null{}
		}
		record.Fields = append(record.Fields, f)
	}
	js, err := json.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("writing the Avro schema of %s: %w", t.name, err)
	}
	s, err := avro.Parse(string(js))
	if err != nil {
		return nil, fmt.Errorf("reading the Avro schema of %s: %w", t.name, err)
	}
	return s, nil
}

func avroOf(k kind) any {
	switch k {
	case instant:
		return avroType{Type: "long", Logical: "timestamp-millis"}
	case int32s:
		return "int"
	case int64s:
		return "long"
	case doubles:
		return "double"
	case boolean:
		return "boolean"
	case texts:
		return avroType{Type: "array", Items: []string{"null", "string"}}
	case octets:
		return "bytes"
	case text, document:
	}
	return "string"
}

// avroCodec makes what compresses the blocks of files; it is shared by one file after another.
func avroCodec(compression string) (ocf.Codec, error) {
	switch compression {
	case compressZstd:
		c, err := ocf.ZstdCodec([]zstd.EOption{zstd.WithEncoderLevel(zstd.SpeedFastest)}, nil)
		if err != nil {
			return nil, fmt.Errorf("making a zstd encoder: %w", err)
		}
		return ocf.NopCloser(c), nil
	case compressSnappy:
		return ocf.SnappyCodec(), nil
	}
	return nil, nil
}

// avroFile writes one object container file after another.
type avroFile struct {
	codec ocf.Codec // nil for none

	table *table
	w     *ocf.Writer
	datum []byte
}

// begin opens a file. The marker between its blocks is no random one, as it is elsewhere, but given: a
// file that is written again has to have the same bytes.
func (f *avroFile) begin(out io.Writer, t *table, marker [16]byte) error {
	options := []ocf.WriterOpt{ocf.WithSyncMarker(marker), ocf.WithBlockBytes(256 << 10)}
	if f.codec != nil {
		options = append(options, ocf.WithCodec(f.codec))
	}
	w, err := ocf.NewWriter(out, t.avro, options...)
	if err != nil {
		return fmt.Errorf("beginning an Avro file: %w", err)
	}
	f.table, f.w = t, w
	return nil
}

// add writes a row.
func (f *avroFile) add(r *row) error {
	f.datum = f.datum[:0]
	for i := range f.table.columns {
		c, v := &f.table.columns[i], &r.cells[i]
		if !c.required {
			if !v.ok {
				f.datum = append(f.datum, 0)
				continue
			}
			f.datum = append(f.datum, 2) // the second branch, zigzag
		}
		f.datum = appendDatum(f.datum, c.kind, v, r.elements)
	}
	if _, err := f.w.Write(f.datum); err != nil {
		return fmt.Errorf("encoding a row: %w", err)
	}
	return nil
}

func appendDatum(b []byte, k kind, v *cell, elements []element) []byte {
	switch k {
	case text, document, octets:
		b = binary.AppendVarint(b, int64(len(v.text)))
		return append(b, v.text...)
	case instant, int32s, int64s:
		return binary.AppendVarint(b, int64(v.bits))
	case doubles:
		return binary.LittleEndian.AppendUint64(b, v.bits)
	case boolean:
		return append(b, byte(v.bits))
	case texts:
		if v.bits > 0 {
			b = binary.AppendVarint(b, int64(v.bits))
			for _, e := range elements[v.from : int(v.from)+int(v.bits)] {
				if e == nil {
					b = append(b, 0)
					continue
				}
				b = binary.AppendVarint(append(b, 2), int64(len(e)))
				b = append(b, e...)
			}
		}
		return append(b, 0)
	}
	return b
}

// end writes the last block.
func (f *avroFile) end() error {
	w := f.w
	f.w = nil
	if err := w.Close(); err != nil {
		return fmt.Errorf("ending a file: %w", err)
	}
	return nil
}
