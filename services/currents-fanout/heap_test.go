package currentsfanout

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/sluicehq/sluice/pkg/table"
)

// The process's own limit is changed here, so nothing of this runs beside other tests.
func TestTheHeapIsBoundedByWhatMayBeHeld(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	options := Config{Fanout: Options{Memory: 256 << 20, DedupMemory: 64 << 20}, State: table.Config{CacheBytes: 128 << 20}}
	const want = 280<<20 + 64<<20 + 128<<20 + 160<<20 + 50*2<<20
	for _, c := range []struct {
		name, env string
		want      int64
	}{
		{"by the configuration", "", want},
		{"whoever sets GOMEMLIMIT has decided", "3GiB", math.MaxInt64},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("GOMEMLIMIT", c.env)
			debug.SetMemoryLimit(math.MaxInt64)
			limitHeap(options, 50)
			if got := debug.SetMemoryLimit(-1); got != c.want {
				t.Errorf("the limit is %d, want %d", got, c.want)
			}
		})
	}
}

// TestAllSinksTogetherFetchAPartOfTheMemory: however many there are, as long as a fetch can be as large as a batch at all.
func TestAllSinksTogetherFetchAPartOfTheMemory(t *testing.T) {
	t.Parallel()
	for _, sinks := range []int{1, 4, 50, 120} {
		const memory = 256 << 20
		list := make([]SinkConfig, sinks)
		for i := range list {
			list[i].Memory = 32 << 20
		}
		var all int64
		for _, s := range share(memory, list) {
			all += int64(windowOf(s).fetch)
		}
		if all > memory/fetchPart {
			t.Errorf("%d sinks fetch %d bytes at once", sinks, all)
		}
	}
}
