package shelf

import "hash/maphash"

// index finds items by their id. It is a map of Go with what we need less of: an id is hashed once for looking
// and putting together, and growing does not touch the items, which are anywhere in memory. With a million of
// them a shelf is filled in two thirds of the time.
//
// Slots are looked through from where the hash points to the first that is empty; at most three of four are
// taken.
type index struct {
	slots []slot // a power of two of them
	n     int
}

type slot struct {
	hash uint64
	item *item // nil where the slot is empty
}

var seed = maphash.MakeSeed()

func hashOf(id string) uint64 { return maphash.String(seed, id) }

// find returns the item of an id, nil where there is none.
func (x *index) find(hash uint64, id string) *item {
	if len(x.slots) == 0 {
		return nil
	}
	return x.slots[x.place(hash, id)].item
}

// place is the slot in which an id stands, or the empty one in which it would. There are slots.
func (x *index) place(hash uint64, id string) int {
	mask := len(x.slots) - 1
	for i := int(hash>>shardBits) & mask; ; i = (i + 1) & mask {
		if s := &x.slots[i]; s.item == nil || s.hash == hash && s.item.id == id {
			return i
		}
	}
}

// put takes in an item, in the place of the one with its id.
func (x *index) put(hash uint64, it *item) {
	if 4*(x.n+1) > 3*len(x.slots) {
		x.grow()
	}
	s := &x.slots[x.place(hash, it.id)]
	if s.item == nil {
		x.n++
	}
	*s = slot{hash, it}
}

func (x *index) grow() {
	was := x.slots
	x.slots = make([]slot, max(8, 2*len(was)))
	mask := len(x.slots) - 1
	for _, s := range was {
		if s.item == nil {
			continue
		}
		i := int(s.hash>>shardBits) & mask
		for x.slots[i].item != nil {
			i = (i + 1) & mask
		}
		x.slots[i] = s
	}
}

// remove forgets an id. Those behind it move up, so that none stands behind an empty slot that it is looked for
// before.
func (x *index) remove(hash uint64, id string) {
	if len(x.slots) == 0 {
		return
	}
	mask := len(x.slots) - 1
	hole := x.place(hash, id)
	if x.slots[hole].item == nil {
		return
	}
	x.n--
	for i := (hole + 1) & mask; x.slots[i].item != nil; i = (i + 1) & mask {
		home := int(x.slots[i].hash>>shardBits) & mask
		if (i-home)&mask >= (i-hole)&mask { // it may stand as far forward as the hole
			x.slots[hole], hole = x.slots[i], i
		}
	}
	x.slots[hole] = slot{}
}

// each calls f with every item.
func (x *index) each(f func(*item)) {
	for i := range x.slots {
		if it := x.slots[i].item; it != nil {
			f(it)
		}
	}
}
