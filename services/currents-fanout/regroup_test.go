package currentsfanout_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestHardlyAnythingComesAgainWhenPartitionsMove: what a far end that fails half of the time has taken stands behind what it has
// not, in every partition; before those go, the gaps are closed.
func TestHardlyAnythingComesAgainWhenPartitionsMove(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: half, kind: fake, concurrency: 5, batch: {events: 20, bytes: 64KiB, linger: 20ms}}]", "half")
	s.config.Fanout.Drain = 10 * time.Second
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(3, 3))
	end := s.ends["half"]
	end.answer(func(context.Context, int, []*sink.Event) sink.Answer {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(2) == 0 {
			return sink.Deferred("server_error", "500", 0)
		}
		return sink.Delivered()
	})
	records, ids, byUser := s.clicks(6_000, 100)
	s.produce(records...)
	taken := func() int { return len(end.times()) }
	list := []*replica{s.start()}
	for taken() < len(ids) {
		want := min(taken()+1_000, len(ids))
		list[len(list)-1].await("some more", func() bool { return taken() >= want })
		if len(list) > 1 { // one goes, and its partitions come back to the other
			list[0].stop()
			list[0].holds("half")
			list = list[1:]
			continue
		}
		s.config.State.Dir = t.TempDir() // one more comes, and takes a share
		list = append(list, s.start())
	}
	for _, r := range list {
		r.stop()
		r.holds("half")
	}
	again := len(end.ids()) - len(ids)
	t.Logf("%d of %d events came again", again, len(ids))
	if again > len(ids)/100 {
		t.Errorf("%d of %d events came again", again, len(ids))
	}
	if diff := cmp.Diff(byUser, end.byKey()); diff != "" {
		t.Error(diff)
	}
}
