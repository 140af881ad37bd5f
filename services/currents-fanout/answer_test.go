package currentsfanout_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestAnAnswerForAnotherNumberOfEventsCountsForNothing: nobody knows which of them it means.
func TestAnAnswerForAnotherNumberOfEventsCountsForNothing(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, batch: {events: 10, bytes: 1MiB, linger: 20ms}}]", "one")
	end := s.ends["one"]
	end.answer(func(_ context.Context, call int, batch []*sink.Event) sink.Answer {
		if n := len(batch); call <= 4 {
			each := make([]outcome.Outcome, n+1) // one too many; that nothing is taken is for the far end to know
			for i := range each {
				each[i] = outcome.Outcome{Kind: outcome.Refused, Reason: "no"}
			}
			if call%2 == 0 && n > 1 {
				each = each[:n] // as many, all but one of which come again
				for i := 1; i < n; i++ {
					each[i] = outcome.Outcome{Kind: outcome.Deferred, Reason: "later"}
				}
				each[0] = outcome.Outcome{Kind: outcome.Delivered}
			}
			return sink.Answer{Each: each}
		}
		return sink.Delivered()
	})
	records, ids, _ := s.clicks(40, 5)
	s.produce(records...)
	r := s.start()
	r.await("all of it", func() bool { return len(end.ids()) >= len(ids) && r.stats("one").Held == 0 })
	if diff := cmp.Diff(ids, sorted(end.ids())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	r.holds("one")
}
