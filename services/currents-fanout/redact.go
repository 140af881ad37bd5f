package currentsfanout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"sync"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// redactor makes named fields unreadable, in columns and in the document. It is pure, and nil where nothing is
// redacted.
type redactor struct {
	how   map[string]string // Remove, Mask or Hash, by field
	words [][]byte          // the fields' names in quotes, as they stand in a document
}

// masked stands in the place of what is masked.
const masked = "[REDACTED]"

// Names of the same thing: as Braze writes it in the document, and as our column is called.
var otherNames = map[string]string{
	"external_user_id": "external_id", "external_id": "external_user_id",
	"user_id": "braze_id", "braze_id": "user_id",
	"email_address": "email", "email": "email_address",
	"phone_number": "phone", "phone": "phone_number",
}

func newRedactor(rules []Redaction) *redactor {
	r := &redactor{how: map[string]string{}}
	for _, rule := range rules {
		for _, field := range rule.Fields {
			r.how[field] = rule.How
		}
	}
	for _, rule := range rules {
		for _, field := range rule.Fields {
			if other := otherNames[field]; other != "" && r.how[other] == "" { // what is said of a name itself goes first
				r.how[other] = rule.How
			}
		}
	}
	if len(r.how) == 0 {
		return nil
	}
	for field := range r.how {
		quoted, _ := jsontext.AppendQuote(nil, field)
		r.words = append(r.words, quoted)
	}
	return r
}

// text is what becomes of a column; an empty one stays empty.
func (r *redactor) text(field, value string) string {
	if value == "" {
		return ""
	}
	switch r.how[field] {
	case Remove:
		return ""
	case Mask:
		return masked
	case Hash:
		return hashed([]byte(value))
	}
	return value
}

func hashed(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

var errNotJSON = errors.New("the document is not one JSON value")

// document redacts a JSON document wherever one of the fields stands in it, also within texts that are JSON
// themselves, as Braze writes properties of custom events. What is not touched stays as it was, numbers to
// the last digit.
func (r *redactor) document(doc []byte) ([]byte, error) {
	if !r.concerns(doc) {
		return doc, nil
	}
	out, ok := r.rewrite(make([]byte, 0, len(doc)+64), doc, 0)
	if !ok {
		return nil, errNotJSON
	}
	return out, nil
}

// reader reads one document after the other.
type reader struct {
	in  jsontext.Decoder
	doc bytes.Buffer
}

var readers = sync.Pool{New: func() any { return new(reader) }}

// rewrite appends a document, redacted. It is no more than read, and written as it stands: an encoder would
// check once more what the decoder has checked.
func (r *redactor) rewrite(out, doc []byte, depth int) ([]byte, bool) {
	p := readers.Get().(*reader)
	defer readers.Put(p)
	p.doc = *bytes.NewBuffer(doc)
	p.in.Reset(&p.doc, leave...)
	out, err := r.value(&p.in, out, depth)
	if err != nil {
		return out, false
	}
	_, err = p.in.ReadToken()
	p.doc = bytes.Buffer{}
	return out, errors.Is(err, io.EOF)
}

// leave is to leave alone whatever is not ours to change.
var leave = []jsontext.Options{
	jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true), jsontext.SpaceAfterColon(false),
}

// concerns reports whether a field may stand in a document: that its name, in quotes, is there. A name may
// be written with escapes, of which every one begins with a backslash and a u, and so may the quotes within texts.
func (r *redactor) concerns(doc []byte) bool {
	if bytes.IndexByte(doc, '\\') >= 0 {
		return true
	}
	for _, word := range r.words {
		if bytes.Contains(doc, word) {
			return true
		}
	}
	return false
}

// deepest is how far texts that are JSON may stand in one another.
const deepest = 4

// value appends a value.
func (r *redactor) value(in *jsontext.Decoder, out []byte, depth int) ([]byte, error) {
	switch in.PeekKind() {
	case '{':
		return r.object(in, out, depth)
	case '[':
		return r.array(in, out, depth)
	}
	v, err := in.ReadValue()
	if err != nil {
		return out, err
	}
	if v.Kind() == '"' {
		v = r.nested(v, depth)
	}
	return append(out, v...), nil
}

