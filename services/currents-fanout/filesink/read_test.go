package filesink

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/parquet-go/parquet-go"
	"github.com/twmb/avro/ocf"
)

var sorted = cmpopts.SortSlices(func(a, b string) bool { return a < b })

// ids is what a reader with a glob and no knowledge of manifests sees: the ids of all events, doubles
// included, in order.
func ids(t testing.TB, dir string) []string {
	t.Helper()
	return idsOf(t, tree(t, dir))
}

func idsOf(t testing.TB, files map[string]string) (all []string) {
	t.Helper()
	for name, data := range files {
		switch {
		case strings.HasSuffix(name, ".parquet"):
			for _, row := range parquetRows(t, []byte(data)) {
				all = append(all, row["event_id"].(string))
			}
		case strings.HasSuffix(name, ".avro"):
			for _, row := range avroRows(t, []byte(data)) {
				all = append(all, row["event_id"].(string))
			}
		}
	}
	slices.Sort(all)
	return all
}

// parquetRows reads a file back, a row as a map of values: nil, bool, int32, int64, float64, string or
// []any of string and nil.
func parquetRows(t testing.TB, data []byte) (rows []map[string]any) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	columns := f.Schema().Columns()
	for _, group := range f.RowGroups() {
		r := group.Rows()
		buf := make([]parquet.Row, 16)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				m := map[string]any{}
				row.Range(func(i int, values []parquet.Value) bool {
					m[columns[i][0]] = plain(columns[i], values)
					return true
				})
				rows = append(rows, m)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r.Close()
	}
	return rows
}

func plain(path []string, values []parquet.Value) any {
	if len(path) > 1 { // a list
		if values[0].DefinitionLevel() == listNull {
			return nil
		}
		list := []any{}
		for _, v := range values {
			switch v.DefinitionLevel() {
			case listNullElement:
				list = append(list, nil)
			case listElement:
				list = append(list, string(v.ByteArray()))
			}
		}
		return list
	}
	v := values[0]
	switch {
	case v.IsNull():
		return nil
	case v.Kind() == parquet.ByteArray:
		return string(v.ByteArray())
	case v.Kind() == parquet.Boolean:
		return v.Boolean()
	case v.Kind() == parquet.Int32:
		return v.Int32()
	case v.Kind() == parquet.Int64:
		return v.Int64()
	}
	return v.Double()
}

func avroRows(t testing.TB, data []byte) (rows []map[string]any) {
	t.Helper()
	r, err := ocf.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		var row map[string]any
		err := r.Decode(&row)
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
}
