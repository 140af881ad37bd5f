package shelf

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/btree"
)

// collection is the items that belong together. An item in it never changes once it is served: another takes
// its place, so that a list is put together without a lock, however long it takes.
//
// Items are kept in several indexes, so that whoever asks for one waits at most for the writing of one entry of
// one of them, and the order of all apart from them, under a lock that only writers and lists take.
type collection struct {
	maps [shards]shard // by the hash of an item's id

	mu    sync.Mutex // of everything below; taken before a shard's
	order *btree.BTreeG[*item]
	snap  *btree.BTreeG[*item] // a copy of order for readers; nil once that has changed
	tags  tagsets
}

// Several lanes fill a shelf at once, and an index that has to grow keeps only those waiting who ask for one of
// a few items.
const (
	shardBits = 7
	shards    = 1 << shardBits
)

type shard struct {
	mu    sync.RWMutex
	items index
}

func (c *collection) shard(hash uint64) *shard { return &c.maps[hash%shards] }

// get finds an item.
func (c *collection) get(id string) *item {
	hash := hashOf(id)
	s := c.shard(hash)
	s.mu.RLock()
	it := s.items.find(hash, id)
	s.mu.RUnlock()
	return it
}

// all are the items of this moment, in no order.
func (c *collection) all() []*item {
	list := make([]*item, 0, c.size())
	for i := range c.maps {
		s := &c.maps[i]
		s.mu.RLock()
		s.items.each(func(it *item) { list = append(list, it) })
		s.mu.RUnlock()
	}
	return list
}

func (c *collection) size() (n int) {
	for i := range c.maps {
		s := &c.maps[i]
		s.mu.RLock()
		n += s.items.n
		s.mu.RUnlock()
	}
	return n
}

// snapshot is the order of this moment. Making it costs next to nothing, but for the first time: nodes are
// shared until they change.
func (c *collection) snapshot() *btree.BTreeG[*item] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snap == nil {
		if c.order == nil {
			c.order = c.arrange()
		}
		c.snap = c.order.Copy()
	}
	return c.snap
}

// arrange puts all items in order: once, since doing so for each that a filling shelf gets would take as long
// as everything else together. The lock is held.
func (c *collection) arrange() *btree.BTreeG[*item] {
	list := slices.DeleteFunc(c.all(), func(it *item) bool { return it.leads() == nil })
	slices.SortFunc(list, compare)
	order := btree.NewBTreeGOptions(func(a, b *item) bool { return compare(a, b) < 0 }, btree.Options{NoLocks: true})
	for _, it := range list {
		order.Load(it)
	}
	return order
}

// replace puts an item in the place of the one that was there, nil for none, and where it belongs in the
// order. One that says nothing any more is forgotten. The lock is held.
func (c *collection) replace(was, it *item) {
	e := it.leads()
	if e != nil {
		it.at = e.occurred
	}
	if c.order != nil {
		c.snap = nil
		if was != nil && was.leads() != nil && (e == nil || it.at != was.at) {
			c.order.Delete(was)
		}
		if e != nil {
			c.order.Set(it)
		}
	}
	hash := hashOf(it.id)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == nil && it.withdrawn == 0 {
		s.items.remove(hash, it.id)
		return
	}
	s.items.put(hash, it)
}

// compare is the order of lists: by the time of change, then by id.
func compare(a, b *item) int {
	return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id))
}
