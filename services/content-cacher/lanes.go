package contentcacher

import (
	"context"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// How many records are handed over at once, and how many lanes there are at most: reading one topic does not
// get faster by more.
const (
	handful   = 256
	mostLanes = 8
)

// fresh is a shelf that is being filled from the beginning of the topic.
type fresh struct {
	shelf *shelf.Shelf
	topic string // its id
	lanes [mostLanes]*lane
}

// lane takes the records of some partitions, in their order.
type lane struct {
	filler  *shelf.Filler
	records chan []*stream.Record
	pending []*stream.Record
	next    map[int32]int64  // the first offset of each partition that was not taken yet
	tally   tally            // since it was counted last
	held    int              // laid down, and not superseded
	behind  map[string]int32 // keys, and their partitions, of which the topic says last what does not stand
	reading reading
}

// tally is what became of records that were taken by the handful.
type tally struct{ accepted, stale, withdrawn, superseded, refused int }

// held is how many of them are laid down; those that were before and are superseded are taken off.
func (t tally) held() int { return t.accepted - t.stale - t.withdrawn - t.superseded - t.refused }

func (s *Service) newFresh(topic string) *fresh {
	f := &fresh{topic: topic, shelf: shelf.Filling(func(r *stream.Record, c *event.Content) error {
		if err := recognise(context.Background(), s.decoder, r, c); err != nil {
			return err
		}
		return checkBodies(c)
	})}
	for i := range f.lanes {
		f.lanes[i] = &lane{filler: f.shelf.NewFiller(), next: map[int32]int64{}, behind: map[string]int32{}, reading: reading{decoder: s.decoder, ours: s.schema}}
	}
	return f
}

// offsets are how far it was read.
func (f *fresh) offsets() map[int32]int64 {
	all := map[int32]int64{}
	for _, l := range f.lanes {
		for p, next := range l.next {
			all[p] = next
		}
	}
	return all
}

// held is how many records are laid down on it.
func (f *fresh) held() (n int) {
	for _, l := range f.lanes {
		n += l.held
	}
	return n
}

// fill reads the topic from some offsets to its end onto a fresh shelf, with every core that there is.
// Records are laid down as they come, since making pages of them takes several times as long as getting them.
// A partition stays on its lane, so that its records stay in order.
func (s *Service) fill(ctx context.Context, f *fresh, from map[int32]int64) error {
	defer letHeapGrow()()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lanes := f.lanes[:min(runtime.GOMAXPROCS(0), mostLanes)]
	var working sync.WaitGroup
	for _, l := range lanes {
		l.records, l.pending = make(chan []*stream.Record, 4), nil
		working.Go(func() {
			for records := range l.records {
				if err := s.layDown(ctx, l, records); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := stream.Read(ctx, s.kafka, stream.Range{Topic: s.topic, From: from}, func(r *stream.Record) error {
		l := lanes[int(r.Partition)%len(lanes)]
		if l.pending = append(l.pending, r); len(l.pending) == handful {
			l.records <- l.pending
			l.pending = make([]*stream.Record, 0, handful)
		}
		return nil
	})
	for _, l := range lanes {
		l.records <- l.pending
		close(l.records)
	}
	working.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// letHeapGrow has garbage collected less often until the function that it returns is called. While a shelf is
// filled nearly everything that is read stays, so that collecting finds little and takes a fifth of the time.
func letHeapGrow() (stop func()) {
	const percent = 400
	was := debug.SetGCPercent(percent)
	if was < 0 || was > percent {
		debug.SetGCPercent(was)
	}
	return func() { debug.SetGCPercent(was) }
}

// layDown takes a handful of records, as far as it gets.
func (s *Service) layDown(ctx context.Context, l *lane, records []*stream.Record) error {
	defer func() {
		l.held += l.tally.held()
		s.metrics.taken(l.tally)
		l.tally = tally{}
	}()
	if ctx.Err() != nil {
		return nil // what was not taken is read again
	}
	for i, r := range records {
		if err := s.lay(ctx, l, r); err != nil {
			l.taken(records[:i])
			return err
		}
	}
	l.taken(records)
	return nil
}

// taken remembers how far records go.
func (l *lane) taken(records []*stream.Record) {
	for i, r := range records {
		if i+1 == len(records) || records[i+1].Partition != r.Partition {
			l.next[r.Partition] = r.Offset + 1
		}
	}
}

func (s *Service) lay(ctx context.Context, l *lane, r *stream.Record) error {
	var head *shelf.Head
	var err error
	if r.Value != nil {
		head, err = l.reading.record(ctx, r)
	}
	var verdict shelf.Verdict
	unreadable, refused := avro.AsUnreadable(err)
	switch {
	case refused:
		if err := s.refuse(ctx, r, unreadable); err != nil {
			return err
		}
		// It stands in the topic for its key: what was there before does not any more.
		verdict = l.filler.Clear(string(r.Key), shelf.Never)
		l.tally.refused++
	case err != nil:
		return err
	case r.Value == nil:
		if verdict = l.filler.Clear(string(r.Key), clears(r)); verdict != shelf.Stale {
			l.tally.withdrawn++
		}
	default:
		if verdict = l.filler.Put(head, r); verdict == shelf.Gone {
			l.tally.withdrawn++
		}
	}
	l.tally.accepted++
	if verdict == shelf.Stale {
		l.tally.stale++
		l.behind[string(r.Key)] = r.Partition
		return nil
	}
	if verdict == shelf.Replaced {
		l.tally.superseded++
	}
	if len(l.behind) > 0 {
		delete(l.behind, string(r.Key))
	}
	return nil
}
