package ingest

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// skipString passes over the string that begins here.
func (s *scanner) skipString() bool {
	for i := s.pos + 1; ; {
		i = plain(s.buf, i)
		if i == len(s.buf) {
			return s.broken(s.pos, "a string does not end")
		}
		if s.buf[i] == '"' {
			s.pos = i + 1
			return true
		}
		_, n := s.character(i)
		if n == 0 {
			return false
		}
		i += n
	}
}

// str reads the string that begins here.
func (s *scanner) str() (string, bool) {
	start := s.pos + 1
	i := plain(s.buf, start)
	if i < len(s.buf) && s.buf[i] == '"' {
		s.pos = i + 1
		return alias(s.buf[start:i]), true
	}
	return s.unescape(start)
}

// unescape reads the string whose text begins at start into s.text.
func (s *scanner) unescape(start int) (string, bool) {
	from := len(s.text)
	for i := start; ; {
		end := plain(s.buf, i)
		s.text = append(s.text, s.buf[i:end]...)
		if end == len(s.buf) {
			return "", s.broken(start-1, "a string does not end")
		}
		if s.buf[end] == '"' {
			s.pos = end + 1
			return alias(s.text[from:]), true
		}
		r, n := s.character(end)
		if n == 0 {
			return "", false
		}
		s.text = utf8.AppendRune(s.text, r)
		i = end + n
	}
}

// character reads one character of a string that is escaped or not ASCII, and returns how many bytes
// it takes; none after a fault.
func (s *scanner) character(i int) (rune, int) {
	switch c := s.buf[i]; {
	case c == '\\':
		return s.escape(i)
	case c < ' ':
		s.broken(i, "a string holds a control character")
		return 0, 0
	}
	r, n := utf8.DecodeRune(s.buf[i:])
	if r == utf8.RuneError && n == 1 {
		s.flawed(i, notUTF8)
	}
	return r, n
}

func (s *scanner) escape(i int) (rune, int) {
	if i+1 < len(s.buf) {
		switch c := s.buf[i+1]; c {
		case '"', '\\', '/':
			return rune(c), 2
		case 'b':
			return '\b', 2
		case 'f':
			return '\f', 2
		case 'n':
			return '\n', 2
		case 'r':
			return '\r', 2
		case 't':
			return '\t', 2
		case 'u':
			return s.escapedRune(i)
		}
	}
	s.broken(i, "a string holds an escape that does not exist")
	return 0, 0
}

// escapedRune reads \uXXXX, or two of them where one alone is only half a character.
func (s *scanner) escapedRune(i int) (rune, int) {
	r := hex4(s.buf, i+2)
	if r < 0 {
		s.broken(i, "a string holds an escape that does not exist")
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if i+7 < len(s.buf) && s.buf[i+6] == '\\' && s.buf[i+7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(s.buf, i+8)); pair != utf8.RuneError {
			return pair, 12
		}
	}
	s.flawed(i, notUTF8)
	return utf8.RuneError, 6
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte, i int) rune {
	if i+4 > len(b) {
		return -1
	}
	var r rune
	for _, c := range b[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

const (
	everyByte = 0x0101010101010101
	highBits  = 0x8080808080808080
)

// plain is the index, from i on, of the first byte that is not plain text within a string: a quote, a
// backslash, a control character or a part of a character beyond ASCII. It looks at eight at a time;
// of a word's marks only the lowest is exact, and no other is used.
func plain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := w^everyByte*'"', w^everyByte*'\\'
		marks := ((w-everyByte*' ')&^w | (quote-everyByte)&^quote | (backslash-everyByte)&^backslash | w) & highBits
		if marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// alias is the bytes as a string, without a copy. The bytes must not change while it lives.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// view is the opposite of alias. The bytes must not be changed.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
