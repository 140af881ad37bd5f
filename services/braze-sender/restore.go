package brazesender

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// restore brings the window's local copy up to the receipts' end whenever partitions come. Nearly always
// that takes less than a rebalance may; where it does not, the partitions are taken all the same, and
// their records parked until the copy is there.
type restore struct {
	waiting atomic.Bool // records are to be parked
	cancel  context.CancelFunc
	done    chan struct{} // closed when nobody is at it any more; nil before the first time
	took    atomic.Int64  // nanoseconds that the last one took
}

// openWindow opens the local copy of the receipts.
func (s *Sender) openWindow() error {
	store, err := s.config.State.Open(Name, s.log)
	if err != nil {
		return err
	}
	view, err := table.OpenView(s.config.Kafka, store, table.ViewOptions{
		Topic: s.settler.topic, Window: s.config.Sender.DedupWindow, Decode: s.feeds.entry, Log: s.log,
		Progress: func(p table.Progress) {
			s.log.Info().Int64("records", p.Records).Int64("of", p.Of).Bool("done", p.Done).Msg("reading the receipts of DEDUP_WINDOW")
		},
	})
	if err != nil {
		return errors.Join(err, store.Close())
	}
	s.window = &window{delivered: view, patience: restorePatience}
	s.settler.window = s.window
	s.metrics.watchWindow(view.Stats, &s.window.restore)
	s.closers = append(s.closers, func() {
		if err := errors.Join(view.Close(), store.Close()); err != nil {
			s.log.Warn().Err(err).Msg("closing the local copy of the receipts")
		}
	})
	return nil
}

// restorePatience is how long a rebalance is held up. The group waits for a minute.
const restorePatience = 20 * time.Second

// errRestoring is what readiness says meanwhile.
var errRestoring = errors.New("the receipts of DEDUP_WINDOW are being read: until that is done nothing of these partitions is sent")

// restoreWindow reads what was delivered of partitions not long ago.
func (s *Sender) restoreWindow(ctx context.Context, parts []*stream.Partition) {
	if s.window == nil {
		return
	}
	s.abandonRestore()
	numbers := numbersOf(parts)
	// Where an earlier takeover failed half-way nobody has said that the partitions went away again: others may
	// have had them since, and delivered.
	s.window.delivered.Revoke(numbers)
	r := &s.window.restore
	ctx, r.cancel = context.WithCancel(ctx)
	r.done = make(chan struct{})
	r.waiting.Store(true)
	done := r.done
	go func() {
		defer close(done)
		began := time.Now()
		if !s.assignWindow(ctx, numbers) {
			return
		}
		r.took.Store(int64(time.Since(began)))
		r.waiting.Store(false)
		s.health.Set("dedup", nil)
		s.takeUpAgain(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	case <-time.After(s.window.patience):
		s.health.Set("dedup", errRestoring)
		if !r.waiting.Load() { // it has come to its end this very moment
			s.health.Set("dedup", nil)
		}
		s.log.Warn().Int("partitions", len(numbers)).Msg("the receipts of DEDUP_WINDOW take long to read: the partitions wait")
	}
}

// assignWindow tries until it can. It reports false when the context ends first.
func (s *Sender) assignWindow(ctx context.Context, numbers []int32) bool {
	for attempt := 0; ; attempt++ {
		err := s.window.delivered.Assign(ctx, numbers)
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.log.Warn().Err(err).Msg("reading the receipts of DEDUP_WINDOW")
		select {
		case <-ctx.Done():
			return false
		case <-time.After(patience.Next(attempt, 0)):
		}
	}
}

// abandonRestore returns when nobody reads receipts any more.
func (s *Sender) abandonRestore() {
	if s.window == nil || s.window.restore.done == nil {
		return
	}
	s.window.restore.cancel()
	<-s.window.restore.done
}

// closeWindow forgets what is known of partitions that go away.
func (s *Sender) closeWindow(parts []*stream.Partition) {
	if s.window == nil {
		return
	}
	s.window.forget(parts)
	s.window.delivered.Revoke(numbersOf(parts))
	s.health.Set("dedup", nil)
}

// numbersOf are the partitions' numbers, each once: those of several topics share them, and their receipts.
func numbersOf(parts []*stream.Partition) []int32 {
	var numbers []int32
	for _, p := range parts {
		if !slices.Contains(numbers, p.Number) {
			numbers = append(numbers, p.Number)
		}
	}
	return numbers
}
