package pgsink

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What jsonb does not take of valid JSON, or only sometimes.
const (
	// maxDigits is how many digits a number may have before the point and how many behind it when it is written
	// out. PostgreSQL takes more, and would write out all 131,072 of 1e131071.
	maxDigits = 1000
	// maxDepth is how deep objects and arrays may stand in one another. PostgreSQL's own limit is its stack's, some
	// thousands.
	maxDepth = 1000
)

// repaired is a document that jsonb takes: the same one where it takes that, which is changed false. Otherwise U+FFFD
// stands for each \u0000 and each half of a surrogate pair, and a number that is too large has become a text of its
// digits. It is nil where the document is too deep.
func repaired(doc []byte) (fit []byte, changed bool) {
	if !utf8.Valid(doc) {
		doc, changed = bytes.ToValidUTF8(doc, []byte("�")), true
	}
	var out []byte // of doc[:done], as soon as there is a difference
	done, depth := 0, 0
	replace := func(from, to int, by ...[]byte) {
		out = append(out, doc[done:from]...)
		for _, b := range by {
			out = append(out, b...)
		}
		done = to
	}
	for i := 0; i < len(doc); {
		switch c := doc[i]; {
		case c == '"':
			i++
			for i < len(doc) && doc[i] != '"' {
				if doc[i] != '\\' {
					i++
					continue
				}
				n, ok := escape(doc[i:])
				if !ok {
					replace(i, min(i+n, len(doc)), []byte(`\ufffd`))
				}
				i += n
			}
			i++
		case c == '-' || '0' <= c && c <= '9':
			n := 1
			for i+n < len(doc) && strings.IndexByte("0123456789+-.eE", doc[i+n]) >= 0 {
				n++
			}
			if number := doc[i : i+n]; n > maxDigits || bytes.ContainsAny(number, "eE") && !writable(number) {
				replace(i, i+n, []byte{'"'}, number, []byte{'"'})
			}
			i += n
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return nil, true
			}
			i++
		case c == '}' || c == ']':
			depth--
			i++
		default:
			i++
		}
	}
	if done == 0 {
		return doc, changed
	}
	return append(out, doc[done:]...), true
}

// escape is the length of the escape, or of the two of a surrogate pair, that s begins with; ok is false where
// jsonb does not take it.
func escape(s []byte) (n int, ok bool) {
	u, isU := unit(s)
	switch {
	case !isU:
		return 2, true
	case u == 0:
		return 6, false
	case u < 0xd800 || u > 0xdfff:
		return 6, true
	}
	if low, isU := unit(s[6:]); u < 0xdc00 && isU && low >= 0xdc00 && low <= 0xdfff {
		return 12, true
	}
	return 6, false
}

// unit is the number in a \u escape.
func unit(s []byte) (n uint64, ok bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return n, err == nil
}

// writable says whether a number with an exponent has few enough digits when it is written out.
func writable(number []byte) bool {
	mantissa, exponent, _ := bytes.Cut(bytes.ToLower(number), []byte{'e'})
	e, err := strconv.Atoi(string(exponent))
	if err != nil || e > maxDigits || e < -maxDigits {
		return false
	}
	whole, fraction, _ := bytes.Cut(bytes.TrimLeft(mantissa, "-"), []byte{'.'})
	return len(whole)+e <= maxDigits && len(fraction)-e <= maxDigits
}

// storable is text that a column takes: U+FFFD stands for NUL and for what is not UTF-8.
func storable(s string) (fit string, changed bool) {
	if strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s, false
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "�"), "�"), true
}

// PostgreSQL counts microseconds from the year 2000, from 4713 BC up to and without the year 294277.
const (
	epoch   = 946_684_800 // of 2000-01-01, in Unix seconds
	firstAt = -211_813_488_000_000_000
	endAt   = 9_223_371_331_200_000_000
)

// micros is a time as timestamptz counts; ok is false where it cannot.
func micros(t time.Time) (n int64, ok bool) {
	s := t.Unix() - epoch
	if s < firstAt/1_000_000 || s >= endAt/1_000_000 {
		return 0, false
	}
	return s*1_000_000 + int64(t.Nanosecond())/1000, true
}
