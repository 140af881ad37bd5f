package httpsink

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on what is built from a document or an answer, whatever its size.
const (
	longestNumber = 100 // characters; what computes with it cannot be interrupted
	maxDepth      = 64
	maxValues     = 250_000
)

var (
	errTooDeep    = errors.New("values are nested too deeply")
	errManyValues = errors.New("there are too many values")
	errLongNumber = errors.New("a number has too many digits")
	errTrailing   = errors.New("something follows the JSON value")
)

// readTree makes of a JSON text what jq programs take: plain values, with numbers as they were sent.
func readTree(text []byte) (any, error) {
	b := builder{decoder: jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true))}
	value, err := b.value(0)
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := b.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading JSON: %w", errTrailing)
	}
	return value, nil
}

type builder struct {
	decoder *jsontext.Decoder
	values  int
}

func (b *builder) value(depth int) (any, error) {
	if b.values++; b.values > maxValues {
		return nil, errManyValues
	}
	if depth > maxDepth {
		return nil, errTooDeep
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
			return nil, errLongNumber
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
