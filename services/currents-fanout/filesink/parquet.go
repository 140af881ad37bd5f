package filesink

import (
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/snappy"
	"github.com/parquet-go/parquet-go/compress/uncompressed"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// inOrder is a group whose columns stand as we name them; the library's own sorts them by name.
type inOrder struct {
	parquet.Group
	names []string
}

// Fields is the columns in order.
func (g inOrder) Fields() []parquet.Field {
	sorted := g.Group.Fields()
	at := make(map[string]parquet.Field, len(sorted))
	for _, f := range sorted {
		at[f.Name()] = f
	}
	fields := make([]parquet.Field, len(g.names))
	for i, name := range g.names {
		fields[i] = at[name]
	}
	return fields
}

// parquetSchema is the columns of a table as Parquet has them: standard logical types, three-level
// lists, dictionaries where values come again.
func parquetSchema(t *table) *parquet.Schema {
	root := inOrder{Group: parquet.Group{}}
	for _, c := range t.columns {
		root.names = append(root.names, c.name)
		root.Group[c.name] = parquetNode(c)
	}
	return parquet.NewSchema(t.name, root)
}

func parquetNode(c column) parquet.Node {
	var n parquet.Node
	switch c.kind {
	case text, document:
		n = parquet.String()
	case instant:
		n = parquet.Timestamp(parquet.Millisecond)
	case int32s:
		n = parquet.Leaf(parquet.Int32Type)
	case int64s:
		n = parquet.Leaf(parquet.Int64Type)
	case doubles:
		n = parquet.Leaf(parquet.DoubleType)
	case boolean:
		n = parquet.Leaf(parquet.BooleanType)
	case texts:
		return parquet.Optional(parquet.List(parquet.Optional(parquet.Encoded(parquet.String(), &parquet.RLEDictionary))))
	case octets:
		n = parquet.Leaf(parquet.ByteArrayType)
	}
	if c.kind == text && !c.distinct {
		n = parquet.Encoded(n, &parquet.RLEDictionary)
	} else {
		n = parquet.Encoded(n, &parquet.Plain)
	}
	if c.required {
		return n
	}
	return parquet.Optional(n)
}

// Definition levels of a list that may be null and so may its elements.
const (
	listNull = iota
	listEmpty
	listNullElement
	listElement
)

// rowsAtOnce is how many rows are given to the library together: column by column, which spares it
// from taking rows apart again.
const rowsAtOnce = 512

func parquetCodec(compression string) compress.Codec {
	switch compression {
	case compressZstd:
		return &zstd.Codec{Level: zstd.SpeedFastest}
	case compressSnappy:
		return &snappy.Codec{}
	}
	return &uncompressed.Codec{}
}

// parquetFile writes one file after another.
type parquetFile struct {
	codec  compress.Codec
	group  int // rows of a row group
	values [][]parquet.Value
	nulls  []parquet.Value // of each column, which are most values

	table   *table
	w       *parquet.GenericWriter[any]
	columns []*parquet.ColumnWriter
	waiting int // rows in values
	grouped int // rows of the row group that are with the library
}

func writerOptions(t *table, codec compress.Codec) []parquet.WriterOption {
	return []parquet.WriterOption{
		t.parquet,
		parquet.Compression(codec),
		parquet.CreatedBy("sluice", "1", ""),
		parquet.DictionaryMaxBytes(1 << 20),
		parquet.PageBufferSize(128 << 10),
		parquet.SkipPageBounds(eventJSON),
	}
}

// begin opens a file.
func (f *parquetFile) begin(out io.Writer, t *table) {
	f.table, f.waiting, f.grouped = t, 0, 0
	f.w = parquet.NewGenericWriter[any](out, writerOptions(t, f.codec)...)
	f.columns = f.w.ColumnWriters()
	for i := len(f.values); i < len(t.columns); i++ {
		f.values = append(f.values, nil)
		f.nulls = append(f.nulls, parquet.Value{}.Level(0, 0, i))
	}
	for i := range f.values {
		f.values[i] = f.values[i][:0]
	}
}

// add takes a row. What its text points to has to stay until flush.
func (f *parquetFile) add(r *row) (full bool) {
	for i := range f.table.columns {
		if !r.cells[i].ok {
			f.values[i] = append(f.values[i], f.nulls[i])
			continue
		}
		f.values[i] = appendValue(f.values[i], &f.table.columns[i], i, &r.cells[i], r.elements)
	}
	f.waiting++
	return f.waiting == rowsAtOnce || f.grouped+f.waiting == f.group
}

func appendValue(to []parquet.Value, c *column, i int, v *cell, elements []element) []parquet.Value {
	if c.kind == texts {
		return appendList(to, i, v, elements)
	}
	if !v.ok {
		return append(to, parquet.Value{}.Level(0, 0, i))
	}
	var value parquet.Value
	switch c.kind {
	case text, document, octets:
		value = parquet.ByteArrayValue(v.text)
	case instant, int64s:
		value = parquet.Int64Value(int64(v.bits))
	case int32s:
		value = parquet.Int32Value(int32(v.bits))
	case doubles:
		value = parquet.DoubleValue(math.Float64frombits(v.bits))
	case boolean:
		value = parquet.BooleanValue(v.bits == 1)
	case texts:
	}
	defined := 1
	if c.required {
		defined = 0
	}
	return append(to, value.Level(0, defined, i))
}

func appendList(to []parquet.Value, i int, v *cell, elements []element) []parquet.Value {
	switch {
	case !v.ok:
		return append(to, parquet.Value{}.Level(0, listNull, i))
	case v.bits == 0:
		return append(to, parquet.Value{}.Level(0, listEmpty, i))
	}
	for n, e := range elements[v.from : int(v.from)+int(v.bits)] {
		repeated := min(n, 1)
		if e == nil {
			to = append(to, parquet.Value{}.Level(repeated, listNullElement, i))
		} else {
			to = append(to, parquet.ByteArrayValue(e).Level(repeated, listElement, i))
		}
	}
	return to
}

// flush hands the waiting rows to the library, which copies what it keeps.
func (f *parquetFile) flush() error {
	for i := range f.table.columns {
		if len(f.values[i]) == 0 {
			continue
		}
		if _, err := f.columns[i].WriteRowValues(f.values[i]); err != nil {
			return fmt.Errorf("encoding column %s: %w", f.table.columns[i].name, err)
		}
		clear(f.values[i]) // else they would keep the events of the last stretch in memory
		f.values[i] = f.values[i][:0]
	}
	f.grouped += f.waiting
	f.waiting = 0
	if f.grouped >= f.group {
		f.grouped = 0
		if err := f.w.Flush(); err != nil {
			return fmt.Errorf("ending a row group: %w", err)
		}
	}
	return nil
}

// end writes what is left, and the footer.
func (f *parquetFile) end() error {
	if err := f.flush(); err != nil {
		return err
	}
	w := f.w
	f.w, f.columns = nil, nil
	if err := w.Close(); err != nil {
		return fmt.Errorf("ending a file: %w", err)
	}
	return nil
}
