package currentsfanout_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// poisoned is a far end that answers 500 for a few events for ever: to the whole batch that has one in it, or to it alone.
type poisoned struct {
	mu   sync.Mutex
	bad  map[string]bool
	each bool
}

func (p *poisoned) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.bad)
}

func (p *poisoned) answer(_ context.Context, _ int, batch []*sink.Event) sink.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	later := outcome.Outcome{Kind: outcome.Deferred, Reason: "server_error", Detail: "500"}
	held := map[string]bool{}
	each := make([]outcome.Outcome, len(batch))
	for i, e := range batch {
		if each[i] = (outcome.Outcome{Kind: outcome.Delivered}); p.bad[e.ID] || e.Key != "" && held[e.Key] {
			each[i], held[e.Key] = later, true
		}
	}
	switch {
	case len(held) == 0:
		return sink.Delivered()
	case p.each:
		return sink.Answer{Each: each}
	}
	return sink.Answer{All: later}
}

// TestAnEventThatIsNeverTakenHoldsUpNobodyButItsCustomer: everybody else's events go on, and it comes with all that
// stands behind it, in order, once the far end is mended.
func TestAnEventThatIsNeverTakenHoldsUpNobodyButItsCustomer(t *testing.T) {
	for name, c := range map[string]struct {
		each  bool
		lanes int
		bad   []string
	}{
		"one of a batch of which all is put off": {false, 1, []string{"e000003"}},
		"the very first":                         {false, 1, []string{"e000000"}},
		"several, in one lane":                   {false, 1, []string{"e000001", "e000002", "e000103"}},
		"several, in several lanes":              {false, 4, []string{"e000001", "e000002", "e000003", "e000104", "e000015"}},
		"one that is put off by itself":          {true, 1, []string{"e000003"}},
		"many that are":                          {true, 2, []string{"e000000", "e000001", "e000002", "e000003", "e000004", "e000005"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, fmt.Sprintf("sinks: [{name: one, kind: fake, concurrency: %d, %s}]", c.lanes, quick), "one")
			p := &poisoned{bad: map[string]bool{}, each: c.each}
			for _, id := range c.bad {
				p.bad[id] = true
			}
			s.ends["one"].answer(p.answer)
			records, ids, byUser := s.clicks(600, 20)
			goes := 0 // what does not stand behind one of them
			for _, list := range byUser {
				if n := slices.IndexFunc(list, func(id string) bool { return p.bad[id] }); n >= 0 {
					goes += n
				} else {
					goes += len(list)
				}
			}
			s.produce(records...)
			r := s.start()
			r.await("everybody else's", func() bool { return len(s.ends["one"].ids()) >= goes })
			r.await("those apart", func() bool { return r.stats("one").Apart > 0 })
			if n := len(s.ends["one"].ids()); n != goes {
				t.Errorf("%d events were taken, want %d", n, goes)
			}
			p.mend()
			r.await("all of it", func() bool { return len(s.ends["one"].ids()) == len(ids) && r.stats("one").Held == 0 })
			if diff := cmp.Diff(byUser, s.ends["one"].byKey()); diff != "" {
				t.Errorf("not in order:\n%s", diff)
			}
			r.holds("one")
		})
	}
}

// TestAnEventOfNobodyThatIsNeverTakenHoldsUpNobody: those without a key have nothing to do with one another.
func TestAnEventOfNobodyThatIsNeverTakenHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, concurrency: 1, "+quick+"}]", "one")
	p := &poisoned{bad: map[string]bool{"e3": true, "e70": true}}
	var asked atomic.Int64
	s.ends["one"].answer(func(ctx context.Context, call int, batch []*sink.Event) sink.Answer {
		asked.Add(1)
		return p.answer(ctx, call, batch)
	})
	r := s.start()
	for i := range 100 {
		record := s.engagement(fmt.Sprintf("e%d", i), "", "users.messages.email.Click")
		record.Key = nil
		s.produce(record)
	}
	r.await("everybody else's", func() bool { return len(s.ends["one"].ids()) == 98 && r.stats("one").Apart == 2 })
	before := asked.Load()
	<-time.After(time.Second)
	if n := asked.Load() - before; n > 40 {
		t.Errorf("it was asked %d times within a second for two events that it does not take", n)
	}
	p.mend()
	r.await("all of it", func() bool { return len(s.ends["one"].ids()) == 100 && r.stats("one").Held == 0 })
	r.holds("one")
}

// TestASinkThatFailsHalfOfTheTimeCatchesUp: with whatever stands behind it, and without a wait of half a minute in any lane.
func TestASinkThatFailsHalfOfTheTimeCatchesUp(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: half, kind: fake, "+quick+"}]", "half")
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(5, 5))
	s.ends["half"].answer(func(context.Context, int, []*sink.Event) sink.Answer {
		mu.Lock()
		defer mu.Unlock()
		if rng.IntN(2) == 0 {
			return sink.Deferred("server_error", "500", 0)
		}
		return sink.Delivered()
	})
	records, ids, byUser := s.clicks(15_000, 100)
	s.produce(records...)
	began := time.Now()
	r := s.start()
	r.await("all of it", func() bool { return len(s.ends["half"].ids()) == len(ids) })
	t.Logf("%d events in %v", len(ids), time.Since(began))
	if diff := cmp.Diff(byUser, s.ends["half"].byKey()); diff != "" {
		t.Error(diff)
	}
	r.holds("half")
}

// TestWhatFailedDuringAnOutageComesSoonAfterIt: in every lane, not only in the one that tried.
func TestWhatFailedDuringAnOutageComesSoonAfterIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, concurrency: 8, "+quick+"}]", "one")
	var mu sync.Mutex
	down := true
	s.ends["one"].answer(func(context.Context, int, []*sink.Event) sink.Answer {
		mu.Lock()
		defer mu.Unlock()
		if down {
			return sink.Deferred("unavailable", "503", 0)
		}
		return sink.Delivered()
	})
	records, ids, byUser := s.clicks(2000, 100)
	s.produce(records...)
	r := s.start()
	r.await("the breaker", func() bool { is := r.stats("one"); return is.State == "open" && time.Since(is.Failing) > 4*time.Second })
	mu.Lock()
	down = false
	mu.Unlock()
	r.await("all of it", func() bool { return len(s.ends["one"].ids()) == len(ids) })
	if diff := cmp.Diff(byUser, s.ends["one"].byKey()); diff != "" {
		t.Error(diff)
	}
	r.holds("one")
}
