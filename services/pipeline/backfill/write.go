package backfill

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/time/rate"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Write reads every file and writes its events. When it fails, or the context ends, what was written is
// durable, and a second Write goes on.
func Write(ctx context.Context, o Order, t Target) (Report, error) {
	w := &writer{target: t, limit: rate.NewLimiter(rate.Inf, 0)}
	if !o.Rate.IsZero() {
		perSecond := float64(o.Rate.Count) / o.Rate.Per.Seconds()
		w.limit = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
	}
	return o.run(ctx, w)
}

// writer produces events.
type writer struct {
	target Target
	limit  *rate.Limiter

	mu          sync.Mutex
	sent, unfit int
	err         error
}

func (w *writer) write(ctx context.Context, e *event.Engagement) error {
	if err := w.limit.Wait(ctx); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	r := &stream.Record{
		Topic: w.target.Topic, Key: []byte(e.Key()), Value: avro.AppendEngagement(nil, w.target.SchemaID, e),
		Headers: []stream.Header{
			{Key: "event-id", Value: []byte(e.ID)},
			{Key: "source", Value: []byte(Source)},
			{Key: "origin", Value: []byte("backfill")},
			{Key: "hops", Value: []byte("0")},
		},
	}
	// What has been handed over is waited for, whatever happens to the context.
	w.target.Producer.Produce(context.WithoutCancel(ctx), r, w.done)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *writer) done(_ *stream.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.sent++
	case stream.Permanent(err):
		w.unfit++
	default:
		w.err = errors.Join(w.err, fmt.Errorf("writing to %s: %w", w.target.Topic, err))
	}
}

// flush waits until nothing is on its way any more.
func (w *writer) flush(ctx context.Context) error {
	if err := w.target.Producer.Flush(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("writing to %s: %w", w.target.Topic, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *writer) counts() (sent, unfit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent, w.unfit
}
