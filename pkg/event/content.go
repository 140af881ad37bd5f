package event

import (
	"strings"
	"time"
)

// Content is an item of approved content, the content of one record of content.items.
type Content struct {
	ID         string // idempotency key within Source
	Collection string
	ItemID     string // within the collection
	// Locale is that of Body where the record is one locale's alone; empty for the item's own.
	Locale     string
	Version    *int64    // the source's; nil where it does not count
	OccurredAt time.Time // by the source's clock; UTC, milliseconds
	ReceivedAt time.Time // by our clock
	Source     string
	Approved   bool
	ValidFrom  time.Time // zero for no bound
	ValidUntil time.Time // zero for no bound
	Tags       []string
	Body       []byte // a JSON object, valid and bounded
	Variants   []ContentVariant
	Assets     []ContentAsset
	// Withdraws says that everything of the item that is older is withdrawn, in whatever locale. Such a
	// record is not approved and stands under a key of its own.
	Withdraws bool
}

// ContentVariant is the body in another locale.
type ContentVariant struct {
	Locale string // such as de-AT
	Body   []byte // a JSON object
}

// ContentAsset is an image or another file that an item shows.
type ContentAsset struct {
	URL       string
	MediaType string // such as image/jpeg
	Rendition string // which form of it, such as thumbnail; empty for the asset itself
	Width     *int64 // in pixels
	Height    *int64
}

// Marks in keys of content, behind the item's id, which cannot hold a '#'.
const (
	localeMark    = "#"
	withdrawnMark = "#*"
)

// Key is the Kafka key:
//
//	collection + "/" + id                  the item
//	collection + "/" + id + "#" + locale   one locale of it, published by itself
//	collection + "/" + id + "#*"           what withdraws all of it
func (c *Content) Key() string {
	key := c.Collection + "/" + c.ItemID
	switch {
	case c.Withdraws:
		return key + withdrawnMark
	case c.Locale != "":
		return key + localeMark + c.Locale
	}
	return key
}

// SplitContentKey takes a key of content.items apart. Locale is "*" of one that withdraws all of the
// item; ok is false for a key that no item can have.
func SplitContentKey(key string) (collection, id, locale string, ok bool) {
	collection, id, ok = strings.Cut(key, "/")
	id, locale, marked := strings.Cut(id, localeMark)
	return collection, id, locale, ok && collection != "" && id != "" && marked == (locale != "")
}
