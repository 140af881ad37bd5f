package ingest

// index finds the place of a fingerprint in a window: a hash table of single words, half of which or
// more are empty, probed one after the other. Go's own map was tried first; once it held a million ids
// it took a quarter of the time of a request, waiting for memory. Here a look costs one such wait.
//
// A word holds 32 bits of the fingerprint and 32 of the place. The window compares the rest.
type index struct {
	words []uint64 // 0 for none
	used  int
}

const leastWords = 1 << 10

// tag is the part of a fingerprint that its word holds. It is never zero.
func (id fingerprint) tag() uint32 { return uint32(id[0]) | 1 }

func word(id fingerprint, place uint64) uint64 { return uint64(id.tag())<<32 | uint64(uint32(place)) }

// home is where a word would stand if nobody were in its way.
func (x *index) home(word uint64) int { return int(word>>33) & (len(x.words) - 1) }

func (x *index) next(i int) int { return (i + 1) & (len(x.words) - 1) }

// find calls is with the places that may be the fingerprint's, until it says yes.
func (x *index) find(id fingerprint, is func(place uint32) bool) {
	if x.used == 0 {
		return
	}
	tag := id.tag()
	for i := x.home(uint64(tag) << 32); x.words[i] != 0; i = x.next(i) {
		if w := x.words[i]; uint32(w>>32) == tag && is(uint32(w)) {
			return
		}
	}
}

// add notes the place of a fingerprint.
func (x *index) add(id fingerprint, place uint64) {
	if 2*(x.used+1) > len(x.words) {
		x.grow()
	}
	x.put(word(id, place))
	x.used++
}

func (x *index) put(w uint64) {
	i := x.home(w)
	for x.words[i] != 0 {
		i = x.next(i)
	}
	x.words[i] = w
}

func (x *index) grow() {
	old := x.words
	x.words = make([]uint64, max(2*len(old), leastWords))
	for _, w := range old {
		if w != 0 {
			x.put(w)
		}
	}
}

// remove forgets the place of a fingerprint, if it is noted.
func (x *index) remove(id fingerprint, place uint64) {
	if x.used == 0 {
		return
	}
	w := word(id, place)
	gap := x.home(w)
	for x.words[gap] != w {
		if x.words[gap] == 0 {
			return
		}
		gap = x.next(gap)
	}
	x.used--
	// Whoever stands behind the gap and would rather stand in it, or before it, moves up; else a
	// look for them would end at the gap.
	for i := x.next(gap); x.words[i] != 0; i = x.next(i) {
		distance := (i - x.home(x.words[i])) & (len(x.words) - 1)
		if distance >= (i-gap)&(len(x.words)-1) {
			x.words[gap] = x.words[i]
			gap = i
		}
	}
	x.words[gap] = 0
}
