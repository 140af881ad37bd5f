package contentcacher

import "github.com/go-json-experiment/json/jsontext"

// appendQuoted appends a JSON string; what is not UTF-8 in it is replaced.
func appendQuoted(dst []byte, s string) []byte {
	quoted, err := jsontext.AppendQuote(dst, s)
	if err != nil {
		return quoted
	}
	return quoted
}

// trimComma takes the last comma away.
func trimComma(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	return b[:len(b)-1]
}
