package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// until asks until the answer is yes, or the context ends.
func until(ctx context.Context, every time.Duration, yes func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
	return nil
}

// within is a context that ends after a time and says what was waited for.
func within(ctx context.Context, d time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%s: not within %v", what, d))
}

// pause passes the time that belongs to the story itself.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// bell tells those who wait for it that something has happened.
type bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// heard is closed the next time that the bell rings.
func (b *bell) heard() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
