// Package shelf keeps content in memory as it is served. What comes in is prepared once ([Page]): at once, or
// where a whole topic comes in ([Filling]), when there is time or when it is asked for. What is asked for is
// found without waiting for anything but a lock that is held for a moment.
//
// A record of content.items is one of three: an item's own, with as many locales as it likes; one locale of
// an item, published by itself; or word that everything of an item that is older is withdrawn. Whether a
// record may be shown (approved, within its window, not withdrawn) is decided when it is asked for, never
// before, so that nothing is shown a moment longer than it may be.
package shelf

import (
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Shelf is all the content there is. Its zero value is empty and ready; it may be shared.
type Shelf struct {
	mu          sync.RWMutex
	collections map[string]*collection
	read        func(*stream.Record, *event.Content) error // of what was laid down unread
}

// Verdict is what became of a record.
type Verdict uint8

// What becomes of a record.
const (
	Kept     Verdict = iota // it stands now
	Stale                   // a newer version stands already
	Gone                    // it took something away
	Replaced                // as Kept or Gone, with what a [Filler] had laid down before and nobody has looked at
)

// Put takes a record in.
func (s *Shelf) Put(c *event.Content) Verdict {
	e := new(entry)
	if !c.Withdraws { // before anybody has to wait for it
		h := HeadOf(c)
		e.describe(&h)
		e.fill(c, nil)
	}
	col := s.collection(c.Collection, true)
	col.mu.Lock()
	defer col.mu.Unlock()
	was := col.get(c.ItemID)
	it := was.successor(c.ItemID)
	if at := c.ReceivedAt.UnixMilli(); c.Withdraws {
		if at < it.withdrawn { // two doors may pass each other: the later word stands
			return Stale
		}
		it.withdrawn = at
		col.replace(was, it)
		return Gone
	}
	e.tags = col.tags.of(c.Tags)
	if _, stale := it.put(e); stale {
		return Stale
	}
	col.replace(was, it)
	return Kept
}

// Remove forgets the record of a key, as a tombstone has it.
func (s *Shelf) Remove(key string) Verdict { return s.Clear(key, Never) }

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
	for {
		e, v := s.choose(it, locales, now.UnixMilli())
		if e == nil {
			return Found{}, false
		}
		if p := s.page(e, v); p != nil {
			return found(p, e), true
		} // it is not chosen again
	}
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
	s.each(name, q, now, func(_ *item, e *entry, v int) bool {
		if p := s.page(e, v); p != nil {
			list = append(list, found(p, e))
		}
		return len(list) < q.Limit
	})
	return list
}

// Pick chooses one of the items that List would return without a limit, the same for the same customer as
// long as it is there: another one's coming or going moves only those who are given it, or had it
// (rendezvous hashing).
func (s *Shelf) Pick(name string, q Query, customer string, now time.Time) (Found, bool) {
	for {
		var best *entry
		var page int
		var highest uint64
		s.each(name, q, now, func(it *item, e *entry, v int) bool {
			if score := score(customer, it.id); best == nil || score > highest {
				best, page, highest = e, v, score
			}
			return true
		})
		if best == nil {
			return Found{}, false
		}
		if p := s.page(best, page); p != nil {
			return found(p, best), true
		} // it is not picked again
	}
}

// each calls f with what is shown of a collection, until it returns false.
func (s *Shelf) each(name string, q Query, now time.Time, f func(it *item, e *entry, v int) bool) {
	col := s.collection(name, false)
	if col == nil {
		return
	}
	at := now.UnixMilli()
	visit := func(it *item) bool {
		if len(q.Tags) > 0 && !it.tagged(q.Tags) {
			return true // before pages are made of what was only laid down
		}
		e, v := s.choose(it, q.Locales, at)
		if e == nil || !e.tags.has(q.Tags) {
			return true
		}
		return f(it, e, v)
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
		size.Items += col.size()
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
	col = &collection{tags: tagsets{}}
	s.collections[strings.Clone(name)] = col
	return col
}
