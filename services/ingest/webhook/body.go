package webhook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// The formats of bodies.
const (
	formatJSON = "json"
	formatForm = "form"
	formatText = "text"
	formatXML  = "xml"
)

// Bounds on what is built from a body, whatever its size.
const (
	longestNumber = 100 // characters; what computes with it cannot be interrupted
	maxDepth      = 64
	maxValues     = 250_000 // of one body; the largest orders have some thousands
)

var (
	errTooDeep    = errors.New("values are nested too deeply")
	errTooMany    = errors.New("there are too many values")
	errLongNumber = errors.New("a number has too many digits")
	errTrailing   = errors.New("something follows the JSON value")
)

// Takes reports whether a body of that content type can be one of the source's. A type that is left out
// is taken for the right one.
func (s *Source) Takes(contentType string) bool {
	if contentType == "" || s.spec.Format == formatText {
		return true
	}
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return false
	}
	switch s.spec.Format {
	case formatForm:
		return kind == "application/x-www-form-urlencoded"
	case formatXML:
		return kind == "text/xml" || kind == "application/xml" || strings.HasSuffix(kind, "+xml")
	}
	return kind == "application/json" || strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")
}

// piece is a part of a body that is a message.
type piece struct {
	start, end int
	value      any
	err        error // the piece cannot be read
}

// pieces are the messages of a body: one, or with split one for each element of an array. They are
// built only as they are asked for, so that a body of many small messages is never held as values
// whole.
func (s *Source) pieces(body []byte, yield func(piece) bool) {
	whole := piece{end: len(body)}
	switch s.spec.Format {
	case formatText:
		if !utf8.Valid(body) {
			whole.err = errors.New("the body is not UTF-8")
		}
		whole.value = string(body)
	case formatForm:
		whole.value, whole.err = readForm(body)
	case formatXML:
		whole.value, whole.err = readXML(body)
	default:
		b := builder{decoder: jsontext.NewDecoder(bytes.NewReader(body))}
		if s.spec.Split && b.decoder.PeekKind() == '[' {
			b.elements(body, yield)
			return
		}
		whole.value, whole.err = b.only()
	}
	yield(whole)
}

func readForm(body []byte) (any, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fmt.Errorf("reading the form: %w", err)
	}
	if !utf8.Valid(body) {
		return nil, errors.New("the form is not UTF-8")
	}
	return flat(values), nil
}

// flat is a query or a form as programs see it: text by name, the first of several.
func flat(values url.Values) map[string]any {
	all := make(map[string]any, len(values))
	for name, v := range values {
		if len(v) > 0 {
			all[strings.ToValidUTF8(name, "\uFFFD")] = strings.ToValidUTF8(v[0], "\uFFFD")
		}
	}
	return all
}

// builder makes plain values of JSON, with numbers as they were sent. The decoder refuses what is not
// UTF-8 and a name that an object has twice.
type builder struct {
	decoder *jsontext.Decoder
	values  int
	most    int // of them; maxValues when 0
}

// only reads the one value that a body is.
func (b *builder) only() (any, error) {
	value, err := b.value(0)
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	if _, err := b.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return value, nil
}

// elements yields each element of the array that the body is. Where the array itself is broken the
// whole body is one message that cannot be read, and nothing of it has been yielded before.
func (b *builder) elements(body []byte, yield func(piece) bool) {
	broken := func(err error) {
		yield(piece{end: len(body), err: fmt.Errorf("reading JSON: %w", err)})
	}
	if _, err := b.decoder.ReadToken(); err != nil {
		broken(err)
		return
	}
	var all []piece
	for b.decoder.PeekKind() != ']' {
		raw, err := b.decoder.ReadValue()
		if err != nil {
			broken(err)
			return
		}
		if len(all) == maxMessages {
			broken(errTooMany)
			return
		}
		end := int(b.decoder.InputOffset())
		all = append(all, piece{start: end - len(raw), end: end})
	}
	if _, err := b.decoder.ReadToken(); err != nil {
		broken(err)
		return
	}
	if _, err := b.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		broken(errTrailing)
		return
	}
	for _, p := range all {
		one := builder{decoder: jsontext.NewDecoder(bytes.NewReader(body[p.start:p.end]))}
		p.value, p.err = one.only()
		if !yield(p) {
			return
		}
	}
}

func (b *builder) value(depth int) (any, error) {
	if b.values++; b.values > cmp.Or(b.most, maxValues) {
		return nil, errTooMany
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

// printable reports whether a text is free of control characters.
func printable(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }

// quoted is a text as JSON writes it.
func quoted(text string) string {
	b, err := jsontext.AppendQuote(nil, text)
	if err != nil {
		return `""` // it is not UTF-8
	}
	return string(b)
}

// plainValue makes of what YAML gives what programs take.
func plainValue(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	b := builder{decoder: jsontext.NewDecoder(bytes.NewReader(text))}
	return b.only()
}
