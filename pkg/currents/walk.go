package currents

import (
	"bytes"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// walker goes through JSON in place and builds nothing. It looks at no more than the outline: where a
// value begins and ends. Whether the JSON is well-formed jsontext says; on what is not, the walker ends
// early or goes astray, but never beyond the bytes.
//
// It exists because a receiver of Currents does little else than this. To let jsontext judge and then
// to walk takes two thirds of the time of jsontext's own decoder, which does both at once.
type walker struct {
	buf    []byte
	pos    int
	broken bool // the outline is not that of JSON
}

// peek is the first byte of what comes next, 0 at the end.
func (w *walker) peek() byte {
	for w.pos < len(w.buf) {
		switch c := w.buf[w.pos]; c {
		case ' ', '\n', '\r', '\t':
			w.pos++
		default:
			return c
		}
	}
	return 0
}

// fail says that the outline is broken.
func (w *walker) fail() bool {
	w.broken = true
	return false
}

// enter goes into the object or array that begins here, if open is its first byte.
func (w *walker) enter(open byte) bool {
	if w.peek() != open {
		return false
	}
	w.pos++
	return true
}

// more moves to the next value of an array, or name of an object, that ends with end. It is false at
// the end and where the outline is broken.
//
//	for first := true; w.more(first, ']'); first = false {
//		w.skip()
//	}
func (w *walker) more(first bool, end byte) bool {
	switch c := w.peek(); {
	case w.broken:
		return false
	case c == end:
		w.pos++
		return false
	case first && c != 0:
		return true
	case !first && c == ',':
		w.pos++
		return w.peek() != 0 || w.fail()
	}
	return w.fail()
}

// member moves to the value of an object's next member and returns the member's name.
func (w *walker) member(first bool) (name []byte, ok bool) {
	if !w.more(first, '}') {
		return nil, false
	}
	quoted, ok := w.str()
	if !ok {
		return nil, false
	}
	if w.peek() != ':' {
		return nil, w.fail()
	}
	w.pos++
	name = quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		name, _ = jsontext.AppendUnquote(nil, quoted)
	}
	return name, true
}

// str reads a string, its quotes included.
func (w *walker) str() (quoted []byte, ok bool) {
	if w.peek() != '"' {
		return nil, w.fail()
	}
	start := w.pos
	for at := w.pos + 1; ; {
		n := bytes.IndexByte(w.buf[at:], '"')
		if n < 0 {
			return nil, w.fail()
		}
		at += n + 1
		escapes := at - 2
		for w.buf[escapes] == '\\' { // ends at the opening quote
			escapes--
		}
		if (at-2-escapes)%2 == 0 {
			w.pos = at
			return w.buf[start:at], true
		}
	}
}

// skip reads one value, whatever it is.
func (w *walker) skip() (value []byte, ok bool) {
	c := w.peek()
	start := w.pos
	switch c {
	case '"':
		return w.str()
	case '{', '[':
		return w.skipNested()
	}
	for w.pos < len(w.buf) && !delimits(w.buf[w.pos]) {
		w.pos++
	}
	if w.pos == start {
		return nil, w.fail()
	}
	return w.buf[start:w.pos], true
}

// delimits reports whether a byte ends a number or a literal.
func delimits(c byte) bool {
	switch c {
	case ',', ']', '}', ':', '"', '{', '[', ' ', '\n', '\r', '\t':
		return true
	}
	return false
}

// skipNested reads an object or an array by counting brackets, so that depth costs nothing.
func (w *walker) skipNested() (value []byte, ok bool) {
	start, depth := w.pos, 0
	for w.pos < len(w.buf) {
		switch w.buf[w.pos] {
		case '"':
			if _, ok := w.str(); !ok {
				return nil, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				w.pos++
				return w.buf[start:w.pos], true
			}
		}
		w.pos++
	}
	return nil, w.fail()
}

// text is what a string says, or a number's digits as they came; empty for everything else. It aliases
// the value unless that has escapes.
func text(value []byte) string {
	switch {
	case len(value) == 0:
	case value[0] == '"':
		inner := value[1 : len(value)-1]
		if bytes.IndexByte(inner, '\\') >= 0 {
			inner, _ = jsontext.AppendUnquote(nil, value)
		}
		return alias(inner)
	case isNumber(value):
		return alias(value)
	}
	return ""
}

// isNumber reports whether a value of valid JSON is a number.
func isNumber(value []byte) bool {
	return len(value) > 0 && (value[0] == '-' || '0' <= value[0] && value[0] <= '9')
}

func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
