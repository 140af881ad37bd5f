package currentsfanout_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestAStretchThatNeedsMoreThanTheMemoryTakesNoMoreThanItNeeds: nor is what it needed taken for ever after.
func TestAStretchThatNeedsMoreThanTheMemoryTakesNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 1, "sinks: [{name: files, kind: stretches, memory: 1MiB, batch: {events: 100000, bytes: 16MiB, linger: 1h}}]", "files")
	end := s.ends["files"]
	const need, window = 700, 512
	end.stretches[at(schema.BrazeEngagements, 0, 0)] = need
	end.answer(func(ctx context.Context, call int, _ []*sink.Event) sink.Answer {
		if call == 1 {
			return sink.Delivered()
		}
		<-ctx.Done()
		return sink.Deferred("timeout", "", 0)
	})
	records, _, _ := s.clicks(4_000, 500)
	for _, r := range records { // each is a batch: few are fetched at once
		s.produce(r)
	}
	r := s.start()
	r.await("the stretch that was begun", func() bool { end.mu.Lock(); defer end.mu.Unlock(); return len(end.files) == 1 })
	// How much is taken next depends on whether the partition has been paused meanwhile; it is never more than may be.
	r.await("what it needed to be given back", func() bool { return r.stats("files").Held < need })
	most := int64(0)
	for range 100 {
		<-time.After(10 * time.Millisecond)
		most = max(most, r.stats("files").Held)
	}
	if most > window {
		t.Errorf("%d records are held where %d may be", most, window)
	}
}
