package pipeline

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// diary is what happened, in its order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

// worker needs some time to stop.
type worker struct {
	name   string
	d      *diary
	drains time.Duration
}

func (w worker) Run(ctx context.Context) error {
	<-ctx.Done()
	w.d.note(w.name + " is told to stop")
	<-time.After(w.drains)
	w.d.note(w.name + " has stopped")
	return nil
}

func TestWhoReadsStopsOnlyOnceWhoWritesHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		first := &stage{service: worker{"ingest", d, 3 * time.Second}, ended: make(chan struct{})}
		second := &stage{
			service: worker{"braze-sender", d, time.Second}, upstream: first, ended: make(chan struct{}),
			settle: func(context.Context) { d.note("nothing is on its way any more") },
		}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, s := range []*stage{second, first} {
			all.Go(func() {
				if err := s.Run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		stop()
		all.Wait()
		want := []string{
			"ingest is told to stop", "ingest has stopped", "nothing is on its way any more",
			"braze-sender is told to stop", "braze-sender has stopped",
		}
		if !slices.Equal(d.entries, want) {
			t.Errorf("it happened in this order: %q, want %q", d.entries, want)
		}
	})
}

// done ends by itself.
type done struct{}

func (done) Run(context.Context) error { return nil }

func TestAStageThatEndsByItselfWaitsForNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := &stage{ended: make(chan struct{})}
		s := &stage{service: done{}, upstream: never, ended: make(chan struct{})}
		if err := s.Run(t.Context()); err != nil {
			t.Error(err)
		}
		<-s.ended
	})
}
