package hubspot

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// encoder writes properties as HubSpot takes them: every value is a text.
type encoder struct {
	reader  bytes.Reader
	decoder jsontext.Decoder
	options []byte // scratch: of a property with several
}

var (
	errObject    = errors.New("an object cannot be the value of a property")
	errNested    = errors.New("a list may hold texts, numbers and booleans")
	errSemicolon = errors.New("an option of a list may not hold a semicolon, which stands between options")
)

// properties appends the fields as an object of texts, behind the property first with its value, which is left out
// when it has no name. Numbers keep their digits; null, which empties a property, is the empty text; a list is its
// elements with semicolons between them. A field of the name first is passed over: it is the key, and that stands.
func (e *encoder) properties(dst []byte, first, value string, fields jsontext.Value) ([]byte, error) {
	dst = append(dst, '{')
	start := len(dst)
	var err error
	if first != "" {
		if dst, err = appendPair(dst, first, value); err != nil {
			return dst, err
		}
	}
	if len(fields) > 0 {
		e.reader.Reset(fields)
		e.decoder.Reset(&e.reader)
		if dst, err = e.fields(dst, start, first); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func (e *encoder) fields(dst []byte, start int, first string) ([]byte, error) {
	if token, err := e.decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return dst, fmt.Errorf("reading fields: %w", errors.Join(err, errNotObject))
	}
	for {
		name, err := e.decoder.ReadToken()
		switch {
		case err != nil:
			return dst, fmt.Errorf("reading fields: %w", err)
		case name.Kind() == '}':
			return dst, nil
		case first != "" && name.String() == first:
			if err := e.decoder.SkipValue(); err != nil {
				return dst, fmt.Errorf("reading fields: %w", err)
			}
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		before := len(dst)
		if dst, err = jsontext.AppendQuote(dst, name.String()); err != nil {
			return dst, fmt.Errorf("encoding a property's name: %w", err)
		}
		after := len(dst)
		if dst, err = e.value(append(dst, ':')); err != nil {
			return dst, fmt.Errorf("property %s: %w", dst[before:after], err)
		}
	}
}

var errNotObject = errors.New("fields are no JSON object")

// value appends the next value as a text.
func (e *encoder) value(dst []byte) ([]byte, error) {
	switch e.decoder.PeekKind() {
	case '{':
		return dst, errObject
	case '[':
		return e.list(dst)
	}
	raw, err := e.decoder.ReadValue()
	if err != nil {
		return dst, err
	}
	switch raw.Kind() {
	case '"':
		return append(dst, raw...), nil
	case 'n':
		return append(dst, `""`...), nil
	}
	return append(append(append(dst, '"'), raw...), '"'), nil
}

// list appends several options, a;b.
func (e *encoder) list(dst []byte) ([]byte, error) {
	e.options = e.options[:0]
	if _, err := e.decoder.ReadToken(); err != nil {
		return dst, err
	}
	for n := 0; ; n++ {
		token, err := e.decoder.ReadToken()
		if err != nil {
			return dst, err
		}
		switch token.Kind() {
		case ']':
			return jsontext.AppendQuote(dst, e.options)
		case '"', '0', 't', 'f':
		default:
			return dst, errNested
		}
		text := token.String()
		if strings.Contains(text, ";") {
			return dst, errSemicolon
		}
		if n > 0 {
			e.options = append(e.options, ';')
		}
		e.options = append(e.options, text...)
	}
}

func appendPair(dst []byte, name, value string) ([]byte, error) {
	dst, err := jsontext.AppendQuote(dst, name)
	if err != nil {
		return dst, fmt.Errorf("encoding a property's name: %w", err)
	}
	return appendText(append(dst, ':'), value)
}

func appendText(dst []byte, text string) ([]byte, error) {
	dst, err := jsontext.AppendQuote(dst, text)
	if err != nil {
		return dst, fmt.Errorf("encoding a text: %w", err)
	}
	return dst, nil
}
