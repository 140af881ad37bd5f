package ingest

import "fmt"

// scanner reads JSON in place, in one pass, without building anything: what it returns aliases the
// body, and numbers stay the digits that were sent. It was written by hand because a request spends
// most of its time here (README, "Why it is so"); a fuzz test holds it to jsontext's judgement.
//
// It tells two kinds of trouble apart. A fault means that the outline of the JSON is broken, so that
// nothing in the body can be trusted. A flaw lies within one value, such as a name that an object has
// twice or bytes that are not UTF-8: it spoils the item that it stands in and no other.
type scanner struct {
	buf []byte
	pos int

	fault fault
	flaw  flaw // the first since it was last cleared

	depth int // objects and arrays that are open
	limit int // depth beyond which there is a flaw

	name   string // the last that member has read
	nameAt int    // where it began

	names []string              // those of the open objects, innermost last
	large []largeObject         // open objects that have too many names to compare one by one
	spare []map[string]struct{} // sets for such objects, empty
	text  []byte                // strings that had to be unescaped
	pool  commercePool          // what is read into, of commerce events
}

// fault is where and why the body is not JSON.
type fault struct {
	what string // empty for none
	at   int    // offset in the body
}

func (f fault) Error() string { return fmt.Sprintf("%s at byte %d", f.what, f.at) }

// flaw is where and why a value cannot be taken.
type flaw struct {
	why why
	at  int
}

type largeObject struct {
	base  int // where its names begin in scanner.names
	names map[string]struct{}
}

const (
	// deepest is how deep anything may be nested at all. What the limits of an item say is far less.
	deepest = 512
	// fewNames is how many names of one object are compared one by one.
	fewNames = 24
)

// reset begins a body.
func (s *scanner) reset(body []byte) {
	s.buf, s.pos, s.depth, s.limit = body, 0, 0, deepest
	s.fault, s.flaw = fault{}, flaw{}
	s.name, s.nameAt = "", 0
	clear(s.names) // they would keep the last body alive
	s.names, s.large, s.text = s.names[:0], s.large[:0], s.text[:0]
	s.pool.reset()
}

// broken records a fault, the first one only.
func (s *scanner) broken(at int, what string) bool {
	if s.fault.what == "" {
		s.fault = fault{what, at}
	}
	return false
}

// flawed records a flaw, the first one only.
func (s *scanner) flawed(at int, w why) {
	if s.flaw.why == fine {
		s.flaw = flaw{w, at}
	}
}

// peek is the first byte of what comes next, 0 at the end.
func (s *scanner) peek() byte {
	for s.pos < len(s.buf) {
		switch c := s.buf[s.pos]; c {
		case ' ', '\n', '\r', '\t':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// end reports whether the body ends here, as it must.
func (s *scanner) end() bool {
	if s.peek() != 0 || s.pos < len(s.buf) {
		return s.broken(s.pos, "something follows the JSON value")
	}
	return true
}

func (s *scanner) open() bool {
	if s.depth++; s.depth > s.limit {
		if s.flawed(s.pos, tooDeep); s.depth > deepest {
			return s.broken(s.pos, "values are nested too deeply")
		}
	}
	s.pos++
	return true
}

// object opens the object that begins here. What it returns is for member.
func (s *scanner) object() (base int) {
	s.open()
	return len(s.names)
}

// member moves to the value of the object's next member, whose name it leaves in s.name. It is false
// at the object's end and after a fault. The first call for an object says so.
//
//	for base, first := s.object(), true; s.member(base, first); first = false {
//		s.value()
//	}
func (s *scanner) member(base int, first bool) bool {
	c := s.peek()
	switch {
	case s.fault.what != "":
		return false
	case c == '}':
		s.closeObject(base)
		return false
	case !first && c == ',':
		s.pos++
		c = s.peek()
	case !first:
		return s.broken(s.pos, "expected a comma or }")
	}
	if c != '"' {
		return s.broken(s.pos, "expected a name in quotes")
	}
	s.nameAt = s.pos
	name, ok := s.str()
	if !ok {
		return false
	}
	s.name = name
	s.addName(base, name)
	if s.peek() != ':' {
		return s.broken(s.pos, "expected a colon")
	}
	s.pos++
	return true
}

func (s *scanner) closeObject(base int) {
	s.pos++
	s.depth--
	s.names = s.names[:base]
	if n := len(s.large); n > 0 && s.large[n-1].base == base {
		clear(s.large[n-1].names)
		s.spare = append(s.spare, s.large[n-1].names)
		s.large = s.large[:n-1]
	}
}

// addName notes that the open object whose names begin at base has this one.
func (s *scanner) addName(base int, name string) {
	if n := len(s.large); n > 0 && s.large[n-1].base == base {
		set := s.large[n-1].names
		if _, twice := set[name]; twice {
			s.flawed(s.nameAt, duplicateName)
		}
		set[name] = struct{}{}
		return
	}
	for _, other := range s.names[base:] {
		if other == name {
			s.flawed(s.nameAt, duplicateName)
			return
		}
	}
	if s.names = append(s.names, name); len(s.names)-base < fewNames {
		return
	}
	set := map[string]struct{}{}
	if n := len(s.spare); n > 0 {
		set, s.spare = s.spare[n-1], s.spare[:n-1]
	}
	for _, other := range s.names[base:] {
		set[other] = struct{}{}
	}
	s.large = append(s.large, largeObject{base, set})
}

// element moves to the array's next element, after open. It is false at the array's end and after a
// fault.
func (s *scanner) element(first bool) bool {
	c := s.peek()
	switch {
	case s.fault.what != "":
		return false
	case c == ']':
		s.pos++
		s.depth--
		return false
	case first:
		return true
	case c == ',':
		s.pos++
		return true
	}
	return s.broken(s.pos, "expected a comma or ]")
}

// value passes over a value of any kind.
func (s *scanner) value() bool {
	switch c := s.peek(); {
	case c == '"':
		return s.skipString()
	case c == '{':
		for base, first := s.object(), true; s.member(base, first); first = false {
			if !s.value() {
				return false
			}
		}
		return s.fault.what == ""
	case c == '[':
		for first := s.open(); s.element(first); first = false {
			if !s.value() {
				return false
			}
		}
		return s.fault.what == ""
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.broken(s.pos, "expected a value")
}

// raw passes over a value and returns its bytes as they were sent.
func (s *scanner) raw() []byte {
	s.peek()
	start := s.pos
	s.value()
	return s.buf[start:s.pos:s.pos]
}

// null passes over a null, if one comes next.
func (s *scanner) null() bool { return s.peek() == 'n' && s.literal("null") }

func (s *scanner) literal(word string) bool {
	if end := s.pos + len(word); end <= len(s.buf) && string(s.buf[s.pos:end]) == word {
		s.pos = end
		return true
	}
	return s.broken(s.pos, "expected a value")
}

func (s *scanner) number() bool {
	b, i := s.buf, s.pos
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if n := digits(b, i); n > i {
		i = n
	} else {
		return s.broken(i, "expected a digit")
	}
	if i < len(b) && b[i] == '.' {
		n := digits(b, i+1)
		if n == i+1 {
			return s.broken(n, "expected a digit")
		}
		i = n
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		n := digits(b, i)
		if n == i {
			return s.broken(n, "expected a digit")
		}
		i = n
	}
	s.pos = i
	return true
}

// digits is where the digits end that begin at i.
func digits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}
