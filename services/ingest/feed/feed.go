// Package feed reads feeds of products row by row, in bounded memory whatever their size: Google Merchant's
// XML (RSS 2.0 and Atom 1.0), tables with a header (CSV, TSV), and JSON by lines. Any of them may be
// compressed by gzip; texts may be UTF-16 where a byte order mark says so.
//
// A feed is a snapshot, so that a row which is not there counts as gone. What matters most is therefore to
// know a feed that is cut off from one that has ended: [Reader.Next] returns io.EOF only behind a whole one.
package feed

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Format is what a feed is written in.
type Format string

// The formats there are.
const (
	XML  Format = "xml"   // Google Merchant's, RSS or Atom
	CSV  Format = "csv"   // RFC 4180
	TSV  Format = "tsv"   // tabs between fields
	JSON Format = "jsonl" // an object on each line
)

// Formats are all of them.
func Formats() []Format { return []Format{XML, CSV, TSV, JSON} }

// Reader reads a feed's rows.
type Reader interface {
	// Next returns the next row, as programs take it: texts by name, without those that are empty; a list
	// where a name may come several times; an object where an element has elements. It fails with io.EOF
	// behind the last row of a whole feed, with [ErrCutOff] where the feed ends too early, and with another
	// error where it is not what its format says; then nothing may be concluded from what came before.
	Next() (map[string]any, error)
}

// Options shape the reading of a feed.
type Options struct {
	Format Format
	// MaxBytes bounds the feed once it is decompressed.
	MaxBytes int64
	// Decode makes a value of a line of JSON; needed for that format.
	Decode func(line []byte) (any, error)
}

// Bounds on a row, beside that on the feed.
const (
	MaxRowBytes = 1 << 20
	maxFields   = 1_000
	maxNesting  = 8
)

// What is wrong with a feed as a whole.
var (
	ErrCutOff  = errors.New("the feed is cut off")
	ErrTooLong = errors.New("the feed is longer than it may be")
	errRow     = fmt.Errorf("a row is larger than %d bytes", MaxRowBytes)
	errFields  = fmt.Errorf("a row has more than %d fields", maxFields)
	errNested  = errors.New("a row's elements are nested too deeply")
)

// Open begins to read a feed.
func Open(r io.Reader, o Options) (Reader, error) {
	if !slices.Contains(Formats(), o.Format) {
		return nil, fmt.Errorf("there is no format %q", o.Format)
	}
	text, err := decompressed(r)
	if err != nil {
		return nil, err
	}
	m := &meter{from: text, left: o.MaxBytes}
	utf8, err := toUTF8(m)
	if err != nil {
		return nil, cutOff(err)
	}
	switch o.Format {
	case XML:
		return newXML(utf8, m), nil
	case CSV:
		return newCSV(utf8, m)
	case TSV:
		return newTSV(utf8, m)
	case JSON:
	}
	return &lines{from: utf8, meter: m, decode: o.Decode}, nil
}

// decompressed looks for gzip by its first bytes: servers do not agree on how to announce a file of it.
func decompressed(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	if magic, _ := b.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return b, nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return nil, cutOff(fmt.Errorf("decompressing: %w", err))
	}
	return z, nil
}

// meter counts what is read of a feed, and of each row.
type meter struct {
	from io.Reader
	left int64 // of the feed
	row  int64 // since it was last set to nothing
}

// readAhead is what decoders read beyond a row.
const readAhead = 64 << 10

// Read is part of [io.Reader].
func (m *meter) Read(p []byte) (int, error) {
	if m.row > MaxRowBytes+readAhead {
		return 0, errRow
	}
	n, err := m.from.Read(p)
	m.row += int64(n)
	if m.left -= int64(n); m.left < 0 {
		return 0, ErrTooLong
	}
	return n, err
}

// next begins a row.
func (m *meter) next() { m.row = 0 }

// cutOff is an error as ErrCutOff where it is an end that comes too early.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: %w", ErrCutOff, err)
	}
	return err
}

// Attributes of products that are lists, also where there is one value: whoever reads a row need not look first.
var (
	listed = []string{
		"additional_image_link", "product_type", "shipping", "tax", "product_highlight", "product_detail",
		"included_destination", "excluded_destination", "promotion_id",
	}
	// In tables these have commas between their values; a comma in another is part of it.
	separated = []string{"additional_image_link", "included_destination", "excluded_destination", "promotion_id"}
)

// add puts a value under a name; the second makes a list.
func add(row map[string]any, name string, v any) {
	switch was, there := row[name]; {
	case there:
		list, ok := was.([]any)
		if !ok {
			list = []any{was}
		}
		row[name] = append(list, v)
	case slices.Contains(listed, name):
		row[name] = []any{v}
	default:
		row[name] = v
	}
}

// attribute is a name as Google writes it: "g:Image Link" is image_link.
func attribute(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	return strings.ReplaceAll(strings.TrimPrefix(name, "g:"), " ", "_")
}
