package httpsink

import (
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// place is where the array stands in an envelope.
const place = "[...]"

var errEnvelope = errors.New(`JSON in which the array stands exactly once as [...], outside of texts, such as {"batch": [...]}`)

// unwrap cuts an envelope where the array belongs: all up to the first item, and all behind the last.
func unwrap(envelope string) (before, after []byte, err error) {
	at, quoted := -1, false
	for i := 0; i < len(envelope); i++ {
		switch c := envelope[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && len(envelope)-i >= len(place) && envelope[i:i+len(place)] == place:
			if at >= 0 {
				return nil, nil, errEnvelope
			}
			at = i
		}
	}
	if at < 0 {
		return nil, nil, errEnvelope
	}
	before, after = []byte(envelope[:at]+"["), []byte("]"+envelope[at+len(place):])
	if whole := jsontext.Value(string(before) + string(after)); !whole.IsValid() {
		return nil, nil, errEnvelope
	}
	return before, after, nil
}