func (r *redactor) array(in *jsontext.Decoder, out []byte, depth int) ([]byte, error) {
	if _, err := in.ReadToken(); err != nil {
		return out, err
	}
	out = append(out, '[')
	for n := 0; in.PeekKind() != ']'; n++ {
		if n > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = r.value(in, out, depth); err != nil {
			return out, err
		}
	}
	_, err := in.ReadToken()
	return append(out, ']'), err
}

func (r *redactor) object(in *jsontext.Decoder, out []byte, depth int) ([]byte, error) {
	if _, err := in.ReadToken(); err != nil {
		return out, err
	}
	out = append(out, '{')
	empty := true
	for in.PeekKind() != '}' {
		name, err := in.ReadValue()
		if err != nil {
			return out, err
		}
		how, before := r.of(name), len(out)
		if !empty {
			out = append(out, ',')
		}
		out = append(append(out, name...), ':')
		switch how {
		case "":
			out, err = r.value(in, out, depth)
		default:
			var v jsontext.Value
			if v, err = in.ReadValue(); err == nil && how != Remove {
				out = append(out, replaced(v, how)...)
			}
		}
		if err != nil {
			return out, err
		}
		if how == Remove {
			out = out[:before]
		} else {
			empty = false
		}
	}
	_, err := in.ReadToken()
	return append(out, '}'), err
}

// of says what is done to a member, by its name in quotes; "" for nothing.
func (r *redactor) of(name jsontext.Value) string {
	if bytes.IndexByte(name, '\\') < 0 {
		return r.how[string(name[1:len(name)-1])]
	}
	plain, _ := jsontext.AppendUnquote(nil, name) // as far as it can be
	return r.how[string(plain)]
}

// replaced stands in the place of a value; null says nothing and stays.
func replaced(v jsontext.Value, how string) jsontext.Value {
	text := masked
	switch {
	case v.Kind() == 'n':
		return v
	case how == Hash && v.Kind() == '"':
		plain, err := jsontext.AppendUnquote(nil, v)
		if err != nil { // a text that is no UTF-8
			plain = v
		}
		text = hashed(plain)
	case how == Hash:
		plain := v.Clone()
		_ = plain.Compact() // it was read as JSON just now
		text = hashed(plain)
	}
	quoted, _ := jsontext.AppendQuote(nil, text)
	return quoted
}

// nested redacts a text that is a JSON document itself, or the text of one. One that cannot be read to its end, or
// stands too deep, is masked as a whole where a field may be in it: what was cut off or joined still names people.
func (r *redactor) nested(text jsontext.Value, depth int) jsontext.Value {
	if bytes.IndexByte(text, '\\') < 0 { // a document has quotes, or names nothing
		return text
	}
	plain, _ := jsontext.AppendUnquote(nil, text) // what is no UTF-8 is replaced
	plain = bytes.TrimLeftFunc(plain, func(c rune) bool { return unicode.IsSpace(c) || c == '\ufeff' })
	if len(plain) == 0 || bytes.IndexByte([]byte(`{["`), plain[0]) < 0 || !r.concerns(plain) {
		return text
	}
	if depth < deepest {
		if out, ok := r.rewrite(nil, plain, depth+1); ok {
			if quoted, err := jsontext.AppendQuote(nil, out); err == nil {
				return quoted
			}
		}
	}
	if !r.suspects(plain) {
		return text // it only looked like one
	}
	return jsontext.Value(`"` + masked + `"`)
}

// suspects reports whether a text that cannot be read may name a field: with quotes around it, however often those are
// escaped, or with an escape that nobody has undone.
func (r *redactor) suspects(text []byte) bool {
	if text[0] != '"' && bytes.Contains(text, []byte(`\u`)) {
		return true
	}
	for _, word := range r.words {
		name := word[:len(word)-1] // its first quote stands right before it
		for rest := text; ; {
			i := bytes.Index(rest, name)
			if i < 0 {
				break
			}
			rest = rest[i+len(name):]
			if bytes.HasPrefix(bytes.TrimLeft(rest, `\`), []byte(`"`)) {
				return true
			}
		}
	}
	return false
}
