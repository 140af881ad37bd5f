package content

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// stock is what content.items says now of what was asked about.
type stock struct {
	shelf    shelf.Shelf
	assets   map[string][]event.ContentAsset // by the key of the record that names them
	refused  map[string]Problem              // by key: a later record of it may be a good one
	problems []Problem
}

// read reads the topic to its end.
func read(ctx context.Context, c *replay.Cluster, about Subject) (*stock, error) {
	s := &stock{assets: map[string][]event.ContentAsset{}, refused: map[string]Problem{}}
	decoder := avro.NewContentDecoder(c.Schemas)
	err := c.Read(ctx, stream.Range{Topic: c.Kafka.Topic(schema.ContentItems)}, func(r *stream.Record) error {
		key := string(r.Key)
		collection, id, _, ok := event.SplitContentKey(key)
		if ok && !about.covers(collection, id) {
			return nil
		}
		return s.take(ctx, decoder, r, collection, id)
	})
	if err != nil {
		return nil, err
	}
	for _, p := range s.refused {
		s.problems = append(s.problems, p)
	}
	slices.SortFunc(s.problems, func(a, b Problem) int { return strings.Compare(a.Collection+"/"+a.ID, b.Collection+"/"+b.ID) })
	return s, nil
}

// take does with a record what content-cacher does.
func (s *stock) take(ctx context.Context, decoder *avro.ContentDecoder, r *stream.Record, collection, id string) error {
	key := string(r.Key)
	delete(s.refused, key)
	if r.Value == nil {
		s.shelf.Remove(key)
		delete(s.assets, key)
		return nil
	}
	var c event.Content
	err := contentcacher.Read(ctx, decoder, r, &c)
	if unreadable, ok := avro.AsUnreadable(err); ok {
		s.shelf.Remove(key)
		delete(s.assets, key)
		s.refused[key] = Problem{
			Collection: collection, ID: id, What: Unreadable, Grave: true,
			Detail: fmt.Sprintf("content-cacher refuses record %d/%d: %s: %s", r.Partition, r.Offset, unreadable.Reason, unreadable.Detail),
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading record %d/%d: %w", r.Partition, r.Offset, err)
	}
	if s.shelf.Put(&c) == shelf.Kept {
		s.assets[key] = slices.Clone(c.Assets)
		for i := range s.assets[key] {
			a := &s.assets[key][i]
			a.URL, a.MediaType, a.Rendition = strings.Clone(a.URL), strings.Clone(a.MediaType), strings.Clone(a.Rendition)
		}
	}
	return nil
}

// assetsOf are those of the record that an item has in a locale: of a variant, the item's own.
func (s *stock) assetsOf(collection, id, locale string) []event.ContentAsset {
	if locale != "" {
		if own, ok := s.assets[(&event.Content{Collection: collection, ItemID: id, Locale: locale}).Key()]; ok {
			return own
		}
	}
	return s.assets[(&event.Content{Collection: collection, ItemID: id}).Key()]
}
