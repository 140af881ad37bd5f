package table

import (
	"encoding/binary"
	"hash/maphash"
)

// hot holds values in memory: those that were changed and are not on the disk yet, and those that were read or changed
// not long ago. What is changed again soon, as most is, goes to the disk once; and what is asked for again soon, as
// most is, is not looked up there. Writing late is safe because the changelog has it all (see package doc).
//
// It is a log in memory: values are appended to segments, an index knows the newest place of each key, and the
// oldest segment is dropped as a whole. Neither has pointers that the garbage collector would follow. Whoever
// owns it calls it from one goroutine.
type hot struct {
	seed     maphash.Seed
	index    map[uint64]place
	segments []*segment // the oldest first; the last is appended to
	first    uint32     // number of the first segment
	size     int        // of a segment
	keep     int        // segments
	dirty    int        // bytes that are not on the disk
	round    uint64     // counts the times after which nothing handed out before is used any more
	spare    *segment   // dropped, to be used again in another round
	dropped  uint64     // the round in which it was
}

// place says where a value is: the number of a segment, counted from the beginning, and the offset in it.
type place uint64

func placeOf(segment uint32, offset int) place { return place(segment)<<32 | place(offset) }

func (p place) segment() uint32 { return uint32(p >> 32) }
func (p place) offset() int     { return int(uint32(p)) }

// segment is a stretch of the log.
type segment struct {
	b     []byte
	dirty int // values in it that are not on the disk
}

// item is a value in the log.
type item struct {
	tag     uint32 // of the partition's copy, see part
	due     int64
	deleted bool
	dirty   bool // not on the disk
	key     []byte
	value   []byte
	hash    uint64
}

const (
	itemHead    = 8 + 4 + 1 + 8 + 2 + 4 // hash, tag, flags, due, lengths of key and value
	flagDeleted = 1
	flagDirty   = 2

	maxKey = 1<<16 - 1
)

// newHot makes the memory for about that many bytes, and for the largest item in any case.
func newHot(bytes int64, largest int) *hot {
	h := &hot{seed: maphash.MakeSeed(), keep: 8}
	h.size = max(int(bytes)/h.keep, itemHead+largest)
	h.clear()
	return h
}

// clear forgets everything, also what is not on the disk.
func (h *hot) clear() {
	h.index = map[uint64]place{}
	h.dirty = 0
	h.first += uint32(len(h.segments))
	h.segments = []*segment{{b: make([]byte, 0, h.size)}}
}

func (h *hot) hash(tag uint32, key []byte) uint64 {
	return maphash.Bytes(h.seed, key) ^ uint64(tag)*0x9E3779B97F4A7C15
}

// get finds the newest item of a key.
func (h *hot) get(tag uint32, key []byte) (item, bool) {
	p, ok := h.index[h.hash(tag, key)]
	if !ok {
		return item{}, false
	}
	i, _ := h.at(p)
	return i, i.tag == tag && string(i.key) == string(key)
}

// at reads the item of a place, and says where the next begins.
func (h *hot) at(p place) (i item, end int) {
	return h.segments[p.segment()-h.first].item(p.offset())
}

func (s *segment) item(offset int) (i item, end int) {
	b := s.b[offset:]
	i.hash = binary.LittleEndian.Uint64(b)
	i.tag = binary.LittleEndian.Uint32(b[8:])
	i.deleted, i.dirty = b[12]&flagDeleted != 0, b[12]&flagDirty != 0
	i.due = int64(binary.LittleEndian.Uint64(b[13:]))
	keyLen, valueLen := int(binary.LittleEndian.Uint16(b[21:])), int(binary.LittleEndian.Uint32(b[23:]))
	end = itemHead + keyLen + valueLen
	i.key = b[itemHead : itemHead+keyLen : itemHead+keyLen]
	i.value = b[itemHead+keyLen : end : end]
	return i, offset + end
}

// full reports whether what waits has to be written before an item can be put: there is much of it, or it stands
// where memory is needed.
func (h *hot) full(i item) bool {
	if h.dirty > h.size*h.keep/2 {
		return true
	}
	return !h.fits(i) && len(h.segments) == h.keep && h.segments[0].dirty > 0
}

func (h *hot) fits(i item) bool {
	s := h.segments[len(h.segments)-1]
	return len(s.b)+itemHead+len(i.key)+len(i.value) <= cap(s.b)
}

// put appends an item. It reports false where another key that is not on the disk has the same hash, which would be
// forgotten: it has to be written first.
func (h *hot) put(i item) bool {
	i.hash = h.hash(i.tag, i.key)
	if p, ok := h.index[i.hash]; ok {
		old, _ := h.at(p)
		if old.dirty && (old.tag != i.tag || string(old.key) != string(i.key)) {
			return false
		}
		if old.dirty {
			h.clean(p)
		}
	}
	if !h.fits(i) {
		h.turn()
	}
	s := h.segments[len(h.segments)-1]
	h.index[i.hash] = placeOf(h.first+uint32(len(h.segments)-1), len(s.b))
	var flags byte
	if i.deleted {
		flags |= flagDeleted
	}
	if i.dirty {
		flags |= flagDirty
		s.dirty++
		h.dirty += itemHead + len(i.key) + len(i.value)
	}
	s.b = binary.LittleEndian.AppendUint64(s.b, i.hash)
	s.b = binary.LittleEndian.AppendUint32(s.b, i.tag)
	s.b = append(s.b, flags)
	s.b = binary.LittleEndian.AppendUint64(s.b, uint64(i.due))
	s.b = binary.LittleEndian.AppendUint16(s.b, uint16(len(i.key)))
	s.b = binary.LittleEndian.AppendUint32(s.b, uint32(len(i.value)))
	s.b = append(s.b, i.key...)
	s.b = append(s.b, i.value...)
	return true
}

// clean says that the item of a place need not be written any more.
func (h *hot) clean(p place) {
	s := h.segments[p.segment()-h.first]
	_, end := s.item(p.offset())
	s.b[p.offset()+12] &^= flagDirty
	s.dirty--
	h.dirty -= end - p.offset()
}

// flush calls each with every item that is not on the disk, and takes it for written.
func (h *hot) flush(each func(item) error) error {
	for n, s := range h.segments {
		for offset := 0; s.dirty > 0 && offset < len(s.b); {
			i, end := s.item(offset)
			if i.dirty {
				if err := each(i); err != nil {
					return err
				}
				h.clean(placeOf(h.first+uint32(n), offset))
			}
			offset = end
		}
	}
	return nil
}

// turn begins a new segment, and drops the oldest when there are too many. Everything in that is on the disk.
func (h *hot) turn() {
	if len(h.segments) == h.keep {
		old := h.segments[0]
		for offset := 0; offset < len(old.b); {
			p := placeOf(h.first, offset)
			i, end := old.item(offset)
			if h.index[i.hash] == p {
				delete(h.index, i.hash)
			}
			offset = end
		}
		h.segments[0] = nil
		h.segments = h.segments[1:]
		h.first++
		defer func() { h.spare, h.dropped = old, h.round }()
	}
	next := h.spare
	if next == nil || h.dropped == h.round { // somebody may still look at what stands there
		next = &segment{b: make([]byte, 0, h.size)}
	}
	next.b, next.dirty, h.spare = next.b[:0], 0, nil
	h.segments = append(h.segments, next)
}
