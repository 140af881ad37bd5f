package currentsfanout

import (
	"context"
	"os"
	"runtime/debug"

	"github.com/sluicehq/sluice/pkg/daemon"
)

// window is what a sink may hold, and how much it fetches.
type window struct {
	records int
	bytes   int64
	fetch   int32
}

// A record that is held costs this much beside its value: the client's own struct, its place in the books and in
// a queue, and its columns while it is handed over.
const perRecord = 1 << 10

// share divides the memory for all sinks among them: what each may have by its own bound, or less, in
// proportion, where that does not go round.
func share(total int64, sinks []SinkConfig) []int64 {
	var wanted int64
	for _, s := range sinks {
		wanted += int64(s.Memory)
	}
	shares := make([]int64, len(sinks))
	for i, s := range sinks {
		shares[i] = int64(s.Memory)
		if wanted > total {
			shares[i] = int64(float64(total) * float64(s.Memory) / float64(wanted))
		}
	}
	return shares
}

// fetchPart is what part of its share a sink may fetch at once, compressed: all sinks of a process together have at most that
// part of FANOUT_MEMORY on its way. A larger part was tried, a sixteenth: it takes hundreds of megabytes more, and the
// processor is busier by a twentieth, since what has been fetched is cold when its turn comes.
const fetchPart = 64

// windowOf makes bounds of a share: half of it for the values of records, half for what they cost beside them. What is
// fetched and not polled yet comes on top; it is small, but not as small as one batch of a producer may be.
func windowOf(share int64) window {
	return window{
		records: int(min(max(share/2/perRecord, 64), 1<<20)),
		bytes:   max(share/2, 64<<10),
		fetch:   int32(min(max(share/fetchPart, 32<<10), 2<<20)),
	}
}

// Alone is Open for a process that does nothing else: its heap is bounded by what it may hold, unless GOMEMLIMIT says how. Left
// to itself the garbage collector lets a heap grow to twice what lives before it looks.
func Alone(ctx context.Context, c Config, p *daemon.Process) (daemon.Service, error) {
	s, err := BuiltIn.Open(ctx, c, p)
	if err != nil {
		return nil, err
	}
	limitHeap(c, len(s.runners))
	return s, nil
}

// limitHeap has the garbage collector keep the process below what its configuration comes to.
func limitHeap(c Config, sinks int) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapOf(c, sinks))
	}
}

// What a process takes beside what sinks hold: the runtime, the state's memtables and the watch's books, and of each sink
// connections, a client and buffers.
const (
	baseMemory    = 160 << 20
	perSinkMemory = 2 << 20
	unpacked      = 5 // times as large is a fetch once it is decompressed, and both are there for a moment
)

// heapOf is what a process may take: FANOUT_MEMORY and what is fetched on top of it, FANOUT_DEDUP_MEMORY,
// STATE_CACHE_BYTES, and the rest.
func heapOf(c Config, sinks int) int64 {
	return int64(c.Fanout.Memory)/fetchPart*(fetchPart+1+unpacked) + int64(c.Fanout.DedupMemory) + c.State.CacheBytes +
		baseMemory + int64(sinks)*perSinkMemory
}
