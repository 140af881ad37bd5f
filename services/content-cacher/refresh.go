package contentcacher

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// refresh follows the topic until the context ends. Whatever goes wrong, what is on the shelf is served on.
func (s *Service) refresh(ctx context.Context) {
	patience := retry.Schedule{Base: 200 * time.Millisecond, Cap: 5 * time.Second}
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := s.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > time.Minute {
			attempt = 0
		}
		s.log.Warn().Err(err).Msg("the topic of the content cannot be read; what is known is served on")
		s.deaf()
		select {
		case <-ctx.Done():
			return
		case <-time.After(patience.Next(attempt, 0)):
		}
	}
}

// round brings the shelf up to date, and follows the topic from there until something goes wrong.
func (s *Service) round(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	changes, err := stream.NewChangelog(s.kafka, s.topic)
	if err != nil {
		return err
	}
	defer changes.Close()
	layout, err := changes.Layout(ctx)
	if err != nil {
		return err
	}
	ends, err := changes.Extents(ctx)
	if err != nil {
		return err
	}
	target := s.shelf.Load()
	if s.building != nil {
		target = s.building // what an earlier round has read stands there alone, and is not read again
	}
	id, mark := hex.EncodeToString(layout.ID[:]), s.copy.Mark()
	if mark.Topic != id || !mark.At.IsZero() && time.Since(mark.At) > schema.TombstoneRetention {
		// Another topic, or one that may have forgotten by now what was withdrawn meanwhile: it is read from the
		// beginning, beside what is served until then.
		if err := s.copy.Restart(id); err != nil {
			return err
		}
		target, mark = new(shelf.Shelf), s.copy.Mark()
		s.building = target
	}
	from := map[int32]int64{}
	for p, extent := range ends {
		from[p] = max(mark.Offsets[p], extent.First)
	}
	if err := s.fill(ctx, target, from); err != nil {
		return err
	}
	s.shelf.Store(target)
	s.building = nil
	s.heard()
	if err := s.copy.Heard(time.Now()); err != nil {
		return err
	}
	s.caughtUp()
	for p, next := range s.copy.Mark().Offsets {
		from[p] = max(from[p], next)
	}
	for p, extent := range ends {
		from[p] = max(from[p], extent.End) // behind the marker of a transaction
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.listen(ctx, changes, cancel)
	var scratch []byte
	each := func(r *stream.Record) error { return s.take(ctx, target, r, &scratch) }
	if err := stream.Read(ctx, s.kafka, stream.Range{Topic: s.topic, From: from, Follow: true}, each); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// prepare makes the topics and finds the schema of dead letters, once.
func (s *Service) prepare(ctx context.Context) error {
	if s.letters != nil {
		return nil
	}
	name := schema.DeadLetters(Name)
	ids, err := topics.Prepare(ctx, s.kafka, s.registry, schema.ContentItems, name)
	if err != nil {
		return fmt.Errorf("preparing topics: %w", err)
	}
	s.letters, err = deadletter.Open(s.kafka, Name, ids[name])
	return err
}

// Rhythms of looking whether Kafka is there, and of bringing the copy to the disk.
const (
	heartbeat = 2 * time.Second
	flushing  = 30 * time.Second
)

// listen finds out whether the topic can be heard: a reader that gets nothing cannot tell silence from
// being deaf.
func (s *Service) listen(ctx context.Context, changes *stream.Changelog, fail context.CancelCauseFunc) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	flushed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
		}
		asking, cancel := context.WithTimeout(ctx, 2*heartbeat)
		ends, err := changes.Extents(asking)
		cancel()
		if err != nil {
			s.deaf()
			continue
		}
		if away := time.Since(s.copy.Mark().At); away > schema.TombstoneRetention {
			fail(fmt.Errorf("the topic was not heard for %s, longer than it remembers what was withdrawn", away.Round(time.Second)))
			return
		}
		s.heard()
		s.metrics.behind.Set(float64(behind(ends, s.copy.Mark().Offsets)))
		if err := s.copy.Heard(time.Now()); err != nil {
			fail(err)
			return
		}
		if time.Since(flushed) > flushing {
			if err := s.copy.Flush(); err != nil {
				fail(err)
				return
			}
			flushed = time.Now()
		}
	}
}

