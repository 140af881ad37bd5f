package ingest

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"time"
)

// window remembers the ids of records that went to Kafka, so that a repeat is not written twice. It
// is bounded in time and in number; whatever it has forgotten is found again behind the topic, where
// the id travels with the record.
//
// An id is pending from the moment a request claims it until its record is durable. A repeat that
// comes meanwhile must not be answered yes, for the first may still fail: it waits for the first
// one's verdict and shares it. A record that fails is forgotten, so that the sender may try again.
type window struct {
	keep time.Duration
	max  int
	seed [2]maphash.Seed

	mu      sync.Mutex
	places  index              // of the ids that are remembered
	blocks  []*block           // the memories themselves, oldest first
	oldest  uint64             // place of the oldest
	next    uint64             // place of the next
	waiting map[uint64][]*slot // repeats, by the place of what they wait for
}

// fingerprint stands for a source and an id. With 128 bits of a keyed hash, two of a million ids
// fall together about once in 10²⁶ times, and nobody outside can choose them so that they do.
type fingerprint [2]uint64

type memory struct {
	id      fingerprint
	at      int64 // Unix seconds
	durable bool
}

const blockSize = 4096

type block [blockSize]memory

// claim is the duty to say what became of an id. The zero claim is none.
type claim uint64

// newWindow remembers at most max ids, each for the time given; none when max is 0.
func newWindow(max int, keep time.Duration) *window {
	return &window{
		keep: keep, max: max, seed: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		waiting: map[uint64][]*slot{}, oldest: 1, next: 1,
	}
}

// fingerprint of an id. A source's own is salt for those of its ids.
func (w *window) fingerprint(source fingerprint, id string) fingerprint {
	return fingerprint{
		turned(source[0]) ^ maphash.String(w.seed[0], id),
		turned(source[1]) ^ maphash.String(w.seed[1], id),
	}
}

// turned makes a source's part of a fingerprint unlike an id's: else id b of source a and id a of source
// b would be one, and so would all ids that are their source's name.
func turned(n uint64) uint64 { return bits.RotateLeft64(n*0x9e3779b97f4a7c15, 31) }

// claim reports whether the slot's record is to be written, and lays claim to its id. Where it is not,
// the slot has the verdict duplicate, or gets that of the record which has the same id.
func (w *window) claim(id fingerprint, now time.Time, sl *slot) bool {
	if w.max == 0 {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgetOld(now)
	if place := w.place(id); place > 0 {
		if w.memory(place).durable {
			sl.verdict.Store(uint32(duplicate))
			return false
		}
		sl.request.hold()
		w.waiting[place] = append(w.waiting[place], sl)
		return false
	}
	place := w.next
	w.next++
	if (place-w.first())/blockSize == uint64(len(w.blocks)) {
		w.blocks = append(w.blocks, new(block))
	}
	*w.memory(place) = memory{id: id, at: now.Unix()}
	w.places.add(id, place)
	sl.claim = claim(place)
	return true
}

// place is where an id is remembered, or 0.
func (w *window) place(id fingerprint) (found uint64) {
	w.places.find(id, func(low uint32) bool {
		place := w.oldest + uint64(low-uint32(w.oldest)) // a window is never so large that this is in doubt
		if place >= w.next || w.memory(place).id != id {
			return false
		}
		found = place
		return true
	})
	return found
}

// at is when an id was claimed that is remembered.
func (w *window) at(id fingerprint) (at time.Time, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	place := w.place(id)
	if place == 0 {
		return time.Time{}, false
	}
	return time.Unix(w.memory(place).at, 0), true
}

// first is the place at which the first block begins.
func (w *window) first() uint64 { return w.oldest - w.oldest%blockSize }

func (w *window) memory(place uint64) *memory {
	return &w.blocks[(place-w.first())/blockSize][place%blockSize]
}

// forgetOld makes room for one more and drops what is too old.
func (w *window) forgetOld(now time.Time) {
	horizon := now.Add(-w.keep).Unix()
	for w.oldest < w.next {
		m := w.memory(w.oldest)
		if m.at > horizon && w.next-w.oldest < uint64(w.max) {
			return
		}
		w.places.remove(m.id, w.oldest)
		if w.oldest++; w.oldest%blockSize == 0 {
			w.blocks[0] = nil
			w.blocks = w.blocks[1:]
		}
	}
}

// settle ends a claim. What is durable is remembered, and its repeats are duplicates; anything else is
// forgotten, and its repeats share the verdict.
func (w *window) settle(c claim, durable bool, v verdict) {
	if c == 0 {
		return
	}
	place := uint64(c)
	w.mu.Lock()
	if place >= w.oldest { // else there was no room to remember it for so long
		if m := w.memory(place); durable {
			m.durable = true
		} else {
			w.places.remove(m.id, place)
		}
	}
	repeats := w.waiting[place]
	delete(w.waiting, place)
	w.mu.Unlock()
	if durable {
		v = duplicate
	}
	for _, repeat := range repeats {
		repeat.decide(v)
	}
}

// size is how many ids are remembered.
func (w *window) size() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.places.used
}
