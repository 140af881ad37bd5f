package contentcacher

import (
	"context"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/services/content-cacher/larder"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// settling is the work on a fresh shelf that nobody has to wait for: pages are made before they are asked for,
// what cannot be served becomes a dead letter, and everything is copied to the disk.
type settling struct {
	within  context.Context // of the service
	working sync.WaitGroup
	stop    context.CancelFunc
}

func (s *Service) startSettling(f *fresh, mark larder.Mark) {
	ctx, cancel := context.WithCancel(s.settling.within)
	s.settling.stop = cancel
	s.metrics.copying.Set(1)
	s.settling.working.Go(func() {
		defer cancel()
		began := time.Now()
		err := s.settle(ctx, f, mark)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.log.Error().Err(err).Stringer("again_in", copyAgain).Msg("the content cannot be copied to the disk: a restart without Kafka would have nothing to serve")
			select {
			case <-ctx.Done():
			case <-time.After(copyAgain):
				s.lost.Store(true)
			}
		default:
			s.metrics.copying.Set(0)
			s.log.Info().Stringer("took", time.Since(began).Round(time.Millisecond)).Msg("the content is copied to the disk")
		}
	})
}

// copyAgain is how long to wait before everything is read and copied again.
const copyAgain = time.Minute

func (s *Service) stopSettling() {
	if s.settling.stop != nil {
		s.settling.stop()
	}
	s.settling.working.Wait()
}

func (s *Service) settle(ctx context.Context, f *fresh, mark larder.Mark) error {
	left := f.held()
	defer func() { // what was served and has been replaced meanwhile is not found any more
		s.metrics.held.Sub(float64(left))
		s.metrics.settled("delivered", "", left)
	}()
	if err := s.copy.larder.Restart(mark.Topic); err != nil {
		return err
	}
	var scratch []byte
	add := func(key []byte, c *event.Content) error {
		scratch = avro.AppendContent(scratch[:0], copyVersion, c)
		return s.copy.larder.Add(key, scratch)
	}
	err := f.shelf.Prepare(func(l shelf.Laid) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if l.Err != nil {
			if err := s.refuseLaid(ctx, l); err != nil {
				return err
			}
			left--
			s.metrics.held.Dec()
			return nil
		}
		left--
		s.metrics.held.Dec()
		s.metrics.settled("delivered", "", 1)
		return add(l.Record.Key, l.Content)
	})
	if err != nil {
		return err
	}
	err = f.shelf.Withdrawals(func(collection, id string, at int64) error {
		c := withdrawal(collection, id, at)
		return add([]byte(c.Key()), c)
	})
	if err != nil {
		return err
	}
	return s.copy.made(mark)
}

// withdrawal is word that an item is withdrawn as of a moment.
func withdrawal(collection, id string, at int64) *event.Content {
	t := time.UnixMilli(at)
	return &event.Content{Collection: collection, ItemID: id, Withdraws: true, OccurredAt: t, ReceivedAt: t, Body: []byte("{}")}
}

// refuseLaid keeps a record of which no page can be made, however long that takes.
func (s *Service) refuseLaid(ctx context.Context, l shelf.Laid) error {
	unreadable, ok := avro.AsUnreadable(l.Err)
	if !ok {
		return l.Err
	}
	patience := retry.Schedule{Base: 200 * time.Millisecond, Cap: 5 * time.Second}
	for attempt := 0; ; attempt++ {
		err := s.refuse(ctx, l.Record, unreadable)
		if err == nil {
			return nil
		}
		s.log.Warn().Err(err).Msg("a record of content that cannot be served cannot be kept as a dead letter yet")
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(patience.Next(attempt, 0)):
		}
	}
}

// prepareKept makes the pages of what was read from the disk.
func (s *Service) prepareKept(ctx context.Context, kept *shelf.Shelf) {
	err := kept.Prepare(func(shelf.Laid) error { return ctx.Err() })
	if err != nil && ctx.Err() == nil {
		s.log.Warn().Err(err).Msg("the content of the local copy cannot be prepared before it is asked for")
	}
}
