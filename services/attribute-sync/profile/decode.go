package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// errState is what is wrong with bytes that are no state.
var errState = errors.New("not an encoded profile")

func broken(what string) error { return fmt.Errorf("decoding profile: %w: %s", errState, what) }

// decoder reads an encoded state. The first thing wrong is kept; all that follows is nothing.
type decoder struct {
	*State
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err, d.b = broken(what), nil
	}
}

func (d *decoder) uvarint() uint64 {
	if len(d.b) > 0 && d.b[0] < 0x80 {
		n := d.b[0]
		d.b = d.b[1:]
		return uint64(n)
	}
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) varint() int64 {
	n := d.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("it is cut off")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint64() uint64 {
	if len(d.b) < 8 {
		d.fail("a hash is cut off")
		return 0
	}
	n := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return n
}

// bytes returns what a length stands before, as part of the state's own memory.
func (d *decoder) bytes(most int) []byte {
	n := d.uvarint()
	if n > uint64(most) || n > uint64(len(d.b)) {
		d.fail("a text is too long")
		return nil
	}
	text := d.b[:n:n]
	d.b = d.b[n:]
	return text
}

// length reads how many there are of something, of which each takes a few bytes at least.
func (d *decoder) length(most int) int {
	n := d.uvarint()
	if n > uint64(most) || n > uint64(len(d.b)) {
		d.fail("a list is too long")
		return 0
	}
	return int(n)
}

func (d *decoder) age() uint64 {
	n := d.uvarint()
	switch {
	case n == 0:
		return 0
	case n > d.updates:
		d.fail("an update is older than the first")
		return 0
	}
	return d.updates - n + 1
}

func (d *decoder) stamp() stamp {
	source := d.uvarint()
	st := stamp{source: int32(min(source>>1, 1<<30)), versioned: source&1 != 0, time: d.varint()}
	if int(st.source) >= len(d.sources) {
		d.fail("a source has no name")
		return stamp{source: nobody}
	}
	if st.versioned {
		st.version = d.varint()
	}
	return st
}

func (s *State) decode(b []byte) error {
	d := decoder{State: s, b: b}
	form := d.byte()
	if form != format && form != formatWithParts {
		return broken("the format is another")
	}
	if s.updates = d.uvarint(); s.updates > 1<<62 {
		return broken("there were never so many updates")
	}
	for range d.length(len(b)) {
		s.sources = append(s.sources, s.intern(d.bytes(maxSource)))
	}
	for range d.length(maxIDs) {
		id := seen{id: d.uint64(), time: d.varint(), sent: d.age()}
		if form == formatWithParts {
			id.part = int(min(d.uvarint(), 1<<30))
		}
		s.ids = append(s.ids, id)
	}
	s.newIDs = len(s.ids)
	n := d.length(MaxFields + ownFields)
	s.fields, s.order = slices.Grow(s.fields, n), slices.Grow(s.order, n)
	for i := range n {
		s.fields = append(s.fields, field{by: stamp{source: nobody}, pend: none})
		s.order = append(s.order, int32(i))
		f := &s.fields[i]
		if d.field(f); i > 0 && string(f.name) <= string(s.fields[i-1].name) {
			d.fail("the fields are not in order")
		}
		if d.err != nil {
			break
		}
	}
	if d.err == nil && len(d.b) > 0 {
		d.fail("something follows")
	}
	return d.err
}

func (d *decoder) field(f *field) {
	f.name = d.bytes(maxName)
	is, flags := d.byte(), d.byte()
	f.known = content{kind: kind(is & 0xf), shape: shape(is >> 4)}
	if f.known.kind >= kinds || f.known.shape >= shapes || extKind(flags>>extShift&extMask) >= extKinds || flags >= flagLast<<1 {
		d.fail("a field is of no kind that there is")
		return
	}
	switch f.known.kind {
	case whole:
		f.known.bits = uint64(d.varint())
	case hashed:
		f.known.bits = d.uint64()
	default: // the kind says it all
	}
	if flags&flagBy != 0 {
		f.by = d.stamp()
	}
	f.sent = d.age()
	if flags&flagLast != 0 {
		f.last = d.age()
	}
	if flags&flagVersions != 0 {
		from := len(d.versions)
		for range d.length(maxVersions) {
			d.versions = append(d.versions, d.stamp())
		}
		f.versions = d.versions[from:len(d.versions):len(d.versions)]
	}
	if k := extKind(flags >> extShift & extMask); k != 0 && d.err == nil {
		f.ext = d.newExt(k)
		d.ext(f.ext)
	}
}

func (d *decoder) ext(e *ext) {
	switch e.kind {
	case extElements:
		for range d.length(maxElements) {
			el := element{by: d.stamp(), sent: d.age(), record: none}
			how := d.byte()
			el.add, el.has, el.raw = how&1 != 0, has(how>>1), d.bytes(maxElemSize)
			if el.has >= hasEnd || d.err != nil || !d.scalar(&el) {
				d.fail("an element of an array is none")
				return
			}
			e.elements = append(e.elements, el)
		}
	case extIncs:
		for range d.length(maxIncs) {
			e.incs = append(e.incs, inc{by: d.stamp(), sent: d.age(), n: d.varint(), record: none})
		}
	default:
		e.newest, e.sent = d.stamp(), d.age()
	}
}

// scalar checks that an element is a string, a number or a boolean, for it will be sent as it is.
func (d *decoder) scalar(el *element) bool {
	c := &d.batch.inner
	c.start(el.raw)
	is, ok := c.value(1)
	el.sum = is.sum()
	return ok && c.i == len(el.raw) && is.shape != array && is.shape != object && is.shape != objects
}
