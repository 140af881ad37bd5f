package watch

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/stream"
)

// reading is how far a partition has been read into the books: everything before next, and what was offered from
// one offset up to another. The books do not mind in which order they are shown a day.
type reading struct {
	next     int64
	from, to int64 // both 0 where nothing was offered that does not follow upon next
	polled   int64 // how far the follower has read
	followed bool
}

// has reports whether a record is in the books already.
func (r *reading) has(offset int64) bool {
	return offset < r.next || r.from <= offset && offset < r.to
}

// join makes one of what was read and what was offered, once there is nothing between. It reports whether there is.
func (r *reading) join() bool {
	if r.to == 0 || r.next < r.from {
		return r.to != 0
	}
	r.next, r.from, r.to = max(r.next, r.to), 0, 0
	return false
}

// readFrom begins to read a partition, unless it is read already.
func (s *shift) readFrom(partition int32, offset int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reads[partition] == nil {
		r := &reading{next: offset}
		s.reads[partition] = r
		s.follow(partition, r)
	}
}

// follow has the follower read a partition. The lock is held.
func (s *shift) follow(partition int32, r *reading) {
	if !r.followed {
		// What it has polled before is being counted, and it does not come to it again.
		s.follower.Follow(partition, max(r.next, r.polled))
		r.followed = true
	}
}

// leave has it do so no more. The lock is held.
func (s *shift) leave(partition int32, r *reading) {
	if r.followed {
		s.follower.Leave(partition)
		r.followed = false
	}
}

// Offer shows the watch what somebody reads of the topic anyway: all records from one offset up to another, of
// which there is at least one. As long as somebody does, the watch does not read a partition itself beyond the day before.
// Records is only called where they are of use, and what it returns is not kept.
func (w *Watch) Offer(partition int32, from, end int64, records func() []*stream.Record) {
	if s := w.shift.Load(); s != nil {
		s.offer(partition, from, end, records)
	}
}

func (s *shift) offer(partition int32, from, end int64, records func() []*stream.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.reads[partition]
	if r == nil || end <= r.next {
		return
	}
	switch {
	case from <= r.next: // it follows upon what was read
		if !s.enter(r, records()) {
			return
		}
		r.next = end
	case r.to == 0: // it begins behind that
		if !s.enter(r, records()) {
			return
		}
		r.from, r.to = from, end
	case r.from <= from && from <= r.to && end > r.to:
		if !s.enter(r, records()) {
			return
		}
		r.to = end
	default: // more than one gap is not kept
		return
	}
	if gap := r.join(); !gap {
		s.leave(partition, r)
	}
}

// enter counts what is not counted yet, unless a schema would have to be asked for. The lock is held.
func (s *shift) enter(r *reading, records []*stream.Record) bool {
	for _, rec := range records {
		if !s.decoder.Known(rec.Value) {
			return false
		}
	}
	now := time.Now()
	for _, rec := range records {
		if !r.has(rec.Offset) {
			s.count(rec, now)
		}
	}
	return true
}

// take counts records that the follower has read.
func (s *shift) take(ctx context.Context, partition int32, records []*stream.Record) error {
	s.mu.Lock()
	r := s.reads[partition]
	r.polled = records[len(records)-1].Offset + 1
	s.mu.Unlock()
	for _, rec := range records { // without the lock, for which others do not wait long
		if s.decoder.Known(rec.Value) {
			continue
		}
		if _, _, err := s.decode(ctx, rec); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, rec := range records {
		if !r.has(rec.Offset) {
			s.count(rec, now)
		}
	}
	r.next = max(r.next, r.polled)
	if r.to != 0 && !r.join() {
		s.leave(partition, r)
	}
	return nil
}

// ended is for asking without waiting.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// count counts a record whose schema is known, or known not to be one. The lock is held.
func (s *shift) count(r *stream.Record, now time.Time) {
	_, err := s.decoder.Decode(ended, r.Value, &s.event)
	if _, unreadable := avro.AsUnreadable(err); unreadable {
		s.metrics.unreadable.Inc() // its dead letter is the fan-out's affair
		return
	}
	if err == nil {
		s.book.Add(&s.event, now)
	}
}
