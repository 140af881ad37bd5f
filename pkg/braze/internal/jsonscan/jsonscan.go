// Package jsonscan walks JSON that is known to be valid, without copying and without allocating. Of
// anything else it makes no sense, but it neither panics nor loops.
package jsonscan

import (
	"bytes"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// StringEnd returns the index after the closing quote of the string whose opening quote is at b[i],
// or len(b) when it is never closed.
func StringEnd(b []byte, i int) int {
	for from := i + 1; ; {
		n := bytes.IndexByte(b[min(from, len(b)):], '"')
		if n < 0 {
			return len(b)
		}
		quote := from + n
		slashes := quote
		for slashes > from && b[slashes-1] == '\\' {
			slashes--
		}
		if (quote-slashes)%2 == 0 {
			return quote + 1
		}
		from = quote + 1
	}
}

// Space returns the index of the first byte from i on that is not white space.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// ValueEnd returns the index after the value that begins at b[i].
func ValueEnd(b []byte, i int) int {
	if i >= len(b) {
		return len(b)
	}
	switch b[i] {
	case '"':
		return StringEnd(b, i)
	case '{', '[':
		return nestEnd(b, i)
	}
	for i < len(b) && !ends[b[i]] {
		i++
	}
	return i
}

// ends tells which bytes end a number or a literal.
var ends = [256]bool{',': true, ']': true, '}': true, ' ': true, '\n': true, '\t': true, '\r': true}

func nestEnd(b []byte, i int) int {
	for depth := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = StringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(b)
}

// Members yields the members of an object: the name as it stands between its quotes, escapes and all
// (see [Unquote]), and the raw value. Of anything but an object it yields nothing.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		i := Space(object, 0)
		if i >= len(object) || object[i] != '{' {
			return
		}
		for i = Space(object, i+1); i < len(object) && object[i] == '"'; {
			nameEnd := StringEnd(object, i)
			name := object[i+1 : max(nameEnd-1, i+1)]
			i = Space(object, nameEnd)
			if i >= len(object) || object[i] != ':' {
				return
			}
			start := Space(object, i+1)
			end := ValueEnd(object, start)
			if end == start || !yield(name, object[start:end]) {
				return
			}
			if i = Space(object, end); i < len(object) && object[i] == ',' {
				i = Space(object, i+1)
			}
		}
	}
}

// Elements yields the raw elements of an array. Of anything but an array it yields nothing.
func Elements(array []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := Space(array, 0)
		if i >= len(array) || array[i] != '[' {
			return
		}
		for i = Space(array, i+1); i < len(array) && array[i] != ']'; {
			end := ValueEnd(array, i)
			if end == i || !yield(array[i:end]) {
				return
			}
			if i = Space(array, end); i < len(array) && array[i] == ',' {
				i = Space(array, i+1)
			}
		}
	}
}

// Unquote returns the meaning of a name or of what stands between the quotes of a string. It returns
// the argument itself where there is nothing to unescape.
func Unquote(inner []byte) []byte {
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	quoted := make([]byte, 0, len(inner)+2)
	quoted = append(append(append(quoted, '"'), inner...), '"')
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return inner
	}
	return text
}

// String returns the meaning of a string value; ok is false for a value of any other type.
func String(value []byte) (text []byte, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	return Unquote(value[1 : len(value)-1]), true
}

// Runes counts the characters of what stands between the quotes of a string, an escape being one. It
// stops counting beyond limit, where the exact number is of no interest.
func Runes(inner []byte, limit int) (n int) {
	for i := 0; i < len(inner) && n <= limit; n++ {
		if inner[i] != '\\' {
			_, size := utf8.DecodeRune(inner[i:])
			i += size
			continue
		}
		if i+1 < len(inner) && inner[i+1] == 'u' {
			if pair(inner[i:]) {
				i += 12
			} else {
				i += 6
			}
			continue
		}
		i += 2
	}
	return n
}

// pair reports whether b begins with the escapes of a surrogate pair, which are one character.
func pair(b []byte) bool {
	return len(b) >= 12 && in("dD", b[2]) && in("89abAB", b[3]) &&
		b[6] == '\\' && b[7] == 'u' && in("dD", b[8]) && in("cdefCDEF", b[9])
}

func in(set string, c byte) bool { return strings.IndexByte(set, c) >= 0 }
