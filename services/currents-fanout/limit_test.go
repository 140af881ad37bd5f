package currentsfanout_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestWhoWaitsForTheRateHearsThatTheFarEndWantsToBeLeftAlone: sixteen lanes wait for their turn when one of them is told so.
func TestWhoWaitsForTheRateHearsThatTheFarEndWantsToBeLeftAlone(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"fake", "stretches"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newSceneOf(t, 12, fmt.Sprintf("sinks: [{name: one, kind: %s, rate: 20/1s, concurrency: 16, batch: {events: 5, bytes: 1MiB, linger: 10ms}}]", kind), "one")
			end := s.ends["one"]
			end.answer(func(_ context.Context, call int, _ []*sink.Event) sink.Answer {
				if call < 6 {
					return sink.Delivered()
				}
				return sink.Deferred("rate_limited", "", time.Hour)
			})
			records, _, _ := s.clicks(500, 200)
			s.produce(records...)
			r := s.start()
			calls := func() int { end.mu.Lock(); defer end.mu.Unlock(); return end.calls }
			r.await("the first that is told so", func() bool { return calls() >= 6 })
			<-time.After(time.Second)
			if n := calls(); n > 7 { // one more may have been on its way
				t.Errorf("it was asked %d times within its hour", n-6)
			}
		})
	}
}
