package contentcacher

import (
	"context"
	"encoding/binary"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// reading reads the heads of records, again and again into the same place. Where they were written with the
// schema that we write with, it does not look beyond them: nine tenths of a record are its bodies.
type reading struct {
	decoder *avro.ContentDecoder
	ours    int // id of that schema; 0 where it is not known
	content event.Content
	head    shelf.Head
}

// headerBytes is how long what stands before a record is: a zero, and the id of its schema.
const headerBytes = 5

// record reads a head. What is wrong behind it nobody says yet.
func (d *reading) record(ctx context.Context, r *stream.Record) (*shelf.Head, error) {
	if v := r.Value; d.ours != 0 && len(v) > headerBytes && v[0] == 0 && int(binary.BigEndian.Uint32(v[1:])) == d.ours {
		if d.direct(v[headerBytes:], r.Key) {
			return &d.head, nil
		}
	}
	if err := recognise(ctx, d.decoder, r, &d.content); err != nil { // which says what is wrong
		return nil, err
	}
	d.head = shelf.HeadOf(&d.content)
	return &d.head, nil
}

// direct reads version 1 of content.items up to its tags, and reports whether all was well.
func (d *reading) direct(body, recordKey []byte) bool {
	h := &d.head
	*h = shelf.Head{Until: shelf.Never, Tags: h.Tags[:0]}
	r := avro.NewReader(body)
	key := r.String("item_key")
	r.String("event_id")
	h.Collection = r.String("collection")
	h.ItemID = r.String("item_id")
	h.Locale = r.OptString("locale")
	if h.HasVersion = r.Present("item_version"); h.HasVersion {
		h.Version = r.Long("item_version")
	}
	h.Occurred = r.Long("occurred_at")
	h.Received = r.Long("received_at")
	r.String("source")
	h.Approved = r.Bool("approved")
	if r.Present("valid_from_at") {
		h.From = r.Long("valid_from_at")
	}
	if r.Present("valid_until_at") {
		h.Until = r.Long("valid_until_at")
	}
	for n := r.Block("tags", 1); n > 0; n = r.Block("tags", 1) {
		for range n {
			h.Tags = append(h.Tags, r.String("tags"))
		}
	}
	r.Bytes("body_json")
	if !r.More() { // there are two arrays at least, or something was wrong
		return false
	}
	collection, id, locale, ok := event.SplitContentKey(key)
	h.Withdraws = locale == "*"
	return ok && key == string(recordKey) && collection == h.Collection && id == h.ItemID && (h.Withdraws || locale == h.Locale)
}
