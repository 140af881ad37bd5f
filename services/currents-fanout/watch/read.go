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
	next   map[int32]int64 // offset that comes next, by partition
	behind int64           // records that were there at the last look and are not read
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
		s.followFrom(partition, offset)
	}
	s.Log.Info().Time("since", since).Int("partitions", len(from)).Msg("this replica watches over Currents from now on")
	return nil
}

func (s *shift) followFrom(partition int32, offset int64) {
	s.mu.Lock()
	s.next[partition] = offset
	s.mu.Unlock()
	s.follower.Follow(partition, offset)
}

// follow reads until the context ends.
func (s *shift) follow(ctx context.Context) error {
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

// take counts records.
func (s *shift) take(ctx context.Context, partition int32, records []*stream.Record) error {
	for _, r := range records {
		e, ok, err := s.decode(ctx, r)
		if err != nil {
			return err
		}
		if ok {
			s.book.Add(e, time.Now())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next[partition] = records[len(records)-1].Offset + 1
	return nil
}

// decode reads an event, which stands until the next one is read. It waits while the registry is away.
func (s *shift) decode(ctx context.Context, r *stream.Record) (e *event.Engagement, ok bool, err error) {
	for attempt := 0; ; attempt++ {
		_, err := s.decoder.Decode(ctx, r.Value, &s.event)
		var unreadable *avro.Unreadable
		switch {
		case err == nil:
			return &s.event, true, nil
		case errors.As(err, &unreadable): // its dead letter is the fan-out's affair
			s.metrics.unreadable.Inc()
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
		s.behind += max(0, e.End-max(s.next[partition], e.First))
	}
	return s.behind == 0
}

// welcome begins to read partitions that were added.
func (s *shift) welcome(extents map[int32]stream.Extent) {
	for partition, e := range extents {
		s.mu.Lock()
		_, known := s.next[partition]
		s.mu.Unlock()
		if !known {
			s.followFrom(partition, e.First)
		}
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
