package quota

import "time"

// sliding counts the requests of a window that may begin anywhere: within any stretch as long as the
// rate's, no more are let through than it may hold. How Braze cuts its windows of seconds is not
// documented, and this holds for every way of cutting. A token bucket, the usual choice, lets nearly
// twice the rate through in a stretch that begins with a full bucket.
//
// What is counted is when requests leave, and what counts is when they arrive: a slow one and a quick
// one can arrive closer together than they left. So a request is counted for [guard] slots longer.
// Counting in slots, instead of remembering every request, costs up to one more: together 2.4 % of
// the sustained rate.
type sliding struct {
	slot   int64           // length of a slot in nanoseconds
	taken  [kept + 1]int32 // requests per slot, as a ring
	total  int             // sum of taken
	newest int64           // number of the newest slot, counted from the epoch
}

const (
	// slots is how finely the rate's window is cut.
	slots = 120
	// guard is for how many more of them a request counts.
	guard = 2
	kept  = slots + guard
)

// slotOf is rounded up, so that slots of them are never shorter than the window.
func slotOf(per time.Duration) int64 { return max((int64(per)+slots-1)/slots, 1) }

// span is the longest for which a request counts.
func (w *sliding) span() time.Duration { return time.Duration(w.slot) * (kept + 1) }

// count enters a request into the newest slot; wait has just moved there.
func (w *sliding) count() {
	w.taken[w.index(w.newest)]++
	w.total++
}

// wait moves the window up to now and returns how long until it holds less than most.
func (w *sliding) wait(now time.Time, most int) time.Duration {
	at := now.UnixNano() / w.slot
	switch gone := at - w.newest; {
	case gone <= 0 && gone >= -slots: // the same slot, or an earlier one: answers come from many goroutines
	case gone > kept, gone < 0: // long ago, or the clock was set back
		w.taken, w.total, w.newest = [kept + 1]int32{}, 0, at
	default:
		for range gone {
			w.newest++
			w.total -= int(w.taken[w.index(w.newest)])
			w.taken[w.index(w.newest)] = 0
		}
	}
	// A slot leaves the window once all of it is old enough.
	left, oldest := w.total, w.newest-kept
	for ; left >= most && oldest <= w.newest; oldest++ {
		left -= int(w.taken[w.index(oldest)])
	}
	if oldest == w.newest-kept {
		return 0
	}
	return time.Duration((oldest+kept)*w.slot - now.UnixNano())
}

func (w *sliding) index(slot int64) int {
	const n = kept + 1
	return int((slot%n + n) % n)
}
