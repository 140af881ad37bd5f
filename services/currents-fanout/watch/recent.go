package watch

// recent knows the ids that came lately, by their hashes, in bounded memory: when one half is full it becomes
// the old one, and the old one is forgotten. Two ids with the same hash of 64 bits would make one event of two;
// among a million that is one chance in ten million million for each.
//
// Braze's repeats follow within minutes or hours. Those that come later than these halves reach are counted
// twice here; nothing but a ratio depends on it, and the sinks have a memory of their own, of eight days.
type recent struct {
	size     int
	now, old map[uint64]struct{}
}

func newRecent(size int) recent {
	return recent{size: size, now: map[uint64]struct{}{}, old: map[uint64]struct{}{}}
}

// first reports whether an id is new, and remembers it.
func (r *recent) first(id uint64) bool {
	if _, known := r.now[id]; known {
		return false
	}
	if _, known := r.old[id]; known {
		return false
	}
	if len(r.now) >= r.size {
		clear(r.old)
		r.now, r.old = r.old, r.now
	}
	r.now[id] = struct{}{}
	return true
}
