package table

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// filter says of a key, from memory, whether it may be in a bucket. It never says no of one that is. It grows by
// slabs, each eight times as large as the one before: how many keys there will be is not known when a bucket is new.
type filter struct {
	bucket uint32
	count  int64 // keys added; under the partition's lock
	slabs  atomic.Pointer[[]*slab]
}

// slab is a Bloom filter whose bits for a key all stand in one line of the processor's cache: asking it costs one
// access to memory. With 16 bits for a key it is wrong about every five hundredth.
type slab struct {
	words  []uint64 // read and written atomically
	blocks uint64   // of 8 words
	room   int64    // keys that it is made for
}

const (
	bitsPerKey = 16
	blockWords = 8
	blockBits  = blockWords * 64
	minRoom    = 1 << 14
)

// slabBytes is what a slab for that many keys takes.
func slabBytes(room int64) int64 {
	return (room*bitsPerKey + blockBits - 1) / blockBits * blockWords * 8
}

func newSlab(room int64) *slab {
	words := slabBytes(room) / 8
	return &slab{words: make([]uint64, words), blocks: uint64(words / blockWords), room: room}
}

// place returns the block of a hash, and 63 bits that say which bits of the block are its own.
func (s *slab) place(hash uint64) (block []uint64, pattern uint64) {
	i, _ := bits.Mul64(hash, s.blocks)
	return s.words[i*blockWords : i*blockWords+blockWords : i*blockWords+blockWords], hash * 0x9E3779B97F4A7C15 >> 1
}

func (s *slab) add(hash uint64) {
	block, pattern := s.place(hash)
	for range 7 {
		word, bit := &block[pattern>>6&(blockWords-1)], uint64(1)<<(pattern&63)
		if atomic.LoadUint64(word)&bit == 0 {
			atomic.OrUint64(word, bit)
		}
		pattern >>= 9
	}
}

func (s *slab) has(hash uint64) bool {
	block, pattern := s.place(hash)
	for range 7 {
		if atomic.LoadUint64(&block[pattern>>6&(blockWords-1)])>>(pattern&63)&1 == 0 {
			return false
		}
		pattern >>= 9
	}
	return true
}

func (f *filter) has(hash uint64) bool {
	for _, s := range *f.slabs.Load() {
		if s.has(hash) {
			return true
		}
	}
	return false
}

// budget is the memory that filters may take together.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves memory, if there is so much.
func (b *budget) take(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

// newFilter makes the filter of a bucket in which about as many keys are expected. The first slab is always granted:
// it is small where nothing is expected.
func newFilter(bucket uint32, expected int64, b *budget) *filter {
	room := max(expected, minRoom)
	if !b.take(slabBytes(room)) {
		room = minRoom
		b.used.Add(slabBytes(room))
	}
	f := &filter{bucket: bucket}
	f.slabs.Store(&[]*slab{newSlab(room)})
	return f
}

// filterIn is the filter of a bucket among those of a partition, the newest first, which are left as they are: where there is
// none yet it is in the list that is returned.
func filterIn(filters []*filter, bucket uint32, b *budget) ([]*filter, *filter) {
	i := 0
	for ; i < len(filters) && filters[i].bucket >= bucket; i++ {
		if filters[i].bucket == bucket {
			return filters, filters[i]
		}
	}
	var expected int64
	if len(filters) > 0 {
		expected = filters[0].count * 9 / 8
	}
	f := newFilter(bucket, expected, b)
	return slices.Insert(slices.Clone(filters), i, f), f
}

// add puts a key in. Where the budget does not allow another slab the last one takes more than it is made for: it is
// wrong more often then, and the disk is asked.
func (f *filter) add(hash uint64, b *budget) {
	f.count++
	slabs := *f.slabs.Load()
	last := slabs[len(slabs)-1]
	if last.room--; last.room < 0 {
		room := int64(len(last.words)) * 64 / bitsPerKey * 8
		if b.take(slabBytes(room)) {
			last = newSlab(room)
			grown := append(slabs[:len(slabs):len(slabs)], last)
			f.slabs.Store(&grown)
		} else {
			last.room = room / 16 // ask again later
		}
	}
	last.add(hash)
}

// drop gives the memory back.
func (f *filter) drop(b *budget) {
	for _, s := range *f.slabs.Load() {
		b.used.Add(-int64(len(s.words)) * 8)
	}
}
