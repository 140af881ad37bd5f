package contentcacher

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/content-cacher/larder"
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
	if id := hex.EncodeToString(layout.ID[:]); s.forgotten(id) {
		err = s.begin(ctx, id, ends)
	} else {
		err = s.catchUp(ctx, ends)
	}
	if err != nil {
		return err
	}
	s.heard()
	s.caughtUp()
	from := s.known.get().Offsets
	for p, extent := range ends {
		from[p] = max(from[p], extent.End) // behind the marker of a transaction
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var listening sync.WaitGroup
	defer listening.Wait()
	defer cancel(nil)
	listening.Go(func() { s.listen(ctx, changes, layout.Partitions, cancel) })
	if err := s.follow(ctx, stream.Range{Topic: s.topic, From: from, Follow: true}); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// forgotten reports whether what is on the shelf is of no use for the topic of that id: it is of another, or
// so old that the topic may have forgotten what was withdrawn since, or cannot be kept on the disk as it is.
func (s *Service) forgotten(id string) bool {
	mark := s.known.get()
	return mark.Topic != id || time.Since(mark.At) > schema.TombstoneRetention || s.lost.Load()
}

// begin reads the topic from its beginning, beside what is served until then. What an earlier round has read
// is not read again.
func (s *Service) begin(ctx context.Context, id string, ends map[int32]stream.Extent) error {
	s.stopSettling()
	if s.building == nil || s.building.topic != id {
		s.building = s.newFresh(id)
	}
	f := s.building
	if err := s.fill(ctx, f, starts(ends, f.offsets())); err != nil {
		return err
	}
	s.building = nil
	mark := larder.Mark{Topic: id, Offsets: f.offsets(), At: time.Now()}
	s.amends.reset()
	for _, l := range f.lanes {
		for key, partition := range l.behind {
			s.amends.wanted(key, partition)
		}
	}
	s.copy.remake()
	s.lost.Store(false)
	s.known.set(mark)
	s.shelf.Store(f.shelf)
	s.startSettling(f, mark)
	return nil
}

// catchUp reads what has come since the shelf was up to date.
func (s *Service) catchUp(ctx context.Context, ends map[int32]stream.Extent) error {
	return s.follow(ctx, stream.Range{Topic: s.topic, From: starts(ends, s.known.get().Offsets)})
}

// follow puts a stretch of the topic onto the shelf that is served.
func (s *Service) follow(ctx context.Context, r stream.Range) error {
	target := s.shelf.Load()
	var scratch []byte
	return stream.Read(ctx, s.kafka, r, func(r *stream.Record) error { return s.take(ctx, target, r, &scratch) })
}

// starts are where to read on, in every partition there is.
func starts(ends map[int32]stream.Extent, offsets map[int32]int64) map[int32]int64 {
	from := map[int32]int64{}
	for p, extent := range ends {
		from[p] = max(offsets[p], extent.First)
	}
	return from
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
	s.schema = ids[schema.ContentItems]
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
func (s *Service) listen(ctx context.Context, changes *stream.Changelog, partitions int32, fail context.CancelCauseFunc) {
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	flushed, swept := time.Now(), time.Time{}
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
		if s.lost.Load() {
			fail(errors.New("the local copy is to be made anew"))
			return
		}
		if away := time.Since(s.known.get().At); away > schema.TombstoneRetention {
			fail(fmt.Errorf("the topic was not heard for %s, longer than it remembers what was withdrawn", away.Round(time.Second)))
			return
		}
		s.heard()
		s.metrics.behind.Set(float64(behind(ends, s.known.get().Offsets)))
		if err := s.copy.heard(time.Now()); err != nil {
			fail(err)
			return
		}
		if s.tidy(ctx, partitions, time.Since(swept) > sweeping) {
			swept = time.Now()
		}
		if time.Since(flushed) > flushing {
			if err := s.copy.larder.Flush(); err != nil {
				fail(err)
				return
			}
			flushed = time.Now()
		}
	}
}

// tidy writes to the topic what nobody else does, and reports whether it has tried to sweep. That it cannot is no
// reason not to serve.
func (s *Service) tidy(ctx context.Context, partitions int32, sweeping bool) bool {
	if s.copy.beingMade() {
		return false // what stands is not all there yet
	}
	writing, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := s.amend(writing)
	if err == nil && sweeping {
		err = s.sweep(writing, partitions)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn().Err(err).Msg("the topic of the content cannot be tidied")
	}
	return sweeping
}

func behind(ends map[int32]stream.Extent, offsets map[int32]int64) (n int64) {
	for p, extent := range ends {
		n += max(0, extent.End-max(offsets[p], extent.First))
	}
	return n
}

var errNotCaughtUp = errors.New("the content is not read to its end yet")
