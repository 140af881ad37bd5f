package profile

import (
	"slices"
)

// State is what is known of one user's profile in Braze. The zero value knows nothing. A State is made to
// be used for one user after another, through Decode; it is not for concurrent use.
type State struct {
	updates uint64 // that were decided so far
	sources []string
	ids     []seen  // events with increments or object operators that were applied
	fields  []field // in the order in which they came
	order   []int32 // the same, by name
	size    int     // of the encoded state, at most

	window
	batch batch

	mem      []byte // what fields and pending writes point into
	versions []stamp
	exts     []*ext // to be used again
	extsUsed int
	names    map[string]*name
	interned map[string]string
	rules    *Rules // that the names were looked up in
	zones    map[string]bool
}

// field is what is known of one attribute, or of the state in one subscription group.
type field struct {
	name     []byte
	known    content // that Braze has
	by       stamp   // who wrote the whole of it
	sent     uint64  // number of the update that sent the whole of it; 0 for none
	last     uint64  // number of the newest update whose operators known has in it; 0 for none since sent
	versions []stamp // newest versioned writes of sources that do not stand
	ext      *ext    // of what is changed by operators; nil for most
	pend     int32   // index in State.pending, or none
}

const none = -1

type extKind uint8

const (
	_ extKind = iota
	extElements
	extIncs
	extObjects
	extKinds
)

// ext is what must be known of a field that operators have changed since it was last set.
type ext struct {
	kind     extKind
	elements []element // in the order in which they came to be as they are
	incs     []inc
	newest   stamp  // of the operators of an array of objects
	sent     uint64 // number of the newest update with such operators
}

// element is one value of an array, which was added or removed after the array was set.
type element struct {
	raw    []byte
	sum    uint64
	by     stamp
	sent   uint64
	add    bool  // what ought to be
	has    has   // what is, in Braze
	record int32 // index in State.records, while the write waits to be sent
}

// has is whether Braze has an element.
type has uint8

const (
	hasUnknown has = iota
	hasIt
	hasNot
	hasEnd
)

// inc is an increment.
type inc struct {
	n      int64
	by     stamp
	sent   uint64
	record int32 // as in element
}

// seen is an event whose operators have been applied.
type seen struct {
	id   uint64
	time int64  // milliseconds, when it was applied
	sent uint64 // number of the update, 0 when there was nothing to send
	part int    // the update's object that it went out with
}

// Decode makes the state what the bytes say; no bytes are a user of whom nothing is known. They are
// copied. After an error nothing is known either.
func (s *State) Decode(b []byte) error {
	s.reset()
	if len(b) == 0 {
		return nil
	}
	s.mem = append(s.mem, b...)
	if err := s.decode(s.mem[:len(b):len(b)]); err != nil {
		s.reset()
		return err
	}
	s.size = len(b)
	return nil
}

// Empty reports whether nothing is known.
func (s *State) Empty() bool { return len(s.fields) == 0 && len(s.ids) == 0 && s.updates == 0 }

func (s *State) reset() {
	s.updates, s.size, s.extsUsed = 0, 0, 0
	s.sources, s.ids, s.fields, s.order = s.sources[:0], s.ids[:0], s.fields[:0], s.order[:0]
	s.mem, s.versions = s.mem[:0], s.versions[:0]
	s.clearWindow()
}

// keep copies bytes to where they stay until the next Decode.
func (s *State) keep(b []byte) []byte {
	from := len(s.mem)
	s.mem = append(s.mem, b...)
	return s.mem[from:len(s.mem):len(s.mem)]
}

// find returns the place of a field in the order, and whether it is there.
func (s *State) find(name string) (at int, found bool) {
	low, high := 0, len(s.order)
	for low < high {
		middle := int(uint(low+high) >> 1)
		switch known := s.fields[s.order[middle]].name; {
		case string(known) == name:
			return middle, true
		case string(known) < name:
			low = middle + 1
		default:
			high = middle
		}
	}
	return low, false
}

// field returns the field of that name, a new one if there is none. It is good until the next is made.
func (s *State) field(name string) *field {
	at, found := s.find(name)
	if found {
		return &s.fields[s.order[at]]
	}
	from := len(s.mem)
	s.mem = append(s.mem, name...)
	s.order = slices.Insert(s.order, at, int32(len(s.fields)))
	s.fields = append(s.fields, field{name: s.mem[from:len(s.mem):len(s.mem)], by: stamp{source: nobody}, pend: none})
	return &s.fields[len(s.fields)-1]
}

// source returns the index of a source's name.
func (s *State) source(name string) int32 {
	for i, known := range s.sources {
		if known == name {
			return int32(i)
		}
	}
	s.sources = append(s.sources, name)
	return int32(len(s.sources) - 1)
}

// newExt returns an empty one of those that were used for another user.
func (s *State) newExt(k extKind) *ext {
	if s.extsUsed == len(s.exts) {
		s.exts = append(s.exts, new(ext))
	}
	e := s.exts[s.extsUsed]
	s.extsUsed++
	*e = ext{kind: k, elements: e.elements[:0], incs: e.incs[:0], newest: stamp{source: nobody}}
	return e
}

// intern makes a string of bytes that come again and again.
func (s *State) intern(b []byte) string {
	if text, known := s.interned[string(b)]; known {
		return text
	}
	if s.interned == nil || len(s.interned) >= maxInterned {
		s.interned = map[string]string{}
	}
	text := string(b)
	s.interned[text] = text
	return text
}

// maxInterned bounds names and sources that are remembered from user to user.
const maxInterned = 4096
