package watch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Back is how far back books must reach that are to be judged by: the day before the last hour.
const Back = 25 * time.Hour

// shift is the time during which this replica keeps the books.
type shift struct {
	*Watch
	admin    *stream.Admin
	follower *stream.Follower
	decoder  *avro.EngagementDecoder
	book     *Book
	judged   atomic.Bool // the books have been up to date once

	mu     sync.Mutex
	reads  map[int32]*reading
	behind int64 // records that were there at the last look and are not read
	event  event.Engagement
}

// begin finds out from where to read, and what spoke before that.
func (s *shift) begin(ctx context.Context, now time.Time) error {
	since := now.Add(-Back)
	s.book = NewBook(s.rules(), since)
	from, err := s.admin.OffsetsAt(ctx, s.topic, since)
	if err != nil {
		return fmt.Errorf("finding the day before on %s: %w", s.topic, err)
	}
	err = LookBack(ctx, s.book, Past{Kafka: s.Kafka, Admin: s.admin, Topic: s.topic, Decode: s.decode, Now: now, Until: from})
	if err != nil {
		return fmt.Errorf("looking for connectors that fell silent earlier: %w", err)
	}
	for partition, offset := range from {
		s.readFrom(partition, offset)
	}
	s.Log.Info().Time("since", since).Int("partitions", len(from)).Msg("this replica watches over Currents from now on")
	return nil
}

// read reads until the context ends.
func (s *shift) read(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		var failed error
		err := s.follower.Poll(ctx, func(partition int32, records []*stream.Record) {
			if failed == nil {
				failed = s.take(ctx, partition, records)
			}
		})
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case failed != nil: // then records are missing from the books, which begin anew
			return failed
		case err == nil:
			attempt = -1
			continue
		}
		s.Log.Warn().Err(err).Msg("reading the topic to watch")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(again.Next(attempt, 0)):
		}
	}
}

// decode reads an event. It waits while the registry is away.
func (s *shift) decode(ctx context.Context, r *stream.Record) (e *event.Engagement, ok bool, err error) {
	e = new(event.Engagement)
	for attempt := 0; ; attempt++ {
		_, err := s.decoder.Decode(ctx, r.Value, e)
		var unreadable *avro.Unreadable
		switch {
		case err == nil:
			return e, true, nil
		case errors.As(err, &unreadable):
			return nil, false, nil
		}
		s.Log.Warn().Err(err).Msg("asking the registry for a schema, to watch")
		select {
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		case <-time.After(again.Next(attempt, 0)):
		}
	}
}

// checkEvery is how often everything is judged.
const checkEvery = time.Minute

// askWithin bounds the question how far the topic goes.
const askWithin = 15 * time.Second

// check judges the books once a minute, as soon as they are up to date. They are when everything has been read
// that was there a minute ago: that a topic is silent and that we cannot read it look the same otherwise.
func (s *shift) check(ctx context.Context) error {
	var goal map[int32]stream.Extent
	for wait := time.Duration(0); ; wait = checkEvery {
		if goal != nil && !s.judged.Load() {
			wait = min(wait, time.Second) // the first time, as soon as the day is read
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		if goal != nil && s.reached(goal) {
			s.judge(time.Now())
		} else if goal != nil && !s.judged.Load() {
			continue
		}
		ask, cancel := context.WithTimeout(ctx, askWithin)
		extents, err := s.admin.Extents(ask, s.topic)
		cancel()
		if err != nil {
			s.Log.Warn().Err(err).Msg("nothing is judged while Kafka cannot be asked")
			goal = nil
			continue
		}
		goal = extents
		s.welcome(extents)
	}
}

// reached reports whether what was there at a look has been read. What was deleted before we came to it counts.
func (s *shift) reached(goal map[int32]stream.Extent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behind = 0
	for partition, e := range goal {
		r := s.reads[partition]
		if r == nil {
			s.behind += e.End - e.First
			continue
		}
		left := max(0, e.End-max(r.next, e.First))
		if s.behind += left; left > 0 {
			s.follow(partition, r) // nobody offers it, or not as fast as it comes
		}
	}
	return s.behind == 0
}

// welcome begins to read partitions that were added.
func (s *shift) welcome(extents map[int32]stream.Extent) {
	for partition, e := range extents {
		s.readFrom(partition, e.First)
	}
}

// judge tells of what began and ended.
func (s *shift) judge(now time.Time) {
	for _, c := range s.book.Check(now) {
		s.metrics.changed(c)
		tell(s.Log, c)
	}
	s.judged.Store(true)
}
