package contentcacher

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// take puts a record where it is served from, and into the copy. Scratch is where it is written for that.
func (s *Service) take(ctx context.Context, target *shelf.Shelf, r *stream.Record, scratch *[]byte) error {
	s.metrics.accepted.Inc()
	value, err := s.place(ctx, target, r, scratch)
	if err != nil {
		return err
	}
	if err := s.copy.put(r.Partition, r.Offset+1, r.Key, value); err != nil {
		return err
	}
	s.known.seen(r.Partition, r.Offset+1)
	return nil
}

// asItWas says that a record changes nothing in the copy.
var asItWas = []byte{}

// place puts a record onto the shelf, and returns what becomes of it in the copy: nil where its key is to be
// forgotten.
func (s *Service) place(ctx context.Context, target *shelf.Shelf, r *stream.Record, scratch *[]byte) ([]byte, error) {
	key, again := string(r.Key), standsAgain(r)
	if again && s.amends.overtaken(key) {
		s.amends.wanted(key, r.Partition)
		s.metrics.settled("skipped", "overtaken", 1)
		return asItWas, nil
	}
	value, verdict, err := s.put(ctx, target, r, scratch)
	switch {
	case err != nil:
		return nil, err
	case verdict == shelf.Stale:
		s.amends.wanted(key, r.Partition)
		s.metrics.settled("skipped", "stale", 1)
		return asItWas, nil
	case again:
		s.amends.done(key)
	default:
		s.amends.written(key)
	}
	return value, nil
}

// put does so for a record that counts.
func (s *Service) put(ctx context.Context, target *shelf.Shelf, r *stream.Record, scratch *[]byte) (value []byte, v shelf.Verdict, err error) {
	if r.Value == nil {
		if v = target.Clear(string(r.Key), clears(r)); v != shelf.Stale {
			s.metrics.settled("delivered", "withdrawn", 1)
		}
		return nil, v, nil
	}
	var c event.Content
	err = Read(ctx, s.decoder, r, &c)
	if unreadable, ok := avro.AsUnreadable(err); ok {
		// It stands in the topic for its key: what was there before does not any more.
		return nil, target.Remove(string(r.Key)), s.refuse(ctx, r, unreadable)
	}
	if err != nil {
		return nil, v, err
	}
	switch v = target.Put(&c); v {
	case shelf.Stale:
		return nil, v, nil
	case shelf.Gone:
		s.metrics.settled("delivered", "withdrawn", 1)
	default:
		s.metrics.settled("delivered", "", 1)
	}
	*scratch = avro.AppendContent((*scratch)[:0], copyVersion, &c)
	return *scratch, v, nil
}

// Read decodes a record and holds it to what the topic promises, since others write there too. An
// *avro.Unreadable says that it cannot be served; any other error, that the registry could not be asked.
func Read(ctx context.Context, decoder *avro.ContentDecoder, r *stream.Record, c *event.Content) error {
	if err := recognise(ctx, decoder, r, c); err != nil {
		return err
	}
	return checkBodies(c)
}

// recognise does so for everything but the bodies, which are most of a record.
func recognise(ctx context.Context, decoder *avro.ContentDecoder, r *stream.Record, c *event.Content) error {
	key, err := decoder.Decode(ctx, r.Value, c)
	if err != nil {
		return err
	}
	collection, id, locale, ok := event.SplitContentKey(key)
	same := key == string(r.Key) && collection == c.Collection && id == c.ItemID && (c.Withdraws || locale == c.Locale)
	switch {
	case ok && same:
		return nil
	case key != string(r.Key) || key != c.Key():
		return &avro.Unreadable{Reason: "key_mismatch", Detail: "the record's key, its item_key, and its collection, id and locale are to say the same"}
	}
	return &avro.Unreadable{Reason: "invalid", Detail: "a collection and an id are needed, without '#' in them, and no '/' in the collection"}
}

func checkBodies(c *event.Content) error {
	if err := checkBody("body_json", c.Body); err != nil {
		return err
	}
	for i := range c.Variants {
		if err := checkBody("variants["+c.Variants[i].Locale+"].body_json", c.Variants[i].Body); err != nil {
			return err
		}
	}
	return nil
}

func checkBody(field string, body []byte) error {
	if v := jsontext.Value(body); v.Kind() != '{' || !v.IsValid() {
		return &avro.Unreadable{Reason: "invalid", Detail: field + " is not one JSON object"}
	}
	return nil
}

// refuse keeps a record that cannot be served.
func (s *Service) refuse(ctx context.Context, r *stream.Record, why *avro.Unreadable) error {
	done := make(chan error, 1)
	now := time.Now().UTC()
	s.letters.Write(ctx, deadletter.Letter{
		Reason: why.Reason, Detail: why.Detail, OriginTopic: r.Topic, OriginPartition: r.Partition, OriginOffset: r.Offset,
		AppendedAt: r.Timestamp, Key: r.Key, Value: r.Value, Headers: r.Headers, FirstAttemptAt: now, LastAttemptAt: now,
	}, func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("writing a dead letter: %w", err)
		}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	s.metrics.records.WithLabelValues("refused", why.Reason).Inc()
	s.log.Warn().Str("reason", why.Reason).Str("detail", why.Detail).Int32("partition", r.Partition).Int64("offset", r.Offset).
		Msg("a record of content is refused; it is kept as a dead letter")
	return nil
}
