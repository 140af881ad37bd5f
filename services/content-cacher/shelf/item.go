package shelf

import (
	"slices"
	"strings"
	"time"
)

// item is everything that is known of one id of a collection.
type item struct {
	id        string
	own       *entry   // the item's own record; nil where there is none
	locales   []*entry // records that are one locale's alone, by locale
	withdrawn int64    // what was received up to then does not count; 0 for never
	at        int64    // where it stands in the order: when it was changed last
}

// successor is a copy of an item to be changed, and of nil an empty one with that id.
func (i *item) successor(id string) *item {
	if i == nil {
		return &item{id: strings.Clone(id)}
	}
	next := *i
	return &next
}

// put takes in a record, unless a newer one of its locale stands, and returns the one in whose place it is.
func (i *item) put(e *entry) (was *entry, stale bool) {
	n, there := i.locale(e.locale)
	switch {
	case e.locale == "":
		was = i.own
	case there:
		was = i.locales[n]
	}
	switch {
	case e.stale(was):
		return was, true
	case e.locale == "":
		i.own = e
	case there:
		i.locales = slices.Clone(i.locales)
		i.locales[n] = e
	default:
		i.locales = slices.Insert(slices.Clip(i.locales), n, e)
	}
	return was, false
}

// remove takes away the record of a locale, the item's own, or with "*" word that it is withdrawn.
func (i *item) remove(locale string) (was *entry) {
	switch n, there := i.locale(locale); {
	case locale == "*":
		i.withdrawn = 0
	case locale == "":
		was, i.own = i.own, nil
	case there:
		was = i.locales[n]
		i.locales = slices.Delete(slices.Clone(i.locales), n, n+1)
	}
	return was
}

// record is the one of a locale, or the item's own; nil where there is none.
func (i *item) record(locale string) *entry {
	if locale == "" {
		return i.own
	}
	if n, there := i.locale(locale); there {
		return i.locales[n]
	}
	return nil
}

// entries are all of its records.
func (i *item) entries(yield func(*entry) bool) {
	if i.own != nil && !yield(i.own) {
		return
	}
	for _, e := range i.locales {
		if !yield(e) {
			return
		}
	}
}

// tagged reports whether any of its records has all these tags.
func (i *item) tagged(tags []string) bool {
	for e := range i.entries {
		if e.tags.has(tags) {
			return true
		}
	}
	return false
}

// locale finds the record of a locale.
func (i *item) locale(name string) (int, bool) {
	return slices.BinarySearchFunc(i.locales, name, func(e *entry, name string) int { return strings.Compare(e.locale, name) })
}

// leads is the record that decides where the item stands in lists; nil where there is none.
func (i *item) leads() *entry {
	if i.own != nil || len(i.locales) == 0 {
		return i.own
	}
	return i.locales[0]
}

// shown reports whether a record may be shown at a moment.
func (i *item) shown(e *entry, now int64) bool {
	return e != nil && i.state(e, now) == Shown && !e.refused()
}

// ownPage is that of a record without regard to its variants.
const ownPage = -1

// choose finds what is shown of an item: a record, and which of its pages. It is the first of the locales that
// there is, else the item's own; where no locale is asked for and the item has no record of its own, the first
// in the alphabet that may be shown. Nil is nothing.
func (s *Shelf) choose(i *item, locales []string, now int64) (*entry, int) {
	own := i.shown(i.own, now)
	for _, l := range locales {
		for _, e := range i.locales {
			if e.locale == l && i.shown(e, now) {
				return e, ownPage
			}
		}
		if own {
			variants := s.made(i.own).variants
			for v := range variants {
				if variants[v].locale == l {
					return i.own, v
				}
			}
		}
	}
	if own {
		return i.own, ownPage
	}
	if len(locales) == 0 {
		for _, e := range i.locales {
			if i.shown(e, now) {
				return e, ownPage
			}
		}
	}
	return nil, 0
}

// Found is a page that may be shown, and for how long.
type Found struct {
	Page *Page
	// Until is when it may not be shown any more; zero for no bound.
	Until time.Time
	// Version is the source's; ok is false where it has none.
	Version    int64
	HasVersion bool
}

func found(p *Page, e *entry) Found {
	f := Found{Page: p, Version: e.version, HasVersion: e.version != noVersion}
	if e.until != Never {
		f.Until = time.UnixMilli(e.until)
	}
	return f
}
