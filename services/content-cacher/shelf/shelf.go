// Package shelf keeps content in memory as it is served. What comes in is prepared once ([Page]); what is
// asked for is found without waiting for anything but a lock that is held for a moment.
//
// A record of content.items is one of three: an item's own, with as many locales as it likes; one locale of
// an item, published by itself; or word that everything of an item that is older is withdrawn. Whether a
// record may be shown (approved, within its window, not withdrawn) is decided when it is asked for, never
// before, so that nothing is shown a moment longer than it may be.
package shelf

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tidwall/btree"

	"github.com/sluicehq/sluice/pkg/event"
)

// Shelf is all the content there is. Its zero value is empty and ready; it may be shared.
type Shelf struct {
	mu          sync.RWMutex
	collections map[string]*collection
}

// collection is the items that belong together. An item in it never changes: another takes its place, so
// that a list is put together without a lock, however long it takes.
type collection struct {
	mu    sync.RWMutex
	items map[string]*item
	order *btree.BTreeG[*item] // by the time of change
	snap  *btree.BTreeG[*item] // a copy of order for readers; nil once that has changed
	tags  tagsets
}

// Verdict is what became of a record.
type Verdict uint8

// What becomes of a record.
const (
	Kept  Verdict = iota // it stands now
	Stale                // a newer version stands already
	Gone                 // it took something away
)

// Put takes a record in.
func (s *Shelf) Put(c *event.Content) Verdict {
	var e *entry
	if !c.Withdraws {
		e = newEntry(c) // before anybody has to wait for it
	}
	col := s.collection(c.Collection, true)
	col.mu.Lock()
	defer col.mu.Unlock()
	was := col.items[c.ItemID]
	it := was.successor(c.ItemID)
	if c.Withdraws {
		it.withdrawn = max(it.withdrawn, c.ReceivedAt.UnixMilli())
		col.replace(was, it)
		return Gone
	}
	e.tags = col.tags.of(c.Tags)
	n, there := it.locale(c.Locale)
	switch {
	case c.Locale == "" && e.stale(it.own), there && e.stale(it.locales[n]):
		return Stale
	case c.Locale == "":
		it.own = e
	case there:
		it.locales = slices.Clone(it.locales)
		it.locales[n] = e
	default:
		it.locales = slices.Insert(slices.Clip(it.locales), n, e)
	}
	col.replace(was, it)
	return Kept
}

// Remove forgets the record of a key, as a tombstone has it.
func (s *Shelf) Remove(key string) Verdict {
	name, id, locale, ok := event.SplitContentKey(key)
	col := s.collection(name, false)
	if !ok || col == nil {
		return Gone
	}
	col.mu.Lock()
	defer col.mu.Unlock()
	was := col.items[id]
	if was == nil {
		return Gone
	}
	it := was.successor(id)
	switch n, there := it.locale(locale); {
	case locale == "*":
		it.withdrawn = 0
	case locale == "":
		it.own = nil
	case there:
		it.locales = slices.Delete(slices.Clone(it.locales), n, n+1)
	}
	col.replace(was, it)
	return Gone
}

// Get finds what is shown of an item: the first of the locales that there is, else what it has itself.
func (s *Shelf) Get(name, id string, locales []string, now time.Time) (Found, bool) {
	col := s.collection(name, false)
	if col == nil {
		return Found{}, false
	}
	it := col.get(id)
	if it == nil {
		return Found{}, false
	}
	p, e := it.find(locales, now.UnixMilli())
	if p == nil {
		return Found{}, false
	}
	return found(p, e), true
}

// Query is what a list is made of.
type Query struct {
	Locales []string
	Tags    []string // all of which an item has
	Oldest  bool     // the oldest first, instead of the newest
	Limit   int
}

// List returns what is shown of a collection's items, by the time of their last change.
func (s *Shelf) List(name string, q Query, now time.Time) []Found {
	var list []Found
	s.each(name, q, now, func(_ *item, f Found) bool {
		list = append(list, f)
		return len(list) < q.Limit
	})
	return list
}

// Pick chooses one of the items that List would return without a limit, the same for the same customer as
// long as it is there: another one's coming or going moves only those who are given it, or had it
// (rendezvous hashing).
func (s *Shelf) Pick(name string, q Query, customer string, now time.Time) (Found, bool) {
	var best Found
	var highest uint64
	any := false
	s.each(name, q, now, func(it *item, f Found) bool {
		if score := score(customer, it.id); !any || score > highest {
			best, highest, any = f, score, true
		}
		return true
	})
	return best, any
}

// each calls f with what is shown of a collection, until it returns false.
func (s *Shelf) each(name string, q Query, now time.Time, f func(*item, Found) bool) {
	col := s.collection(name, false)
	if col == nil {
		return
	}
	at := now.UnixMilli()
	visit := func(it *item) bool {
		p, e := it.find(q.Locales, at)
		if p == nil || !e.tags.has(q.Tags) {
			return true
		}
		return f(it, found(p, e))
	}
	order := col.snapshot()
	if q.Oldest {
		order.Scan(visit)
		return
	}
	order.Reverse(visit)
}

// Size is what a shelf holds.
type Size struct {
	Collections int
	Items       int // also those that may not be shown
}

// Size counts.
func (s *Shelf) Size() Size {
	s.mu.RLock()
	defer s.mu.RUnlock()
	size := Size{Collections: len(s.collections)}
	for _, col := range s.collections {
		col.mu.RLock()
		size.Items += len(col.items)
		col.mu.RUnlock()
	}
	return size
}

func (s *Shelf) collection(name string, make bool) *collection {
	s.mu.RLock()
	col := s.collections[name]
	s.mu.RUnlock()
	if col != nil || !make {
		return col
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if col = s.collections[name]; col != nil {
		return col
	}
	if s.collections == nil {
		s.collections = map[string]*collection{}
	}
	col = &collection{items: map[string]*item{}, tags: tagsets{}, order: btree.NewBTreeGOptions(before, btree.Options{NoLocks: true})}
	s.collections[strings.Clone(name)] = col
	return col
}

// get finds an item.
func (c *collection) get(id string) *item {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.items[id]
}

// snapshot is the order of this moment. Making it costs next to nothing: nodes are shared until they change.
func (c *collection) snapshot() *btree.BTreeG[*item] {
	c.mu.RLock()
	snap := c.snap
	c.mu.RUnlock()
	if snap != nil {
		return snap
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snap == nil {
		c.snap = c.order.Copy()
	}
	return c.snap
}

// replace puts an item in the place of the one that was there, nil for none, and where it belongs in the
// order. One that says nothing any more is forgotten. The lock is held.
func (c *collection) replace(was, it *item) {
	c.snap = nil
	e := it.leads()
	if e != nil {
		it.at = e.occurred
	}
	if was != nil && was.leads() != nil && (e == nil || it.at != was.at) {
		c.order.Delete(was)
	}
	if e != nil {
		c.order.Set(it)
	}
	if e == nil && it.withdrawn == 0 {
		delete(c.items, it.id)
		return
	}
	c.items[it.id] = it
}

// before is the order of lists: by the time of change, then by id.
func before(a, b *item) bool {
	return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id)) < 0
}

// locale finds the record of a locale.
func (i *item) locale(name string) (int, bool) {
	return slices.BinarySearchFunc(i.locales, name, func(e *entry, name string) int { return strings.Compare(e.locale, name) })
}
