package currentsfanout_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/stream"
)

// TestDoublesAreTheSameForEverybodyWheneverTheyAsk: shuffled doubles, a restart with the local copy and one without.
func TestDoublesAreTheSameForEverybodyWheneverTheyAsk(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: early, kind: fake, "+quick+"}]", "early", "late", "last")
	records, ids, _ := s.clicks(400, 9)
	rng := rand.New(rand.NewPCG(3, 3))
	var twice []int
	for i := range records {
		twice = append(twice, i, i)
	}
	rng.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
	produce := func(list []int) {
		for some := range slices.Chunk(list, 50) {
			var batch []*stream.Record
			for _, i := range some {
				again := *records[i]
				batch = append(batch, &again)
			}
			s.produce(batch...)
		}
	}
	produce(twice[:500])
	r := s.start()
	r.await("the first half", func() bool { return len(s.ends["early"].ids()) > 0 && r.stats("early").Held == 0 })
	r.stop()
	s.rewrite("sinks: [{name: early, kind: fake, " + quick + "}, {name: late, kind: fake, " + quick + "}]")
	produce(twice[500:])
	r = s.start() // warm
	complete := func(name string) func() bool {
		return func() bool { return len(s.ends[name].times()) == len(ids) && r.stats(name).Held == 0 }
	}
	r.await("early", complete("early"))
	r.await("late", complete("late"))
	r.stop()
	s.config.State.Dir = t.TempDir()
	s.rewrite("sinks: [{name: early, kind: fake, " + quick + "}, {name: late, kind: fake, " + quick + "}, {name: last, kind: fake, " + quick + "}]")
	r = s.start() // cold
	r.await("last", complete("last"))
	r.stop()
	for _, name := range []string{"early", "late", "last"} {
		if diff := cmp.Diff(sorted(ids), sorted(s.ends[name].ids())); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
