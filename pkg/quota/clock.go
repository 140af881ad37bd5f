package quota

import "time"

// clock counts the requests of a window that begins with the clock's. Braze's hours do (braze-docs:
// api_limits): what a sliding hour would hold back until half past eleven, because it was sent at half
// past ten, may go at eleven.
//
// No two clocks agree. What leaves around the turn may be counted in either hour, so we count it in
// both, and ours begins a little late. Where the clocks are further apart than that, the destination
// still says how much is left of its own hour and when that ends.
type clock struct {
	per   time.Duration
	guard time.Duration // around the turn

	start time.Time // of the window, by the clock
	used  int       // in it
	late  int       // of these, around its end
}

// skew is how far apart clocks are taken to be.
const skew = 2 * time.Second

// end is the window's, by the clock.
func (c *clock) end() time.Time { return c.start.Add(c.per) }

// count enters a request; wait has just found the window.
func (c *clock) count(now time.Time) {
	c.used++
	if !now.Before(c.end().Add(-c.guard)) {
		c.late++
	}
}

// wait goes over to the window that now is in and returns how long until one holds less than most.
func (c *clock) wait(now time.Time, most int) time.Duration {
	switch start := now.Add(-c.guard).Truncate(c.per); {
	case start.Equal(c.start):
	case start.Equal(c.end()):
		c.start, c.used, c.late = start, c.late, 0
	default: // long ago, or the clock was set back
		c.start, c.used, c.late = start, 0, 0
	}
	if c.used < most {
		return 0
	}
	return c.end().Add(c.guard).Sub(now)
}
