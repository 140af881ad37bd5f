package feed

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table makes rows of fields by the names in the first line.
type table struct {
	meter *meter
	names []string
	n     int // of the line, or record
	// fields reads the next ones; whole is false of a last line that has no end.
	fields func() (values []string, whole bool, err error)
}

func newCSV(r io.Reader, m *meter) (*table, error) {
	end := &tail{from: r}
	c := csv.NewReader(end)
	c.FieldsPerRecord = -1
	return newTable(m, func() ([]string, bool, error) {
		values, err := c.Read()
		return values, end.last == '\n' || !end.over || c.InputOffset() < end.n, err
	})
}

// newTSV reads lines with tabs between fields. Nothing is quoted there (google merchant: text), but what
// exports them often does all the same, so that quotes around a whole field are taken off; a quote elsewhere,
// as of inches, is a quote.
func newTSV(r io.Reader, m *meter) (*table, error) {
	b := bufio.NewReader(r)
	return newTable(m, func() ([]string, bool, error) {
		line, err := readLine(b)
		if err != nil {
			return nil, false, err
		}
		text, whole := strings.CutSuffix(string(line), "\n")
		values := strings.Split(strings.TrimSuffix(text, "\r"), "\t")
		for i, v := range values {
			if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
				values[i] = strings.ReplaceAll(v[1:len(v)-1], `""`, `"`)
			}
		}
		return values, whole, nil
	})
}

func newTable(m *meter, fields func() ([]string, bool, error)) (*table, error) {
	t := &table{meter: m, fields: fields}
	names, _, err := fields()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: there is not even a line of names", ErrCutOff)
	case err != nil:
		return nil, cutOff(fmt.Errorf("reading the line of names: %w", err))
	case len(names) > maxFields:
		return nil, errFields
	}
	for _, name := range names {
		name = attribute(name)
		if !utf8.ValidString(name) {
			return nil, errNotUTF8
		}
		if strings.ContainsFunc(name, unicode.IsControl) {
			return nil, errors.New("the name of a column has control characters: it is no table")
		}
		if name != "" && slices.Contains(t.names, name) {
			return nil, fmt.Errorf("two columns are called %q", clipped(name))
		}
		t.names = append(t.names, name)
	}
	return t, nil
}

var errNotUTF8 = errors.New("it is not UTF-8")

// Next is part of [Reader].
func (t *table) Next() (map[string]any, error) {
	for {
		t.meter.next()
		values, whole, err := t.fields()
		t.n++
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case errors.Is(err, csv.ErrQuote) && !whole:
			return nil, fmt.Errorf("%w: a quotation does not end", ErrCutOff)
		case err != nil:
			return nil, cutOff(fmt.Errorf("reading row %d: %w", t.n, err))
		case len(values) == 1 && strings.TrimSpace(values[0]) == "" && len(t.names) > 1: // a line of nothing
			continue
		case len(values) > len(t.names):
			return nil, fmt.Errorf("row %d has %d fields, and there are %d names", t.n, len(values), len(t.names))
		case len(values) < len(t.names) && !whole:
			return nil, fmt.Errorf("%w: the last row has %d of %d fields", ErrCutOff, len(values), len(t.names))
		}
		return t.row(values)
	}
}

func (t *table) row(values []string) (map[string]any, error) {
	row := make(map[string]any, len(values))
	for i, v := range values {
		v = strings.TrimSpace(v)
		name := t.names[i]
		switch {
		case v == "" || name == "":
		case !utf8.ValidString(v):
			return nil, fmt.Errorf("reading row %d: %w", t.n, errNotUTF8)
		case slices.Contains(separated, name):
			for one := range strings.SplitSeq(v, ",") {
				if one = strings.TrimSpace(one); one != "" {
					add(row, name, one)
				}
			}
		default:
			add(row, name, v)
		}
	}
	return row, nil
}

// tail remembers how what is read ends.
type tail struct {
	from io.Reader
	n    int64
	last byte
	over bool
}

// Read is part of [io.Reader].
func (t *tail) Read(p []byte) (int, error) {
	n, err := t.from.Read(p)
	if n > 0 {
		t.n, t.last = t.n+int64(n), p[n-1]
	}
	t.over = t.over || errors.Is(err, io.EOF)
	return n, err
}