func behind(ends map[int32]stream.Extent, offsets map[int32]int64) (n int64) {
	for p, extent := range ends {
		n += max(0, extent.End-max(offsets[p], extent.First))
	}
	return n
}

// copyVersion is put into the header of what is kept on disk, in place of a schema's id: the registry may
// be away when it is read.
const copyVersion = 1

// take puts a record where it is served from, and into the copy. Scratch is where it is written for that.
func (s *Service) take(ctx context.Context, target *shelf.Shelf, r *stream.Record, scratch *[]byte) error {
	s.metrics.accepted.Inc()
	if r.Value == nil {
		target.Remove(string(r.Key))
		s.metrics.records.WithLabelValues("delivered", "withdrawn").Inc()
		return s.copy.Put(r.Partition, r.Offset+1, r.Key, nil)
	}
	var c event.Content
	err := Read(ctx, s.decoder, r, &c)
	if unreadable, ok := avro.AsUnreadable(err); ok {
		if err := s.refuse(ctx, r, unreadable); err != nil {
			return err
		}
		// It stands in the topic for its key: what was there before does not any more.
		target.Remove(string(r.Key))
		return s.copy.Put(r.Partition, r.Offset+1, r.Key, nil)
	}
	if err != nil {
		return err
	}
	switch target.Put(&c) {
	case shelf.Stale:
		s.metrics.records.WithLabelValues("skipped", "stale").Inc()
		return s.copy.Seen(r.Partition, r.Offset+1)
	case shelf.Gone:
		s.metrics.records.WithLabelValues("delivered", "withdrawn").Inc()
	default:
		s.metrics.records.WithLabelValues("delivered", "").Inc()
	}
	*scratch = avro.AppendContent((*scratch)[:0], copyVersion, &c)
	return s.copy.Put(r.Partition, r.Offset+1, r.Key, *scratch)
}

// Read decodes a record and holds it to what the topic promises, since others write there too. An
// *avro.Unreadable says that it cannot be served; any other error, that the registry could not be asked.
func Read(ctx context.Context, decoder *avro.ContentDecoder, r *stream.Record, c *event.Content) error {
	key, err := decoder.Decode(ctx, r.Value, c)
	if err != nil {
		return err
	}
	if key != string(r.Key) || key != c.Key() {
		return &avro.Unreadable{Reason: "key_mismatch", Detail: "the record's key, its item_key, and its collection, id and locale are to say the same"}
	}
	if _, _, _, ok := event.SplitContentKey(key); !ok {
		return &avro.Unreadable{Reason: "invalid", Detail: "a collection and an id are needed, without '#' in them, and no '/' in the collection"}
	}
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

// kept reads the copy on disk onto the shelf.
func (s *Service) kept() error {
	source := ownSchema{}
	decoder := avro.NewContentDecoder(source)
	to := s.shelf.Load()
	return s.copy.Each(func(key, value []byte) error {
		var c event.Content
		if _, err := decoder.Decode(context.Background(), value, &c); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		to.Put(&c)
		return nil
	})
}

// ownSchema knows the schemas of the copy by our own numbers.
type ownSchema struct{}

// SchemaByID finds the text of a version.
func (ownSchema) SchemaByID(_ context.Context, id int) (string, error) {
	versions, err := contentVersions()
	if err != nil {
		return "", err
	}
	if id < 1 || id > len(versions) {
		return "", &avro.Unreadable{Reason: "unknown_schema", Detail: fmt.Sprintf("there is no version %d", id)}
	}
	return versions[id-1], nil
}

var errNotCaughtUp = errors.New("the content is not read to its end yet")
