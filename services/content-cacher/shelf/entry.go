package shelf

import (
	"math"
	"strings"
	"sync/atomic"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

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
	// pages are nil until they are made of what was laid, which is forgotten after that.
	pages atomic.Pointer[pages]
	laid  atomic.Pointer[stream.Record]
}

// pages are a record's.
type pages struct {
	own      Page
	variants []variant // of an item's own record
	refused  bool      // it cannot be shown: there are none
}

type variant struct {
	locale string
	page   Page
}

// Never is a moment that does not come.
const Never = math.MaxInt64

const noVersion = math.MinInt64

// describe fills in what is known of a record without its bodies; only its tags are missing.
func (e *entry) describe(h *Head) {
	e.locale, e.from, e.until, e.version = strings.Clone(h.Locale), h.From, h.Until, noVersion
	e.occurred, e.received, e.approved = h.Occurred, h.Received, h.Approved
	if h.HasVersion {
		e.version = h.Version
	}
}

// fill makes the pages, or where refusal says that there cannot be any, remembers that. Where several do so at
// once the first has done it.
func (e *entry) fill(c *event.Content, refusal error) *pages {
	if made := e.pages.Load(); made != nil {
		return made
	}
	p := &pages{refused: refusal != nil}
	if refusal == nil {
		p.own.fill(c, c.Locale, c.Body)
		if len(c.Variants) > 0 {
			p.variants = make([]variant, len(c.Variants))
			for i, v := range c.Variants {
				p.variants[i].locale = strings.Clone(v.Locale)
				p.variants[i].page.fill(c, v.Locale, v.Body)
			}
		}
	}
	e.pages.CompareAndSwap(nil, p)
	return e.pages.Load()
}

// made are a record's pages, which are made now where they are not yet.
func (s *Shelf) made(e *entry) *pages {
	if p := e.pages.Load(); p != nil {
		return p
	}
	r := e.laid.Load()
	if r == nil { // they have been made meanwhile
		return e.pages.Load()
	}
	var c event.Content
	err := s.read(r, &c)
	return e.fill(&c, err)
}

// page is that of a choice; nil where it turns out that there is none.
func (s *Shelf) page(e *entry, v int) *Page {
	switch p := s.made(e); {
	case p.refused:
		return nil
	case v == ownPage:
		return &p.own
	default:
		return &p.variants[v].page
	}
}

// stale reports whether a record comes behind one that its source numbers higher.
func (e *entry) stale(than *entry) bool {
	return than != nil && e.version != noVersion && than.version != noVersion && e.version < than.version
}

// refused reports whether a record is known to have no pages.
func (e *entry) refused() bool {
	p := e.pages.Load()
	return p != nil && p.refused
}
