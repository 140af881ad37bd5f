package shelf

import (
	"math"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
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

// entry is one record.
type entry struct {
	locale   string
	tags     *tagset
	from     int64 // milliseconds since 1970, as all of these
	until    int64
	version  int64 // noVersion where the source has none
	occurred int64
	received int64
	approved bool
	page     Page
	variants []variant // of an item's own record
}

type variant struct {
	locale string
	page   Page
}

const (
	noVersion = math.MinInt64
	never     = math.MaxInt64
)

// newEntry prepares a record; only its tags are missing.
func newEntry(c *event.Content) *entry {
	e := &entry{
		locale: strings.Clone(c.Locale), until: never, version: noVersion,
		occurred: c.OccurredAt.UnixMilli(), received: c.ReceivedAt.UnixMilli(), approved: c.Approved,
	}
	if c.Version != nil {
		e.version = *c.Version
	}
	if !c.ValidFrom.IsZero() {
		e.from = c.ValidFrom.UnixMilli()
	}
	if !c.ValidUntil.IsZero() {
		e.until = c.ValidUntil.UnixMilli()
	}
	e.page.fill(c, c.Locale, c.Body)
	if len(c.Variants) > 0 {
		e.variants = make([]variant, len(c.Variants))
		for i, v := range c.Variants {
			e.variants[i].locale = strings.Clone(v.Locale)
			e.variants[i].page.fill(c, v.Locale, v.Body)
		}
	}
	return e
}

// stale reports whether a record comes behind one that its source numbers higher.
func (e *entry) stale(than *entry) bool {
	return than != nil && e.version != noVersion && than.version != noVersion && e.version < than.version
}

// shown reports whether a record may be shown at a moment.
func (i *item) shown(e *entry, now int64) bool {
	return e != nil && i.state(e, now) == Shown
}

// find chooses what is shown of an item: the first of the locales that there is, else the item's own. Where
// no locale is asked for and the item has no record of its own, the first in the alphabet that may be shown.
func (i *item) find(locales []string, now int64) (*Page, *entry) {
	own := i.shown(i.own, now)
	for _, l := range locales {
		for _, e := range i.locales {
			if e.locale == l && i.shown(e, now) {
				return &e.page, e
			}
		}
		if own {
			for v := range i.own.variants {
				if i.own.variants[v].locale == l {
					return &i.own.variants[v].page, i.own
				}
			}
		}
	}
	if own {
		return &i.own.page, i.own
	}
	if len(locales) == 0 {
		for _, e := range i.locales {
			if i.shown(e, now) {
				return &e.page, e
			}
		}
	}
	return nil, nil
}

// leads is the record that decides where the item stands in lists; nil where there is none.
func (i *item) leads() *entry {
	if i.own != nil || len(i.locales) == 0 {
		return i.own
	}
	return i.locales[0]
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
	if e.until != never {
		f.Until = time.UnixMilli(e.until)
	}
	return f
}
