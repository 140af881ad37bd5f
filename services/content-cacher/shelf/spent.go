package shelf

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Spent is a record that nobody needs any more.
type Spent struct {
	Key  string
	UpTo int64 // it is spent as long as it was received by then, in milliseconds since 1970
}

// Spent are the records of items that are withdrawn as of a time before, by a word that is withdrawn word itself then:
// of each, the records that it takes back, and the word. There are at most so many words.
func (s *Shelf) Spent(before time.Time, most int) (records, words []Spent) {
	at := before.UnixMilli()
	for _, name := range s.Collections() {
		for _, it := range s.collection(name, false).all() {
			if it.withdrawn == 0 || it.withdrawn > at {
				continue
			}
			if len(words) == most {
				return records, words
			}
			c := event.Content{Collection: name, ItemID: it.id}
			for e := range it.entries {
				if e.received <= it.withdrawn {
					c.Locale = e.locale
					records = append(records, Spent{c.Key(), it.withdrawn})
				}
			}
			c.Withdraws = true
			words = append(words, Spent{c.Key(), it.withdrawn})
		}
	}
	return records, words
}

// Clear is Remove of what was received up to a time, in milliseconds since 1970. What is newer stands, and the
// verdict is Stale.
func (s *Shelf) Clear(key string, upTo int64) Verdict {
	name, id, locale, ok := event.SplitContentKey(key)
	col := s.collection(name, false)
	if !ok || col == nil {
		return Gone
	}
	col.mu.Lock()
	defer col.mu.Unlock()
	was := col.get(id)
	switch {
	case was == nil:
		return Gone
	case was.newer(locale, upTo):
		return Stale
	}
	it := was.successor(id)
	it.remove(locale)
	col.replace(was, it)
	return Gone
}

// newer reports whether the record of a locale, or with "*" word that the item is withdrawn, was received after a time.
func (i *item) newer(locale string, at int64) bool {
	if locale == "*" {
		return i.withdrawn > at
	}
	e := i.record(locale)
	return e != nil && e.received > at
}
