package quota

import "time"

// pace keeps the requests of a busy time apart. Half of a window may go at once, for somebody who has
// been quiet; from then on requests leave evenly. If everybody sent all of their share as soon as a
// window opened, whoever comes in the middle of it, another tool on the same workspace say, would
// find nothing left, every time.
type pace struct {
	next time.Time // when the next one is due
	slow bool      // it has to wait until then
}

// lag is the part of a window, one in so many, that may be made up for when requests leave late: timers
// do, and processors are busy.
const lag = 20

// count sets when the next request is due, after one that made total of at most most within span.
func (p *pace) count(now time.Time, total, most int, span time.Duration, scarce bool) {
	if p.slow = scarce || 2*total >= most; !p.slow {
		p.next = now
		return
	}
	if late := now.Add(-span / lag); p.next.Before(late) {
		p.next = late
	}
	p.next = p.next.Add(span / time.Duration(most))
}

func (p *pace) wait(now time.Time, span time.Duration) time.Duration {
	wait := p.next.Sub(now)
	if !p.slow || wait > span { // the latter is of a clock that was set back
		return 0
	}
	return wait
}

// hold keeps everything back until then, and says from when on that is a loss. What was not sent in the
// meantime is not made up for.
func (p *pace) hold(until time.Time) (from time.Time) {
	from = p.next
	if p.next.Before(until) {
		p.next = until
	}
	return from
}
