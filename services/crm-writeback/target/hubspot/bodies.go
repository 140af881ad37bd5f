package hubspot

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

const openInputs = `{"inputs":[`

// upsertInput appends an input of batch/upsert. objectWriteTraceId is how rows are told apart in the answer.
func (e *encoder) upsertInput(dst []byte, r *target.Row) ([]byte, error) {
	dst, err := appendText(append(dst, `{"id":`...), r.Key)
	if err != nil {
		return dst, err
	}
	if dst, err = appendText(append(dst, `,"idProperty":`...), r.KeyField); err != nil {
		return dst, err
	}
	return e.rest(dst, r.ID, r.KeyField, r.Key, r.Fields)
}

// updateInput appends an input of batch/update, by HubSpot's own id.
func (e *encoder) updateInput(dst []byte, r *target.Row, id string) ([]byte, error) {
	dst, err := appendText(append(dst, `{"id":`...), id)
	if err != nil {
		return dst, err
	}
	return e.rest(dst, r.ID, "", "", r.Fields)
}

// noteInput appends an input of batch/upsert of a note, whose key is the id of the write. A note must have a time.
func (e *encoder) noteInput(dst []byte, r *target.Row, o Notes) ([]byte, error) {
	dst, err := appendText(append(dst, `{"id":`...), r.ID)
	if err != nil {
		return dst, err
	}
	if dst, err = appendText(append(dst, `,"idProperty":`...), o.Property); err != nil {
		return dst, err
	}
	fields := r.Fields
	if !has(fields, o.Time) {
		with, err := appendPair([]byte{'{'}, o.Time, r.EditedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
		if err != nil {
			return dst, err
		}
		fields = join(with, fields)
	}
	return e.rest(dst, r.ID, o.Property, r.ID, fields)
}

// join puts the members of an object behind those of one that is not closed yet.
func join(begun []byte, fields jsontext.Value) jsontext.Value {
	inner := trimBraces(fields)
	if len(inner) == 0 {
		return append(begun, '}')
	}
	return append(append(append(begun, ','), inner...), '}')
}

func (e *encoder) rest(dst []byte, trace, first, value string, fields jsontext.Value) ([]byte, error) {
	dst, err := appendText(append(dst, `,"objectWriteTraceId":`...), trace)
	if err != nil {
		return dst, err
	}
	if dst, err = e.properties(append(dst, `,"properties":`...), first, value, fields); err != nil {
		return dst, err
	}
	return append(dst, '}'), nil
}

// readBody appends the body of batch/read of objects by their keys.
func readBody(dst []byte, keyField string, keys []string) ([]byte, error) {
	dst, err := appendText(append(dst, `{"idProperty":`...), keyField)
	if err != nil {
		return dst, err
	}
	if dst, err = appendText(append(dst, `,"properties":[`...), keyField); err != nil {
		return dst, err
	}
	dst = append(dst, `],"inputs":[`...)
	for i, key := range keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendText(append(dst, `{"id":`...), key); err != nil {
			return dst, err
		}
		dst = append(dst, '}')
	}
	return append(dst, `]}`...), nil
}

// associateInput appends an input of batch/associate/default.
func associateInput(dst []byte, note, object string) ([]byte, error) {
	dst, err := appendText(append(dst, `{"from":{"id":`...), note)
	if err != nil {
		return dst, err
	}
	if dst, err = appendText(append(dst, `},"to":{"id":`...), object); err != nil {
		return dst, err
	}
	return append(dst, `}}`...), nil
}

// has reports whether an object has a member of the name.
func has(fields jsontext.Value, name string) bool {
	d := jsontext.NewDecoder(bytes.NewReader(fields))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil || token.String() == name {
			return err == nil
		}
		if d.SkipValue() != nil {
			return false
		}
	}
	return false
}

// trimBraces is what stands between the braces of an object; what is none is left for the encoder to find.
func trimBraces(fields jsontext.Value) []byte {
	inner := bytes.TrimSpace(fields)
	if len(inner) < 2 || inner[0] != '{' || inner[len(inner)-1] != '}' {
		return inner
	}
	return bytes.TrimSpace(inner[1 : len(inner)-1])
}
