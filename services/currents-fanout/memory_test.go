package currentsfanout_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestManySinksThatTakeNothingHoldWhatTheyMay: the bound is for all of them together, whatever they fetch from how many
// partitions, and what a sink costs beside it is little: connections, and what was fetched and is not polled.
func TestManySinksThatTakeNothingHoldWhatTheyMay(t *testing.T) {
	const sinks, memory, perSink = manySinks, 64 << 20, 1 << 20
	var file strings.Builder
	var names []string
	file.WriteString("sinks:\n")
	for i := range sinks {
		names = append(names, fmt.Sprintf("s%02d", i))
		fmt.Fprintf(&file, "  - {name: s%02d, kind: fake}\n", i)
	}
	s := newSceneOf(t, 12, file.String(), names...)
	s.config.Fanout.Memory, s.config.Fanout.Drain = memory, 100*time.Millisecond
	for _, end := range s.ends {
		end.answer(func(ctx context.Context, _ int, _ []*sink.Event) sink.Answer {
			<-ctx.Done()
			return sink.Deferred("timeout", "", 0)
		})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for batch := range 200 {
		records, _, _ := s.clicks(100, 100) // as many as Braze sends at once
		for i, r := range records {
			id := fmt.Appendf(nil, "%d-%d-", batch, i)
			for range 30 { // compresses to a third or so, like events do
				id = fmt.Appendf(id, "%08x%s", rng.Uint32(), "properties.more")
			}
			records[i] = s.engagement(string(id), string(r.Key), "users.messages.email.Click")
		}
		s.produce(records...)
	}
	before := heap()
	r := s.start()
	full := func() bool {
		for _, is := range r.service.Stats() {
			if is.HeldBytes < memory/sinks/8 {
				return false
			}
		}
		return true
	}
	r.await("all of them to be full", full)
	// What is held rests from here on. What the broker, which is in this process, has written to them last takes a
	// moment to go, so it is the least of some looks that counts.
	grown := heap() - before
	for range 20 {
		<-time.After(50 * time.Millisecond)
		grown = min(grown, heap()-before)
	}
	var held int64
	for _, is := range r.service.Stats() {
		held += is.HeldBytes
	}
	if held > memory {
		t.Errorf("%d bytes of records are held", held)
	}
	t.Logf("%d sinks hold %.1f MiB of records; the heap has grown by %.1f MiB, of which %d MiB are allowed for records", sinks, float64(held)/(1<<20), float64(grown)/(1<<20), memory>>20)
	if weighed && grown > memory+sinks*perSink {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

// heap is what lives now.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
