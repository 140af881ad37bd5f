package salesforcefake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// rowError is what the org has against a record.
type rowError struct {
	StatusCode string   `json:"statusCode"`
	Message    string   `json:"message"`
	Fields     []string `json:"fields"`
}

func wrong(code, message string, fields ...string) *rowError {
	if fields == nil {
		fields = []string{}
	}
	return &rowError{StatusCode: code, Message: message, Fields: fields}
}

// member is a member of a record as it was sent.
type member struct {
	name  string
	value jsontext.Value
}

// membersOf takes an object apart, in order. A name that is there twice is an error.
func membersOf(text jsontext.Value) ([]member, error) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	if token.Kind() != '{' {
		return nil, errors.New("it is no object")
	}
	var all []member
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		name := token.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		all = append(all, member{name, value.Clone()})
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return all, nil
}

// check makes of members the values that are stored, under the names of the schema.
func (s *Sandbox) check(t *table, members []member) (map[string]jsontext.Value, *rowError) {
	fields := make(map[string]jsontext.Value, len(members))
	for _, m := range members {
		f := t.field(m.name)
		if f == nil && m.value.Kind() == '{' {
			var bad *rowError
			if f, m.value, bad = s.relation(t, m); bad != nil {
				return nil, bad
			}
		}
		if f == nil {
			return nil, wrong("INVALID_FIELD", fmt.Sprintf("No such column '%s' on sobject of type %s", m.name, t.Name))
		}
		if _, twice := fields[f.Name]; twice {
			return nil, wrong("INVALID_FIELD", "Duplicate field: "+f.Name, f.Name)
		}
		value, bad := s.value(f, m.value)
		if bad != nil {
			return nil, bad
		}
		fields[f.Name] = value
	}
	return fields, nil
}

// required checks a record as it would be.
func (t *table) required(r *Record, fields map[string]jsontext.Value) *rowError {
	var missing []string
	for _, f := range t.Fields {
		if !f.Required {
			continue
		}
		value, sent := fields[f.Name]
		if sent && value.Kind() == 'n' || !sent && (r == nil || r.Fields[f.Name] == nil) {
			missing = append(missing, f.Name)
		}
	}
	if missing != nil {
		return wrong("REQUIRED_FIELD_MISSING", fmt.Sprintf("Required fields are missing: [%s]", strings.Join(missing, ", ")), missing...)
	}
	return nil
}

func (s *Sandbox) value(f *Field, value jsontext.Value) (jsontext.Value, *rowError) {
	text := textOf(value)
	kind := value.Kind()
	if kind == 'n' || kind == '"' && text == "" {
		if f.Type == Checkbox {
			return nil, wrong("INVALID_TYPE_ON_FIELD_IN_RECORD", f.Name+": value not of required type: null", f.Name)
		}
		return jsontext.Value("null"), nil
	}
	mismatch := func() (jsontext.Value, *rowError) {
		return nil, wrong("INVALID_TYPE_ON_FIELD_IN_RECORD", fmt.Sprintf("%s: value not of required type: %s", f.Name, text), f.Name)
	}
	switch f.Type {
	case Checkbox:
		if kind != 't' && kind != 'f' {
			return mismatch()
		}
		return value, nil
	case Number:
		n, err := strconv.ParseFloat(text, 64)
		if kind != '0' && kind != '"' || err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
			return mismatch()
		}
		return jsontext.Value(strconv.FormatFloat(n, 'f', -1, 64)), nil
	default: // the others are strings
	}
	if kind != '"' {
		return mismatch()
	}
	switch f.Type {
	case Email:
		if a, err := mail.ParseAddress(text); err != nil || a.Address != text || !strings.Contains(text[strings.LastIndex(text, "@")+1:], ".") {
			return nil, wrong("INVALID_EMAIL_ADDRESS", f.Name+": invalid email address: "+text, f.Name)
		}
	case DateTime:
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return mismatch()
		}
		text = at.UTC().Truncate(time.Millisecond).Format("2006-01-02T15:04:05.000+0000")
	case Date:
		if _, err := time.Parse(time.DateOnly, text); err != nil {
			return mismatch()
		}
	case Reference:
		text = fullID(text)
		if !s.refers(f, text) {
			return nil, wrong("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", f.Name)
		}
	default: // any text
	}
	if utf8.RuneCountInString(text) > f.Length {
		return nil, wrong("STRING_TOO_LONG", fmt.Sprintf("%s: data value too large: %s (max length=%d)", f.Name, text, f.Length), f.Name)
	}
	quoted, _ := jsontext.AppendQuote(nil, text)
	return quoted, nil
}
