package shelf

import (
	"runtime"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Filling makes a shelf that nobody reads from yet, to be filled by [Filler]s with a whole topic as fast as
// it can be read. What is put there is laid down as it is: a page is made of it when it is asked for first, or
// by [Shelf.Prepare], whichever comes earlier. Read makes content of a record; its error says that the record
// cannot be shown.
func Filling(read func(*stream.Record, *event.Content) error) *Shelf { return &Shelf{read: read} }

// Head is what is known of a record before anybody looks at its bodies. Its strings may alias the record.
type Head struct {
	Collection, ItemID string
	Locale             string // empty for the item's own
	Withdraws          bool   // takes everything of the item that is older
	Version            int64  // the source's
	HasVersion         bool
	Approved           bool
	Occurred, Received int64 // milliseconds since 1970, as the following
	From               int64 // 0 for no bound
	Until              int64 // Never for none
	Tags               []string
}

// HeadOf is that of content which has been read already.
func HeadOf(c *event.Content) Head {
	h := Head{
		Collection: c.Collection, ItemID: c.ItemID, Locale: c.Locale, Withdraws: c.Withdraws, Approved: c.Approved,
		Occurred: c.OccurredAt.UnixMilli(), Received: c.ReceivedAt.UnixMilli(), Until: Never, Tags: c.Tags,
	}
	if c.Version != nil {
		h.Version, h.HasVersion = *c.Version, true
	}
	if !c.ValidFrom.IsZero() {
		h.From = c.ValidFrom.UnixMilli()
	}
	if !c.ValidUntil.IsZero() {
		h.Until = c.ValidUntil.UnixMilli()
	}
	return h
}

// Filler fills a shelf. There may be several of one shelf, each of one goroutine; as long as there are, the
// shelf is not to be read, nor changed by others.
type Filler struct {
	shelf *Shelf
	tags  tagsets
	last  *tagset // which most often comes next, as does the collection
	name  string
	col   *collection
}

// NewFiller makes a filler.
func (s *Shelf) NewFiller() *Filler { return &Filler{shelf: s, tags: tagsets{}, last: new(tagset)} }

// laid is an item that has a record of its own alone, as most have: both are one allocation.
type laid struct {
	item  item
	entry entry
}

// Put takes in a record, and keeps it.
func (f *Filler) Put(h *Head, r *stream.Record) Verdict {
	hash := hashOf(h.ItemID)
	s := f.collection(h.Collection).shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items.find(hash, h.ItemID)
	if it == nil {
		l := new(laid)
		l.item.id = strings.Clone(h.ItemID)
		it = &l.item
		s.items.put(hash, it)
		if h.Locale == "" && !h.Withdraws {
			f.lay(&l.entry, h, r)
			it.own, it.at = &l.entry, l.entry.occurred
			return Kept
		}
	}
	if h.Withdraws {
		if h.Received < it.withdrawn {
			return Stale
		}
		it.withdrawn = h.Received
		return Gone
	}
	e := new(entry)
	f.lay(e, h, r)
	was, stale := it.put(e)
	if stale {
		return Stale
	}
	it.at = it.leads().occurred
	if was != nil {
		return Replaced
	}
	return Kept
}

// Clear forgets the record of a key, as [Shelf.Clear] does.
func (f *Filler) Clear(key string, upTo int64) Verdict {
	name, id, locale, ok := event.SplitContentKey(key)
	if !ok {
		return Gone
	}
	hash := hashOf(id)
	s := f.collection(name).shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items.find(hash, id)
	switch {
	case it == nil:
		return Gone
	case it.newer(locale, upTo):
		return Stale
	}
	was := it.remove(locale)
	switch e := it.leads(); {
	case e != nil:
		it.at = e.occurred
	case it.withdrawn == 0:
		s.items.remove(hash, id)
	}
	if was != nil {
		return Replaced
	}
	return Gone
}

func (f *Filler) lay(e *entry, h *Head, r *stream.Record) {
	e.describe(h)
	if !slices.Equal(f.last.words, h.Tags) {
		f.last = f.tags.of(h.Tags)
	}
	e.tags = f.last
	e.laid.Store(r)
}

func (f *Filler) collection(name string) *collection {
	if f.col == nil || f.name != name {
		f.col, f.name = f.shelf.collection(name, true), strings.Clone(name)
	}
	return f.col
}

// Laid is a record that was laid down as it came, and what has become of it.
type Laid struct {
	Record  *stream.Record
	Content *event.Content // of the call alone; nil where it cannot be shown
	Err     error          // why
}

// Prepare makes pages of everything that was laid down and has not been asked for yet, and calls each with all
// that was laid down and still stands, until each fails. What cannot be shown is taken away once each has
// returned. It is called once, when the shelf is filled; the shelf may be read and changed meanwhile.
func (s *Shelf) Prepare(each func(Laid) error) error {
	var c event.Content
	for _, name := range s.Collections() {
		col := s.collection(name, false)
		col.snapshot() // lists are the first that have to wait
		for _, it := range col.all() {
			for e := range it.entries {
				r := e.laid.Load()
				if r == nil {
					continue
				}
				l := Laid{Record: r, Content: &c, Err: s.read(r, &c)}
				e.fill(&c, l.Err)
				if l.Err != nil {
					l.Content = nil
				}
				if err := each(l); err != nil {
					return err
				}
				runtime.Gosched() // whoever is asked for something goes first
				e.laid.Store(nil)
				if l.Err != nil {
					col.take(it.id, e)
				}
			}
		}
	}
	return nil
}

// Withdrawals calls each with the items that are withdrawn, and as of when in milliseconds since 1970, until
// each fails.
func (s *Shelf) Withdrawals(each func(collection, id string, at int64) error) error {
	for _, name := range s.Collections() {
		for _, it := range s.collection(name, false).all() {
			if it.withdrawn == 0 {
				continue
			}
			if err := each(name, it.id, it.withdrawn); err != nil {
				return err
			}
		}
	}
	return nil
}

// take takes a record away if it still stands.
func (c *collection) take(id string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.get(id)
	if was == nil || was.record(e.locale) != e {
		return
	}
	it := was.successor(id)
	it.remove(e.locale)
	c.replace(was, it)
}
