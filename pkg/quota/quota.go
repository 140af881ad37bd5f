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
// Time is an argument everywhere: there is no goroutine and no clock in here.
package quota

import (
	"math"
	"sync"
	"time"
)

// Quota limits how many requests leave in any stretch of time. It is safe for concurrent use.
//
// It is a sliding window: within any stretch as long as the rate's, wherever it begins, no more than
// the share of the rate is let through. How Braze cuts its windows of seconds is not documented, and
// this holds for every way of cutting. A token bucket, the usual choice, lets nearly twice the rate
// through in a stretch that begins with a full bucket. The price of counting in slots instead of
// remembering every request is one slot in [slots], 2 % of the sustained rate.
type Quota struct {
	mu    sync.Mutex
	rate  Rate
	share float64
	limit int // share of rate.Count, at least 1

	taken  [slots + 1]int // requests let through per slot, as a ring
	total  int            // sum of taken
	newest int64          // number of the newest slot, counted from the epoch

	notBefore time.Time // pacing: the next request may go then
	closed    time.Time // the destination told us to stay away until then
	budget    budget
}

// slots is how finely the rate's window is cut.
const slots = 60

// New returns a Quota for the whole of the rate. The zero Rate limits nothing by itself, yet the
// destination's headers are obeyed.
func New(rate Rate) *Quota {
	q := &Quota{rate: rate}
	q.SetShare(1)
	return q
}

// SetShare sets which part of the rate is this process's own, from 0 to 1: the partitions it owns
// over all partitions, so that replicas need not talk to share. What was already let through stays
// counted. With a share of 0 nothing goes.
func (q *Quota) SetShare(share float64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !(share > 0) { // NaN too
		share = 0
	}
	if share = min(share, 1); share != q.share && q.budget.remaining > 0 {
		q.budget = budget{} // our part of it has changed; the next answer says it anew
	}
	q.share = share
	q.limit = max(q.portion(q.rate.Count), 1)
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
		q.taken[q.index(q.newest)]++
		q.total++
		if mine := float64(q.rate.Count) * q.share; mine < 1 {
			// Less than one request a window: keep the distance that makes the rate right.
			q.notBefore = now.Add(time.Duration(float64(q.rate.Per) / mine))
		}
	}
	q.spend(now)
	return 0
}

// Left is how many requests would be let through now, one after the other: 0 while closed, and
// [math.MaxInt] where nothing limits.
func (q *Quota) Left(now time.Time) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.wait(now) > 0 {
		return 0
	}
	left := math.MaxInt
	if !q.rate.IsZero() {
		left = q.limit - q.total
	}
	if q.budget.open(now) {
		left = min(left, q.budget.left)
	}
	return left
}

// wait is how long Take has to wait at this moment.
func (q *Quota) wait(now time.Time) time.Duration {
	if q.share == 0 {
		return max(q.rate.Per, time.Second)
	}
	wait := max(q.closed.Sub(now), q.notBefore.Sub(now), 0)
	wait = max(wait, q.budgetWait(now))
	if !q.rate.IsZero() {
		wait = max(wait, q.windowWait(now))
	}
	return wait
}

// windowWait moves the window up to now and returns how long until it has room.
func (q *Quota) windowWait(now time.Time) time.Duration {
	slot := q.slot()
	at := now.UnixNano() / slot
	switch gone := at - q.newest; {
	case gone <= 0 && gone >= -slots: // the same slot, or an earlier one: answers come from many goroutines
	case gone > slots, gone < 0: // long ago, or the clock was set back
		q.taken, q.total, q.newest = [slots + 1]int{}, 0, at
	default:
		for range gone {
			q.newest++
			q.total -= q.taken[q.index(q.newest)]
			q.taken[q.index(q.newest)] = 0
		}
	}
	// A slot leaves the window once all of it is a full window old.
	left, oldest := q.total, q.newest-slots
	for ; left >= q.limit && oldest <= q.newest; oldest++ {
		left -= q.taken[q.index(oldest)]
	}
	if oldest == q.newest-slots {
		return 0
	}
	return time.Duration((oldest+slots)*slot - now.UnixNano())
}

// slot is the length of a slot, rounded up so that slots of them are never shorter than the window.
func (q *Quota) slot() int64 { return (int64(q.rate.Per) + slots - 1) / slots }

func (q *Quota) index(slot int64) int {
	const n = slots + 1
	return int((slot%n + n) % n)
}
