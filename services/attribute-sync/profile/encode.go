package profile

import (
	"encoding/binary"
)

// format is the first byte of an encoded state. What follows, every number a varint but for hashes:
//
//	state     format, updates, sources, ids, fields; each list with its length before it
//	source    length, name
//	id        hash (8 bytes), time, age, and in the format with parts the part
//	field     length, name (ascending); kind and shape of what is known in one byte; flags;
//	          the number or hash of the value; stamp; age; age of the last operators in what is known;
//	          versions with their number; operators
//	stamp     source×2 + versioned, time, version if there is one
//	operators elements: number; each stamp, age, has×2 + add, length, JSON
//	          increments: number; each stamp, age, n
//	          objects: stamp, age
//
// An age is how many updates ago it was, plus one, so that what was just sent takes one byte; 0 is never.
const format = 1

// formatWithParts is the first byte where an id went out with an object that was not its update's first,
// which is rare.
const formatWithParts = 2

// Flags of a field. The kind of its operators stands above them.
const (
	flagBy byte = 1 << iota
	flagVersions
	extShift = iota
	extMask  = 3
	flagLast = 1 << 4
)

// Append appends the encoded state to dst. It is to be called behind [State.Update]: of what waits to be
// sent only that it is unknown would be written.
func (s *State) Append(dst []byte) []byte {
	s.sweepSources()
	form := byte(format)
	for i := range s.ids {
		if s.ids[i].part > 0 {
			form = formatWithParts
		}
	}
	dst = append(dst, form)
	dst = binary.AppendUvarint(dst, s.updates)
	dst = binary.AppendUvarint(dst, uint64(len(s.sources)))
	for _, source := range s.sources {
		dst = append(binary.AppendUvarint(dst, uint64(len(source))), source...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.ids)))
	for _, id := range s.ids {
		dst = binary.LittleEndian.AppendUint64(dst, id.id)
		dst = binary.AppendVarint(dst, id.time)
		dst = s.appendAge(dst, id.sent)
		if form == formatWithParts {
			dst = binary.AppendUvarint(dst, uint64(id.part))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.order)))
	for _, i := range s.order {
		dst = s.appendField(dst, &s.fields[i])
	}
	return dst
}

func (s *State) appendField(dst []byte, f *field) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(f.name))), f.name...)
	known := f.known
	if f.pend != none {
		known = content{}
	}
	flags := byte(0)
	if f.by.source != nobody {
		flags |= flagBy
	}
	if len(f.versions) > 0 {
		flags |= flagVersions
	}
	if f.ext != nil {
		flags |= byte(f.ext.kind) << extShift
	}
	last := known.kind != unknown && f.last != 0 // of what is unknown nothing can be forgotten
	if last {
		flags |= flagLast
	}
	dst = append(dst, byte(known.kind)|byte(known.shape)<<4, flags)
	switch known.kind {
	case whole:
		dst = binary.AppendVarint(dst, int64(known.bits))
	case hashed:
		dst = binary.LittleEndian.AppendUint64(dst, known.bits)
	default: // the kind says it all
	}
	if flags&flagBy != 0 {
		dst = appendStamp(dst, &f.by)
	}
	dst = s.appendAge(dst, f.sent)
	if last {
		dst = s.appendAge(dst, f.last)
	}
	if flags&flagVersions != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(f.versions)))
		for i := range f.versions {
			dst = appendStamp(dst, &f.versions[i])
		}
	}
	if f.ext != nil {
		dst = s.appendExt(dst, f.ext)
	}
	return dst
}

func (s *State) appendExt(dst []byte, e *ext) []byte {
	switch e.kind {
	case extElements:
		dst = binary.AppendUvarint(dst, uint64(len(e.elements)))
		for i := range e.elements {
			el := &e.elements[i]
			dst = s.appendAge(appendStamp(dst, &el.by), el.sent)
			how := byte(el.has) << 1
			if el.add {
				how |= 1
			}
			dst = append(binary.AppendUvarint(append(dst, how), uint64(len(el.raw))), el.raw...)
		}
	case extIncs:
		dst = binary.AppendUvarint(dst, uint64(len(e.incs)))
		for i := range e.incs {
			in := &e.incs[i]
			dst = binary.AppendVarint(s.appendAge(appendStamp(dst, &in.by), in.sent), in.n)
		}
	default:
		dst = s.appendAge(appendStamp(dst, &e.newest), e.sent)
	}
	return dst
}

func appendStamp(dst []byte, st *stamp) []byte {
	source := uint64(st.source) << 1
	if st.versioned {
		source |= 1
	}
	dst = binary.AppendVarint(binary.AppendUvarint(dst, source), st.time)
	if st.versioned {
		dst = binary.AppendVarint(dst, st.version)
	}
	return dst
}

func (s *State) appendAge(dst []byte, sent uint64) []byte {
	if sent == 0 {
		return append(dst, 0)
	}
	return binary.AppendUvarint(dst, s.updates-sent+1)
}

// sweptSources is how many sources there may be before those are looked for that no stamp names.
const sweptSources = 8

// sweepSources forgets sources of which nothing is left.
func (s *State) sweepSources() {
	if len(s.sources) <= sweptSources {
		return
	}
	place := make([]int32, len(s.sources))
	kept := s.sources[:0:0]
	s.stamps(func(st *stamp) {
		if place[st.source] == 0 {
			kept = append(kept, s.sources[st.source])
			place[st.source] = int32(len(kept))
		}
		st.source = place[st.source] - 1
	})
	s.sources = kept
}

// stamps calls do for every stamp that names a source.
func (s *State) stamps(do func(*stamp)) {
	for i := range s.fields {
		f := &s.fields[i]
		if f.by.source != nobody {
			do(&f.by)
		}
		for j := range f.versions {
			do(&f.versions[j])
		}
		if f.ext == nil {
			continue
		}
		if f.ext.newest.source != nobody {
			do(&f.ext.newest)
		}
		for j := range f.ext.elements {
			do(&f.ext.elements[j].by)
		}
		for j := range f.ext.incs {
			do(&f.ext.incs[j].by)
		}
	}
}
