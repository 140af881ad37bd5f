package salesforce

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// check says why a row cannot be sent; "" when it can. One such row would cost all the others of its call theirs.
func (t *Target) check(row *target.Row) string {
	if !name(row.Object) {
		return "the object is no API name"
	}
	key := row.KeyField
	switch row.Mode {
	case crm.Upsert, crm.Update:
		switch {
		case !name(key):
			return "the key field is no API name"
		case row.Key == "":
			return "the key is empty"
		}
	case crm.Note:
		key = t.noteField(row)
		switch {
		case key != "" && !name(key):
			return "the key field is no API name"
		case key != "" && row.ID == "":
			return "the write has no id"
		}
	default:
		return "the mode is none of upsert, update and note"
	}
	return checkFields(row.Fields, key)
}

func checkFields(fields jsontext.Value, key string) string {
	if len(fields) == 0 {
		return ""
	}
	d := jsontext.NewDecoder(bytes.NewReader(fields))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return "the fields are no JSON object"
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return "the fields are no JSON object"
		}
		field := token.String()
		switch {
		case !name(field):
			return "a field's name is no API name"
		case strings.EqualFold(field, key):
			return "the key is among the fields"
		case strings.EqualFold(field, "Id"), strings.EqualFold(field, "attributes"):
			return "a field is called " + strings.ToLower(field) + ", which is not to be written"
		}
		if err := d.SkipValue(); err != nil {
			return "the fields are no JSON object"
		}
	}
	if token, err := d.ReadToken(); err != nil || token.Kind() != '}' {
		return "the fields are no JSON object"
	}
	if len(bytes.TrimSpace(fields[d.InputOffset():])) > 0 {
		return "something follows the fields"
	}
	return ""
}
