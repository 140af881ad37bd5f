package table

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// pile gathers entries of a View until they are written. It has no pointers that the garbage collector would follow.
type pile struct {
	b     []byte            // entries, one behind the other
	index map[uint64]uint32 // hash to the newest entry; where two keys have one hash, the next free number
}

// entry is what is stored under a key, and when it came.
type entry struct {
	at    int64 // milliseconds
	value []byte
}

const pileHead = 8 + 2 + 4 // time, lengths of key and value

func newPile(room int) *pile { return &pile{index: make(map[uint64]uint32, room)} }

func (p *pile) len() int {
	if p == nil {
		return 0
	}
	return len(p.index)
}

// find returns the number under which a key is, or would be, in the index.
func (p *pile) find(hash uint64, key []byte) (slot uint64, ok bool) {
	for slot = hash; ; slot++ {
		at, taken := p.index[slot]
		if !taken {
			return slot, false
		}
		if k, _ := p.at(at); bytes.Equal(k, key) {
			return slot, true
		}
	}
}

func (p *pile) get(hash uint64, key []byte) (entry, bool) {
	if p == nil {
		return entry{}, false
	}
	slot, ok := p.find(hash, key)
	if !ok {
		return entry{}, false
	}
	_, e := p.at(p.index[slot])
	return e, true
}

func (p *pile) at(offset uint32) (key []byte, e entry) {
	b := p.b[offset:]
	e.at = int64(binary.LittleEndian.Uint64(b))
	keyLen, valueLen := int(binary.LittleEndian.Uint16(b[8:])), int(binary.LittleEndian.Uint32(b[10:]))
	end := pileHead + keyLen + valueLen
	e.value = b[pileHead+keyLen : end : end]
	return b[pileHead : pileHead+keyLen : pileHead+keyLen], e
}

func (p *pile) put(hash uint64, key []byte, e entry) {
	slot, _ := p.find(hash, key)
	p.index[slot] = uint32(len(p.b))
	p.b = binary.LittleEndian.AppendUint64(p.b, uint64(e.at))
	p.b = binary.LittleEndian.AppendUint16(p.b, uint16(len(key)))
	p.b = binary.LittleEndian.AppendUint32(p.b, uint32(len(e.value)))
	p.b = append(p.b, key...)
	p.b = append(p.b, e.value...)
}

// each calls f with the newest entry of every key, in the order of the keys.
func (p *pile) each(f func(key []byte, e entry) error) error {
	if p == nil {
		return nil
	}
	offsets := make([]uint32, 0, len(p.index))
	for _, at := range p.index {
		offsets = append(offsets, at)
	}
	slices.SortFunc(offsets, func(a, b uint32) int {
		ka, _ := p.at(a)
		kb, _ := p.at(b)
		return bytes.Compare(ka, kb)
	})
	for _, at := range offsets {
		if err := f(p.at(at)); err != nil {
			return err
		}
	}
	return nil
}
