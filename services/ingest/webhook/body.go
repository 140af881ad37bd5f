package webhook

import (
	"bytes"
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

	"github.com/sluicehq/sluice/pkg/jsontree"
)

// The formats of bodies.
const (
	formatJSON = "json"
	formatForm = "form"
	formatText = "text"
	formatXML  = "xml"
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
		if s.spec.Split && jsontext.NewDecoder(bytes.NewReader(body)).PeekKind() == '[' {
			elements(body, yield)
			return
		}
		whole.value, whole.err = jsontree.Read(body, jsontree.Options{})
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

// elements yields each element of the array that the body is. Where the array itself is broken the
// whole body is one message that cannot be read, and nothing of it has been yielded before.
func elements(body []byte, yield func(piece) bool) {
	decoder := jsontext.NewDecoder(bytes.NewReader(body))
	broken := func(err error) {
		yield(piece{end: len(body), err: fmt.Errorf("reading JSON: %w", err)})
	}
	if _, err := decoder.ReadToken(); err != nil {
		broken(err)
		return
	}
	var all []piece
	for decoder.PeekKind() != ']' {
		raw, err := decoder.ReadValue()
		if err != nil {
			broken(err)
			return
		}
		if len(all) == maxMessages {
			broken(jsontree.ErrTooMany)
			return
		}
		end := int(decoder.InputOffset())
		all = append(all, piece{start: end - len(raw), end: end})
	}
	if _, err := decoder.ReadToken(); err != nil {
		broken(err)
		return
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		broken(jsontree.ErrTrailing)
		return
	}
	for _, p := range all {
		p.value, p.err = jsontree.Read(body[p.start:p.end], jsontree.Options{})
		if !yield(p) {
			return
		}
	}
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
	return jsontree.Read(text, jsontree.Options{})
}
