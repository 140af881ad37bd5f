// Package quota knows how much a destination still lets us send.
//
// A [Quota] starts from what the contract promises, a [Rate] such as 3000/3s, of which this process
// owns a share; and it learns from every answer: [ParseHeaders] reads what the destination says is
// left, [Quota.Learn] corrects downward. Other tools that use the same workspace are seen only
// there, so this is also how we yield to them.
//
//	for {
//		wait := q.Take(time.Now())
//		if wait == 0 {
//			break // go ahead, one request
//		}
//		// wait that long, listening to the context
//	}
//	answer := client.Track(ctx, body, n)
//	q.Learn(time.Now(), answer.Hint)
//
// What stands between a request and the door, file by file:
//
//	share.go    our part of the rate, which grows only as fast as what its last owner sent grows old
//	window.go   no more than that in any stretch as long as the rate's
//	clock.go    or, where windows begin with the hour of the clock, within each of these
//	pace.go     half of it at once, the rest evenly, so that everybody has something of every window
//	others.go   of a short window, what other tools seem to need of it
//	learn.go    of a long one, our part of what is said to be left
//
// Time is an argument everywhere: there is no goroutine and no clock in here.
package quota

import (
	"sync"
	"time"
)

// Quota limits how many requests leave in any stretch of time. It is safe for concurrent use.
type Quota struct {
	mu    sync.Mutex
	rate  Rate
	share share

	window sliding
	clock  *clock // in place of the window, where windows begin with the hour of the clock
	pace   pace
	others others

	notBefore time.Time // the next request may go then
	closed    time.Time // the destination told us to stay away until then
	end       time.Time // of the destination's window, where that is short: the earliest heard
	budget    budget    // of a long one
}

// New returns a Quota for the whole of the rate, whose windows may begin anywhere. The zero Rate
// limits nothing by itself, yet the destination's headers are obeyed.
func New(rate Rate) *Quota {
	return &Quota{rate: rate, share: wholly, window: sliding{slot: slotOf(rate.Per)}}
}

// NewClock is New for a rate whose windows begin with the clock's, in UTC: those of an hour with the
// hour. At its turn the whole share is there again, however late in the hour before it was used.
func NewClock(rate Rate) *Quota {
	q := New(rate)
	if !rate.IsZero() {
		q.clock = &clock{per: rate.Per, guard: min(skew, rate.Per/60)}
	}
	return q
}

// SetShare sets which part of the rate is this process's own from now on, from 0 to 1: the partitions
// it owns over all partitions, so that replicas need not talk to share. What was already let through
// stays counted. With a share of 0 nothing goes.
//
// A share that shrinks does so at once. One that grows does so over a little more than the rate's
// window, ten seconds at most: for so long what the last owner of those partitions sent still counts.
func (q *Quota) SetShare(now time.Time, share float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !(share > 0) { // NaN too
		share = 0
	}
	if share = min(share, 1); share != q.share.to && q.budget.remaining > 0 {
		q.budget = budget{} // our part of it has changed; the next answer says it anew
	}
	q.share.set(now, share, min(q.rate.Per+q.rate.Per/8, maxGrowth))
}

// Take asks to send one request. It returns 0 when that may happen now, and counts it. Otherwise
// nothing is counted, and the answer is how long to wait before asking again.
//
// Those who wait are not queued: of several, any may be first.
func (q *Quota) Take(now time.Time) (wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if wait = q.wait(now); wait > 0 {
		return wait
	}
	if !q.rate.IsZero() {
		q.count(now)
	}
	q.spend(now)
	return 0
}

// count enters a request into the books.
func (q *Quota) count(now time.Time) {
	most := q.most(q.share.to)
	if q.clock != nil {
		q.clock.count(now)
		q.spread(now, most-q.clock.used, most, q.clock.end().Sub(now))
	} else {
		q.window.count()
		if isShort(q.rate.Per) {
			q.pace.count(now, q.window.total, most, q.window.span(), q.others.scarce)
		}
	}
	if mine := float64(q.rate.Count) * q.share.to; mine < 1 {
		// Less than one request a window: keep the distance that makes the rate right.
		q.delay(now.Add(time.Duration(float64(q.rate.Per) / mine)))
	}
}

// wait is how long Take has to wait at this moment.
func (q *Quota) wait(now time.Time) time.Duration {
	share, growing := q.share.at(now)
	if q.share.to == 0 {
		return max(q.rate.Per, time.Second)
	}
	q.others.roll(now, q.span())
	wait := max(q.closed.Sub(now), q.notBefore.Sub(now), 0)
	wait = max(wait, q.budgetWait(now))
	if q.rate.IsZero() {
		return wait
	}
	var full time.Duration // until there is room again
	if q.clock != nil {
		full = q.clock.wait(now, q.most(share))
	} else {
		full = q.window.wait(now, q.most(share))
		wait = max(wait, q.pace.wait(now, q.window.span()))
	}
	if growing > 0 {
		full = min(full, growing) // there will be a little more by then
	}
	return max(wait, full)
}

// most is how many requests a window has for a share of the rate, at least 1. What other tools need is
// left out.
func (q *Quota) most(share float64) int {
	return max(portion(q.rate.Count, share*(1-q.others.part)), 1)
}

// spread sets the distance to the next request where little is left of a long window, so that its end
// is a slow flow and not a standstill.
func (q *Quota) spread(now time.Time, left, of int, remains time.Duration) {
	if left < of/lean && remains > lastBit {
		q.delay(now.Add(remains / time.Duration(max(left, 0)+1)))
	}
}

func (q *Quota) delay(until time.Time) {
	q.notBefore = later(q.notBefore, until)
}

const (
	// lean is the part of a long window, one in so many, from which on it is spread over the time that
	// it must last.
	lean = 5
	// lastBit of a window is not spread any more: it is soon waited out.
	lastBit = 30 * time.Second
)

// isShort reports whether a window is one of those that are waited out: seconds, or a minute. What is
// left of longer ones is dealt out.
func isShort(per time.Duration) bool { return per <= time.Minute }

// span is how long to stay away when the destination did not say: the rate's window.
func (q *Quota) span() time.Duration {
	if q.rate.IsZero() {
		return time.Second
	}
	return min(q.rate.Per, MaxWait)
}

// portion is a share of n requests. A hair is added because 1200 × (1.0/12) may come out a hair below
// 100.
func portion(n int, share float64) int { return int(float64(n)*share + 1e-6) }
