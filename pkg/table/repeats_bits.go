package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A bitmap has a bit for each offset of a partition. It stands on the disk in chunks, of which those without any
// bit are left out; in memory are the ones that were asked for last.

const (
	chunkShift = 15
	chunkBits  = 1 << chunkShift
	maxChunks  = 64 // in memory, of a partition: 256 KiB
)

type chunk [chunkBits / 64]uint64

// noBits is the chunk of offsets none of which repeats. It is not written to.
var noBits = new(chunk)

type bitmap struct {
	mu     sync.RWMutex
	chunks map[int64]*chunk
}

// bit reports whether a record repeats, which has been read.
func (r *Repeats) bit(p *repeatsPart, offset int64) (bool, error) {
	number, at := offset>>chunkShift, uint64(offset)&(chunkBits-1)
	p.bits.mu.RLock()
	c := p.bits.chunks[number]
	if c != nil {
		set := c[at>>6]>>(at&63)&1 == 1
		p.bits.mu.RUnlock()
		return set, nil
	}
	p.bits.mu.RUnlock()
	p.bits.mu.Lock()
	defer p.bits.mu.Unlock()
	err := r.store.use(p.epoch, func(db *pebble.DB) (err error) {
		c, err = p.chunk(db, number)
		return err
	})
	if err != nil {
		return false, err
	}
	return c[at>>6]>>(at&63)&1 == 1, nil
}

// setBits enters offsets that repeat, which rise. The lock is held, until the batch is committed.
func (r *Repeats) setBits(db *pebble.DB, batch *pebble.Batch, p *repeatsPart, repeats []int64) error {
	for len(repeats) > 0 {
		number := repeats[0] >> chunkShift
		c, err := p.chunk(db, number)
		if err != nil {
			return err
		}
		if c == noBits {
			c = new(chunk)
			p.bits.chunks[number] = c
		}
		for len(repeats) > 0 && repeats[0]>>chunkShift == number {
			at := uint64(repeats[0]) & (chunkBits - 1)
			c[at>>6] |= 1 << (at & 63)
			repeats = repeats[1:]
		}
		value := make([]byte, 0, chunkBits/8)
		for _, word := range c {
			value = binary.LittleEndian.AppendUint64(value, word)
		}
		if err := batch.Set(appendChunkKey(nil, p, number), value, nil); err != nil {
			return err
		}
	}
	return nil
}

// chunk finds a chunk in memory or on the disk. The lock is held.
func (p *repeatsPart) chunk(db *pebble.DB, number int64) (*chunk, error) {
	if c := p.bits.chunks[number]; c != nil {
		return c, nil
	}
	c := noBits
	value, closer, err := db.Get(appendChunkKey(nil, p, number))
	switch {
	case err == nil:
		if len(value) != chunkBits/8 {
			return nil, errors.Join(errBroken, closer.Close())
		}
		c = new(chunk)
		for i := range c {
			c[i] = binary.LittleEndian.Uint64(value[8*i:])
		}
		if err := closer.Close(); err != nil {
			return nil, err
		}
	case !errors.Is(err, pebble.ErrNotFound):
		return nil, fmt.Errorf("looking up what repeats: %w", err)
	}
	if len(p.bits.chunks) >= maxChunks {
		for other := range p.bits.chunks { // any: those that are read go forwards, mostly side by side
			delete(p.bits.chunks, other)
			break
		}
	}
	p.bits.chunks[number] = c
	return c, nil
}

func appendChunkKey(b []byte, p *repeatsPart, number int64) []byte {
	b = appendPrefix(b, p.table, p.number, spaceRepeat)
	return binary.BigEndian.AppendUint64(b, uint64(number))
}
