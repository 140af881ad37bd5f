package currentsfanout_test

import (
	"context"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestManyPartitionsThatFillTheMemoryAreClosedOneAfterTheOther: the largest alone may not make enough room for the next
// records to be fetched, so each that is closed has the next one looked at; nobody waits for the linger.
func TestManyPartitionsThatFillTheMemoryAreClosedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := newSceneOf(t, 12, "sinks: [{name: files, kind: stretches, memory: 1MiB, batch: {events: 100000, bytes: 16MiB, linger: 1h}}]", "files")
	s.ends["files"].answer(func(context.Context, int, []*sink.Event) sink.Answer {
		<-time.After(30 * time.Millisecond) // an object store's time, in which the rest of the memory is filled
		return sink.Delivered()
	})
	records, _, _ := s.clicks(6_000, 500)
	s.produce(records...)
	r := s.start()
	taken := func() int {
		end := s.ends["files"]
		end.mu.Lock()
		defer end.mu.Unlock()
		n := 0
		for _, list := range end.files {
			n += len(list)
		}
		return n
	}
	r.await("all but what fits into the memory", func() bool { return taken() >= len(records)-512 })
	r.holds("files")
}
