package contentcacher

import (
	"context"
	"runtime"
	"sync"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// How many records are handed over at once, and how many lanes there are at most: reading one topic does not
// get faster by more.
const (
	handful   = 256
	mostLanes = 8
)

// lane takes the records of some partitions, in their order.
type lane struct {
	records chan []*stream.Record
	pending []*stream.Record
	scratch []byte
}

// fill reads the topic to its end onto a shelf, with every core that there is: preparing a record takes
// several times as long as getting it. A partition stays on its lane, so that its records stay in order.
func (s *Service) fill(ctx context.Context, target *shelf.Shelf, from map[int32]int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lanes := make([]lane, min(runtime.GOMAXPROCS(0), mostLanes))
	var working sync.WaitGroup
	for i := range lanes {
		l := &lanes[i]
		l.records = make(chan []*stream.Record, 4)
		working.Go(func() {
			for records := range l.records {
				for _, r := range records {
					if ctx.Err() != nil {
						break // what was not taken is read again
					}
					if err := s.take(ctx, target, r, &l.scratch); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	err := stream.Read(ctx, s.kafka, stream.Range{Topic: s.topic, From: from}, func(r *stream.Record) error {
		l := &lanes[int(r.Partition)%len(lanes)]
		if l.pending = append(l.pending, r); len(l.pending) == handful {
			l.records <- l.pending
			l.pending = make([]*stream.Record, 0, handful)
		}
		return nil
	})
	for i := range lanes {
		lanes[i].records <- lanes[i].pending
		close(lanes[i].records)
	}
	working.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
