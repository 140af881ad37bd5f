// Package jsontree makes of a JSON text what programs in jq take: plain values, with numbers as they were
// sent. What it builds is bounded, whatever the text claims.
package jsontree

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on what is built from one text.
const (
	MaxValues     = 250_000 // where Options do not say; the largest orders have some thousands
	MaxDepth      = 64
	longestNumber = 100 // characters; what computes with it cannot be interrupted
)

// What is wrong with a text that is JSON.
var (
	ErrTooDeep    = errors.New("values are nested too deeply")
	ErrTooMany    = errors.New("there are too many values")
	ErrLongNumber = errors.New("a number has too many digits")
	ErrTrailing   = errors.New("something follows the JSON value")
)

// Options shape a reading.
type Options struct {
	// Most bounds the values there may be; MaxValues when 0.
	Most int
	// Duplicates lets an object have a name twice, of which the last counts. Otherwise that is an error.
	Duplicates bool
}

// Read makes a value of a text: nil, bool, string, [json.Number], map[string]any or []any. What is not
// UTF-8 is refused.
func Read(text []byte, o Options) (any, error) {
	b := builder{
		decoder: jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(o.Duplicates)),
		left:    cmp.Or(o.Most, MaxValues),
	}
	value, err := b.value(0)
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := b.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, ErrTrailing
	}
	return value, nil
}

type builder struct {
	decoder *jsontext.Decoder
	left    int // values that there may still be
}

func (b *builder) value(depth int) (any, error) {
	if b.left--; b.left < 0 {
		return nil, ErrTooMany
	}
	if depth > MaxDepth {
		return nil, ErrTooDeep
	}
	token, err := b.decoder.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		text := token.String()
		if len(text) > longestNumber {
			return nil, ErrLongNumber
		}
		return json.Number(text), nil
	case '{':
		return b.object(depth)
	default:
		return b.array(depth)
	}
}

func (b *builder) object(depth int) (any, error) {
	object := map[string]any{}
	for b.decoder.PeekKind() != '}' {
		name, err := b.decoder.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String() // before the next token takes its place
		if object[key], err = b.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := b.decoder.ReadToken()
	return object, err
}

func (b *builder) array(depth int) (any, error) {
	array := []any{}
	for b.decoder.PeekKind() != ']' {
		element, err := b.value(depth + 1)
		if err != nil {
			return nil, err
		}
		array = append(array, element)
	}
	_, err := b.decoder.ReadToken()
	return array, err
}
