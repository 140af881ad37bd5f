package currentsfanout

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

// windowOf makes bounds of a share: half of it for the values of records, half for what they cost beside them. What is
// fetched and not polled yet comes on top; it is small, but not as small as one batch of a producer may be.
func windowOf(share int64) window {
	return window{
		records: int(min(max(share/2/perRecord, 64), 1<<20)),
		bytes:   max(share/2, 64<<10),
		fetch:   int32(min(max(share/64, 32<<10), 2<<20)),
	}
}
