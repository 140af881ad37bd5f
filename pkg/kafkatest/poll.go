package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// hopelessError ends a poll at once.
type hopelessError struct{ error }

func (e hopelessError) Unwrap() error { return e.error }

// poll asks until the answer is nil, at most once per interval. When the context ends it returns why, and the last answer.
func poll(ctx context.Context, every time.Duration, ask func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		if hopeless, ok := errors.AsType[hopelessError](err); ok {
			return hopeless.error
		}
		if ctx.Err() == nil {
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
			}
		}
		return fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), err)
	}
}
