package salesforce

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// appendRecords appends the body of a collections call: the rows in their order, each with its type and, where field is
// named, a value of its own in that field. Rows have been checked, so their fields are put in as they are.
func appendRecords(dst []byte, rows []*target.Row, field string, value func(*target.Row) string) []byte {
	dst = append(dst, `{"allOrNone":false,"records":[`...)
	for i, row := range rows {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"attributes":{"type":"`...)
		dst = append(dst, row.Object...)
		dst = append(dst, `"}`...)
		if field != "" {
			dst = append(dst, ',', '"')
			dst = append(dst, field...)
			dst = append(dst, '"', ':')
			dst = appendText(dst, value(row))
		}
		if inner := inside(row.Fields); len(inner) > 0 {
			dst = append(dst, ',')
			dst = append(dst, inner...)
		}
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

// inside is an object without its braces.
func inside(object jsontext.Value) []byte {
	object = bytes.TrimSpace(object)
	if len(object) < 2 {
		return nil
	}
	return bytes.TrimSpace(object[1 : len(object)-1])
}

// appendText appends a JSON string. What is not UTF-8 in it is replaced, which is the error that AppendQuote tells of.
func appendText(dst []byte, text string) []byte {
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// weight is about how long a row is in a body.
func weight(row *target.Row) int {
	return len(row.Fields) + len(row.Key) + len(row.KeyField) + len(row.Object) + 32
}

// room is a first guess at the length of a body.
func room(rows []*target.Row) int {
	n := 64
	for _, row := range rows {
		n += weight(row)
	}
	return n
}
