package ingest

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// What content may be at most. Braze's Connected Content takes an answer of up to 1 MB
// (braze-docs: making an API call), and Kafka's clients a record of as much; an answer has the body of one
// locale with everything else around it, a record has those of all.
const (
	MaxCollection   = 64      // bytes of a collection's name
	MaxContentID    = 250     // bytes of an item's id within it
	MaxContentBody  = 900_000 // bytes of a body in one locale
	MaxContentBytes = 980_000 // bytes of an item with all its locales, tags and assets
	MaxVariants     = 250     // locales of an item beside its own
	maxLocale       = 35      // bytes; what RFC 5646 advises to make room for
	maxPixels       = 1 << 30
)

// parseContent reads the body of POST /v1/content, pieces of approved content, an object or an array of them,
// as parseEvents does:
//
//	{"collection", "id", "event_id"?, "version"?, "locale"?, "tags"?, "approved"?, "valid_from"?, "valid_until"?,
//	 "body", "variants"?: {"de-AT": {…}}, "assets"?: [{"url", "type", "rendition"?, "width"?, "height"?}], "time"?, "source"?}
//
// An item's id is not its idempotency key here, which is event_id: the same item is published many times.
// What is not said to be approved is not.
func parseContent(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).contentItem)
}

// contentItem reads one item.
func (s *scanner) contentItem(it *item) {
	s.contentOf(it, func(string) bool { return false })
	if c := it.content; c != nil {
		it.refuse(checkContent(c))
	}
}

// contentOf reads an item's members; those that are not content's by more, which says whether it knew one.
func (s *scanner) contentOf(it *item, more func(field string) bool) {
	c := &event.Content{}
	it.content = c
	hasUser, ok := s.members(it, func(field string) {
		if !s.contentMember(it, c, field) && !more(field) {
			it.refuse(problem{why: unknownField, field: field})
			s.value()
		}
	})
	switch {
	case !ok:
		it.content = nil
	case hasUser: // content is about nobody
		it.refuse(problem{why: unknownField, field: "user"})
	}
}

// contentMember reads a member, and reports whether content has one of that name.
func (s *scanner) contentMember(it *item, c *event.Content, field string) bool {
	switch field {
	case "event_id":
		c.ID = s.key(it, field)
	case "collection":
		c.Collection = s.identifier(it, field)
	case "id":
		c.ItemID = s.contentID(it)
	case "version":
		c.Version = s.whole(it, field)
	case "locale":
		c.Locale, _ = s.optional(it, field)
	case "tags":
		s.entriesOf(it, field, func(i int) { c.Tags = append(c.Tags, s.tag(it, entry(field, i, ""))) })
	case "approved":
		c.Approved = s.boolean(it, field)
	case "valid_from":
		c.ValidFrom = s.bound(it, field)
	case "valid_until":
		c.ValidUntil = s.bound(it, field)
	case "body":
		c.Body = s.contentBody(it, field)
	case "variants":
		s.variants(it, c)
	case "assets":
		s.entriesOf(it, field, func(i int) { c.Assets = append(c.Assets, s.asset(it, i)) })
	case "time":
		c.OccurredAt = s.time(it, field)
	case "source":
		c.Source, _ = s.optional(it, field)
	default:
		return false
	}
	return true
}

// contentID reads an item's id, which may be a number: its digits are the id.
func (s *scanner) contentID(it *item) string {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		return s.identifier(it, "id")
	}
	text := alias(s.raw())
	if strings.Trim(text, "0123456789") != "" {
		it.refuse(problem{why: notString, field: "id"})
	}
	return text
}

// bound reads an end of a window; zero for none. The first second of the year 1, which is zero too, must not
// pass for that.
func (s *scanner) bound(it *item, field string) time.Time {
	said := s.peek() == '"'
	t := s.time(it, field)
	if said && t.IsZero() {
		it.refuse(problem{why: notTime, field: field})
	}
	return t
}

// boolean reads true or false; false for none.
func (s *scanner) boolean(it *item, field string) bool {
	switch s.peek() {
	case 't':
		return s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	default:
		it.refuse(problem{why: notBoolean, field: field})
		s.value()
	}
	return false
}

// tag reads a word to choose by.
func (s *scanner) tag(it *item, field string) string {
	if s.null() { // of a whole member it would stand for nothing; of an entry it says nothing
		it.refuse(problem{why: notString, field: field})
		return ""
	}
	return s.short(it, field)
}

// contentBody reads a body, which goes on byte for byte.
func (s *scanner) contentBody(it *item, field string) []byte {
	return s.fieldsWithin(it, field, MaxContentBody, func() { s.value() })
}

// variants reads the bodies in other locales, by locale.
func (s *scanner) variants(it *item, c *event.Content) {
	if s.null() {
		return
	}
	if s.peek() != '{' {
		it.refuse(problem{why: notObject, field: "variants"})
		s.value()
		return
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		locale, field := s.name, "variants."+s.name
		body := s.contentBody(it, field)
		switch {
		case len(c.Variants) == MaxVariants:
			it.refuse(problem{why: tooManyEntries, field: "variants", limit: MaxVariants, unit: "locales"})
			continue
		case !isLocale(locale):
			it.refuse(problem{why: notLocale, field: field})
		case body == nil:
			it.refuse(problem{why: notObject, field: field})
		}
		c.Variants = append(c.Variants, event.ContentVariant{Locale: locale, Body: body})
	}
}

// asset reads the ith of the assets.
func (s *scanner) asset(it *item, i int) (a event.ContentAsset) {
	at := func(field string) string { return entry("assets", i, field) }
	if s.peek() != '{' {
		it.refuse(problem{why: notObject, field: at("")})
		s.value()
		return a
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		switch s.name {
		case "url":
			a.URL = s.address(it, at("url"))
		case "type":
			a.MediaType = s.short(it, at("type"))
		case "rendition":
			a.Rendition = s.short(it, at("rendition"))
		case "width":
			a.Width = s.pixels(it, at("width"))
		case "height":
			a.Height = s.pixels(it, at("height"))
		default:
			it.refuse(problem{why: unknownField, field: at(s.name)})
			s.value()
		}
	}
	switch {
	case a.URL == "":
		it.refuse(problem{why: missing, field: at("url")})
	case a.MediaType == "":
		it.refuse(problem{why: missing, field: at("type")})
	}
	return a
}

// pixels reads a length; nil for none.
func (s *scanner) pixels(it *item, field string) *int64 {
	n := s.whole(it, field)
	switch {
	case n == nil:
	case *n < 0:
		it.refuse(problem{why: negative, field: field})
	case *n > maxPixels:
		it.refuse(problem{why: tooLarge, field: field, limit: maxPixels, unit: "pixels"})
	}
	return n
}
