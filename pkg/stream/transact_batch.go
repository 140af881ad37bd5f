package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Batch is the work of one transaction.
type Batch struct {
	Now     time.Time // when it was complete
	Records []*Record // in order within each partition

	bytes    int64
	session  *kgo.GroupTransactSession
	begun    bool
	work     context.Context // outlives the Transactor's own
	patience context.Context // for the transaction; nil until it has begun
	cancel   context.CancelFunc
	timeout  time.Duration

	mu     sync.Mutex
	failed error // the first record that Kafka did not take
}

// Emit writes a record within the batch's transaction. It blocks while Kafka takes less than it is given.
// Whether the record was taken shows when the batch ends. The record is Kafka's until then; its Offset
// is set in a batch that has been committed.
func (b *Batch) Emit(r *Record) error {
	if err := b.begin(); err != nil {
		return err
	}
	b.session.Produce(b.patience, r, b.produced)
	return nil
}

// begin begins the transaction. From then on the brokers wait for its end for a while only, and so do we.
func (b *Batch) begin() error {
	if b.begun {
		return nil
	}
	if err := b.session.Begin(); err != nil {
		return fatalError{fmt.Errorf("beginning a transaction: %w", err)}
	}
	b.begun = true
	b.limit()
	return nil
}

// limit starts the time in which the transaction has to end, if it does not run yet.
func (b *Batch) limit() {
	if b.patience == nil {
		b.patience, b.cancel = context.WithTimeout(b.work, b.timeout)
	}
}

func (b *Batch) produced(r *Record, err error) {
	if err == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = fmt.Errorf("producing to %s: %w", r.Topic, err)
	}
}

// gather takes records in until the first has waited long enough, the batch is full, or a rebalance waits for
// us; or it returns an empty batch when it is time for one. When it returns, no rebalance can happen until it is
// allowed. It returns nil when there is nothing to be done.
func (t *Transactor) gather(ctx context.Context, s *kgo.GroupTransactSession) (*Batch, error) {
	b := &Batch{session: s, work: context.WithoutCancel(ctx), timeout: max(2*t.o.Timeout, 30*time.Second)}
	wait := t.o.Tick
	var until time.Time
	for {
		poll, cancel := context.WithTimeout(ctx, wait)
		done := t.hurry.interrupt(cancel)
		fetches := s.PollRecords(poll, t.o.MaxRecords-len(b.Records))
		hurried := done()
		cancel()
		if fetches.IsClientClosed() {
			return nil, errors.New("the Kafka client was closed")
		}
		if t.moved.Swap(false) {
			// What came in now is fetched again: the session would abort the next transaction anyhow, and this is
			// the way to tell it that we know.
			if _, err := s.End(context.WithoutCancel(ctx), kgo.TryAbort); err != nil {
				return nil, fmt.Errorf("taking note of a rebalance: %w", err)
			}
			return nil, nil
		}
		for _, e := range fetches.Errors() {
			if ctx.Err() == nil && !errors.Is(e.Err, context.Canceled) && !errors.Is(e.Err, context.DeadlineExceeded) {
				t.o.Log.Warn().Err(e.Err).Str("topic", e.Topic).Int32("partition", e.Partition).Msg("fetching records")
			}
		}
		t.take(b, fetches)
		b.Now = time.Now()
		if len(b.Records) > 0 && until.IsZero() {
			until = b.Now.Add(t.o.Linger)
		}
		wait = until.Sub(b.Now)
		full := len(b.Records) >= t.o.MaxRecords || b.bytes >= t.o.MaxBytes
		switch {
		case len(b.Records) == 0 && ctx.Err() != nil:
			return nil, nil
		case len(b.Records) == 0, full, hurried, wait <= 0, ctx.Err() != nil:
			return b, nil
		}
	}
}

// take enters what was fetched into the batch and the statistics.
func (t *Transactor) take(b *Batch, fetches kgo.Fetches) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fetches.EachPartition(func(tp kgo.FetchTopicPartition) {
		if len(tp.Records) == 0 {
			return
		}
		for _, r := range tp.Records {
			b.bytes += int64(len(r.Key) + len(r.Value))
			if t.stats.Oldest.IsZero() || r.Timestamp.Before(t.stats.Oldest) {
				t.stats.Oldest = r.Timestamp
			}
		}
		b.Records = append(b.Records, tp.Records...)
		last := tp.Records[len(tp.Records)-1].Offset
		t.heads[place{tp.Topic, tp.Partition}] = max(0, tp.HighWatermark-last-1)
	})
	t.stats.Held, t.stats.HeldBytes = len(b.Records), b.bytes
}

// hurry interrupts whoever waits for records when a rebalance waits for him.
type hurry struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	called bool
}

// interrupt says what to call when there is reason to hurry, at once where there has been since the last batch; done
// ends that and reports whether there was.
func (h *hurry) interrupt(cancel context.CancelFunc) (done func() bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel = cancel; h.called {
		cancel()
	}
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.cancel = nil
		return h.called
	}
}

// over says that whoever waited has had its turn.
func (h *hurry) over() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.called = false
}

func (h *hurry) now() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.called = true
	if h.cancel != nil {
		h.cancel()
	}
}
