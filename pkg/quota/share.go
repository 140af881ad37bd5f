package quota

import "time"

// share is our part of a rate. It shrinks at once and grows by and by.
type share struct {
	from, to float64
	since    time.Time
	over     time.Duration
}

// wholly is the share of a process that is alone.
var wholly = share{from: 1, to: 1}

// maxGrowth is the longest that a share takes to grow. The whole of an hour would make every restart
// one of slow hours; what the last owner sent in it stands in the destination's own count.
const maxGrowth = 10 * time.Second

// steps is into how many a growing share's time is cut for those who wait for more of it.
const steps = 64

func (s *share) set(now time.Time, to float64, over time.Duration) {
	from, _ := s.at(now)
	*s = share{from: min(from, to), to: to, since: now, over: over}
}

// at is the share now, and, where it is still growing, after how long to look again. It grows in a
// line, as what the other owner sent grows old, provided it was sent about evenly; pace sees to that.
func (s *share) at(now time.Time) (part float64, again time.Duration) {
	gone := now.Sub(s.since)
	if s.from == s.to || gone >= s.over {
		return s.to, 0
	}
	part = s.from + (s.to-s.from)*float64(max(gone, 0))/float64(s.over)
	return part, max(s.over/steps, 1)
}
