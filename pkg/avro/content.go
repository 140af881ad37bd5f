package avro

import (
	"time"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendContent appends a content.items record of version 1, header included; id is the id of that
// version's schema in the registry. Bodies must be valid JSON objects.
func AppendContent(dst []byte, id int, c *event.Content) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, c.Key())
	dst = AppendString(dst, c.ID)
	dst = AppendString(dst, c.Collection)
	dst = AppendString(dst, c.ItemID)
	dst = AppendOptString(dst, c.Locale)
	dst = appendOptLong(dst, c.Version)
	dst = AppendTime(dst, c.OccurredAt)
	dst = AppendTime(dst, c.ReceivedAt)
	dst = AppendString(dst, c.Source)
	dst = appendBool(dst, c.Approved)
	dst = appendOptTime(dst, c.ValidFrom)
	dst = appendOptTime(dst, c.ValidUntil)
	dst = appendArray(dst, len(c.Tags), func(dst []byte, i int) []byte { return AppendString(dst, c.Tags[i]) })
	dst = AppendBytes(dst, c.Body)
	dst = appendArray(dst, len(c.Variants), func(dst []byte, i int) []byte {
		return AppendBytes(AppendString(dst, c.Variants[i].Locale), c.Variants[i].Body)
	})
	return appendArray(dst, len(c.Assets), func(dst []byte, i int) []byte {
		a := &c.Assets[i]
		dst = AppendOptString(AppendString(AppendString(dst, a.URL), a.MediaType), a.Rendition)
		return appendOptLong(appendOptLong(dst, a.Width), a.Height)
	})
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendOptTime(dst []byte, t time.Time) []byte {
	return AppendOptLong(dst, t.UnixMilli(), !t.IsZero())
}

// ContentDecoder reads records of content.items.
type ContentDecoder = Decoder[event.Content]

// NewContentDecoder asks source for each schema id once.
func NewContentDecoder(source Source) *ContentDecoder {
	return &ContentDecoder{source: source, kind: contentKind}
}

var contentKind = kindOf(schema.ContentItems, []plan[event.Content]{readContent}, checkContent, fillContent)

func checkContent(writer []avro.SchemaField) error {
	return checkTimes(writer, "occurred_at", "received_at", "valid_from_at", "valid_until_at")
}

// The fewest bytes that an asset and a variant can have: one for each field.
const leastAsset, leastVariant = 5, 2

// readContent reads the body of a content.items record of version 1. It returns the record's own
// item_key beside the item, which aliases the body.
func readContent(body []byte, c *event.Content) (key string, err error) {
	r := NewReader(body)
	*c = event.Content{}
	key = r.String("item_key")
	c.ID = r.String("event_id")
	c.Collection = r.String("collection")
	c.ItemID = r.String("item_id")
	c.Locale = r.OptString("locale")
	c.Version = r.optLong("item_version")
	c.OccurredAt = r.Time("occurred_at")
	c.ReceivedAt = r.Time("received_at")
	c.Source = r.String("source")
	c.Approved = r.Bool("approved")
	c.ValidFrom = r.optTime("valid_from_at")
	c.ValidUntil = r.optTime("valid_until_at")
	c.Tags = readArray(&r, "tags", 1, func(r *Reader) string { return r.String("tags") })
	c.Body = r.Bytes("body_json")
	c.Variants = readArray(&r, "variants", leastVariant, func(r *Reader) event.ContentVariant {
		return event.ContentVariant{Locale: r.String("locale"), Body: r.Bytes("body_json")}
	})
	c.Assets = readArray(&r, "assets", leastAsset, func(r *Reader) event.ContentAsset {
		return event.ContentAsset{
			URL: r.String("url"), MediaType: r.String("media_type"), Rendition: r.OptString("rendition"),
			Width: r.optLong("width"), Height: r.optLong("height"),
		}
	})
	c.Withdraws = withdraws(key)
	return key, r.Err()
}

// withdraws reports whether a key is that of a record that withdraws an item.
func withdraws(key string) bool {
	_, _, locale, ok := event.SplitContentKey(key)
	return ok && locale == "*"
}

// optTime reads a nullable time; null is the zero time.
func (r *Reader) optTime(field string) time.Time {
	if !r.Present(field) {
		return time.Time{}
	}
	return r.Time(field)
}

// wireContent is version 1 of content.items, as the resolving decoder fills it.
type wireContent struct {
	ItemKey      string        `avro:"item_key"`
	EventID      string        `avro:"event_id"`
	Collection   string        `avro:"collection"`
	ItemID       string        `avro:"item_id"`
	Locale       *string       `avro:"locale"`
	ItemVersion  *int64        `avro:"item_version"`
	OccurredAt   time.Time     `avro:"occurred_at"`
	ReceivedAt   time.Time     `avro:"received_at"`
	Source       string        `avro:"source"`
	Approved     bool          `avro:"approved"`
	ValidFromAt  *time.Time    `avro:"valid_from_at"`
	ValidUntilAt *time.Time    `avro:"valid_until_at"`
	Tags         []string      `avro:"tags"`
	BodyJSON     string        `avro:"body_json"`
	Variants     []wireVariant `avro:"variants"`
	Assets       []wireAsset   `avro:"assets"`
}

type wireVariant struct {
	Locale   string `avro:"locale"`
	BodyJSON string `avro:"body_json"`
}

type wireAsset struct {
	URL       string  `avro:"url"`
	MediaType string  `avro:"media_type"`
	Rendition *string `avro:"rendition"`
	Width     *int64  `avro:"width"`
	Height    *int64  `avro:"height"`
}

func fillContent(w *wireContent, c *event.Content) (key string, err error) {
	*c = event.Content{
		ID: w.EventID, Collection: w.Collection, ItemID: w.ItemID, Locale: orEmpty(w.Locale), Version: w.ItemVersion,
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(), Source: w.Source, Approved: w.Approved,
		ValidFrom: orZero(w.ValidFromAt), ValidUntil: orZero(w.ValidUntilAt), Tags: w.Tags, Body: []byte(w.BodyJSON), Withdraws: withdraws(w.ItemKey),
	}
	for _, v := range w.Variants {
		c.Variants = append(c.Variants, event.ContentVariant{Locale: v.Locale, Body: []byte(v.BodyJSON)})
	}
	for _, a := range w.Assets {
		c.Assets = append(c.Assets, event.ContentAsset{URL: a.URL, MediaType: a.MediaType, Rendition: orEmpty(a.Rendition), Width: a.Width, Height: a.Height})
	}
	return w.ItemKey, nil
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}
