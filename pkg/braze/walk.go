package braze

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// maxNesting bounds how deep properties and attributes may be nested. Braze documents no such limit;
// this one keeps a hostile record from taking the stack.
const maxNesting = 128

// walker reads an object once, holding it to JSON's grammar and to Braze's rules at the same time.
// Whoever writes to a topic may have put any bytes there, and they are copied into a request that
// other customers' objects share; a second pass for validity would cost as much as all the rest.
type walker struct {
	b       []byte
	i       int
	rules   *rules
	members int  // of the outermost object
	free    bool // strings may be of any length where we are
	escaped bool // the string taken last has an escape sequence

	at   int // where a rule is broken
	rule Rule
}

func (w *walker) broken(at int, rule Rule) bool {
	if w.rule == "" {
		w.at, w.rule = at, rule
	}
	return false
}

// space skips white space. One comparison finds that there is none, as in most JSON.
func (w *walker) space() {
	for w.i < len(w.b) && w.b[w.i] <= ' ' {
		if c := w.b[w.i]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return
		}
		w.i++
	}
}

// next skips white space and takes one byte if it is the one given.
func (w *walker) next(c byte) bool {
	if w.i < len(w.b) && w.b[w.i] == c {
		w.i++
		return true
	}
	w.space()
	if w.i < len(w.b) && w.b[w.i] == c {
		w.i++
		return true
	}
	return false
}

func (w *walker) value(depth int) bool {
	w.space()
	if w.i == len(w.b) {
		return w.broken(0, RuleNotJSON)
	}
	if depth > maxNesting {
		return w.broken(w.i, RuleTooDeep)
	}
	switch c := w.b[w.i]; c {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth)
	case '"':
		at := w.i
		inner, ok := w.text()
		if ok && !w.free && longer(inner, MaxStringLen) {
			return w.broken(at, RuleStringTooLong)
		}
		return ok
	case 't':
		return w.literal("true")
	case 'f':
		return w.literal("false")
	case 'n':
		return w.literal("null")
	}
	return w.number()
}

func (w *walker) object(depth int) bool {
	w.i++
	if w.next('}') {
		return true
	}
	for {
		w.space()
		at := w.i
		if w.i == len(w.b) || w.b[w.i] != '"' {
			return w.broken(0, RuleNotJSON)
		}
		inner, ok := w.text()
		if !ok {
			return false
		}
		if rule := w.rules.name(inner, w.escaped, depth == 1); rule != "" {
			return w.broken(at, rule)
		}
		if depth == 1 {
			if w.members++; w.members > w.rules.maxMembers {
				return w.broken(at, RuleTooMany)
			}
			w.free = w.rules.loose || w.rules.free != "" && string(inner) == w.rules.free
		}
		if !w.next(':') {
			return w.broken(0, RuleNotJSON)
		}
		if !w.value(depth + 1) {
			return false
		}
		if w.next('}') {
			return true
		}
		if !w.next(',') {
			return w.broken(0, RuleNotJSON)
		}
	}
}

func (w *walker) array(depth int) bool {
	w.i++
	if w.next(']') {
		return true
	}
	for {
		if !w.value(depth + 1) {
			return false
		}
		if w.next(']') {
			return true
		}
		if !w.next(',') {
			return w.broken(0, RuleNotJSON)
		}
	}
}

// text takes a string and returns what stands between its quotes.
func (w *walker) text() (inner []byte, ok bool) {
	from := w.i + 1
	w.escaped = false
	for i := from; ; {
		i += ordinary(w.b[i:])
		if i >= len(w.b) {
			return nil, w.broken(0, RuleNotJSON)
		}
		switch c := w.b[i]; {
		case c == '"':
			w.i = i + 1
			return w.b[from:i], true
		case c == '\\':
			n := escape(w.b[i:])
			w.escaped = true
			if n == 0 {
				return nil, w.broken(0, RuleNotJSON)
			}
			i += n
		case c < ' ':
			return nil, w.broken(0, RuleNotJSON)
		default:
			r, n := utf8.DecodeRune(w.b[i:])
			if r == utf8.RuneError && n == 1 {
				return nil, w.broken(0, RuleNotJSON)
			}
			i += n
		}
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// ordinary is how many bytes at the beginning of b mean only themselves in a string. It looks at eight
// bytes at once: a byte is special when it is below a space, a quote, a backslash, or beyond ASCII.
func ordinary(b []byte) int {
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64(b[n:])
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		special := (v - ones*' ') | (quote - ones) | (slash - ones) | v
		// The subtractions above borrow into a byte only behind one that is special itself, and the
		// first special byte is all that is asked for.
		if special &= highs; special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return n
}

// escape is the length of the escape sequence at the beginning of b, 0 when there is none such.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
				return 0
			}
		}
		return 6
	}
	return 0
}

func (w *walker) literal(word string) bool {
	if len(w.b)-w.i < len(word) || string(w.b[w.i:w.i+len(word)]) != word {
		return w.broken(0, RuleNotJSON)
	}
	w.i += len(word)
	return true
}

func (w *walker) number() bool {
	if w.i < len(w.b) && w.b[w.i] == '-' {
		w.i++
	}
	first := w.i
	if w.digits() == 0 || w.b[first] == '0' && w.i > first+1 {
		return w.broken(0, RuleNotJSON)
	}
	if w.i < len(w.b) && w.b[w.i] == '.' {
		if w.i++; w.digits() == 0 {
			return w.broken(0, RuleNotJSON)
		}
	}
	if w.i < len(w.b) && (w.b[w.i] == 'e' || w.b[w.i] == 'E') {
		if w.i++; w.i < len(w.b) && (w.b[w.i] == '+' || w.b[w.i] == '-') {
			w.i++
		}
		if w.digits() == 0 {
			return w.broken(0, RuleNotJSON)
		}
	}
	return true
}

func (w *walker) digits() (n int) {
	for w.i < len(w.b) && w.b[w.i] >= '0' && w.b[w.i] <= '9' {
		w.i++
		n++
	}
	return n
}
