package quota

import "time"

const (
	// sameWindow is how far two ends of a window may lie apart and still be the same: headers count
	// whole seconds, and answers overtake one another.
	sameWindow = 1500 * time.Millisecond
	// longWindow is from where on what is left is spread over the time it must last. Shorter windows
	// are sooner waited out, and their whole seconds are too coarse to spread by.
	longWindow = 30 * time.Second
	// scarce is the part of a window, one in so many, from which on it is spread.
	scarce = 5
	// grantEvery is how long a part of the budget is kept to before a new one is cut. It is longer
	// than requests usually are in flight, so what they used is in what the destination says.
	grantEvery = 10 * time.Second
)

// Learn corrects the quota by what an answer received now said. It only ever takes away: the rate
// remains the most that is let through.
//
//   - What remains of the destination's window is everybody's; this process takes its share of it as a
//     budget. Answers overtake one another, so what remains never grows within one window.
//   - Nothing left closes the window until it ends.
//   - A 429, and any Retry-After, closes everything until the time it names; a 429 that names none,
//     for as long as the rate's window.
//   - Of a long window, an hour say, the last fifth is spread evenly over the time it must last,
//     so that the end is a slow flow and not a standstill.
func (q *Quota) Learn(now time.Time, h Hint) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if h.Throttled || !h.RetryAt.IsZero() {
		wait := h.Wait(now)
		if wait == 0 && h.Throttled {
			wait = q.window()
		}
		if until := now.Add(wait); until.After(q.closed) {
			q.closed = until
		}
	}
	if !h.Counted {
		return
	}
	until := h.ResetAt
	if until.IsZero() {
		if h.Remaining > 0 {
			return // that much is left, of a window we know nothing of
		}
		until = now.Add(q.window())
	}
	if latest := now.Add(MaxWait); until.After(latest) {
		until = latest
	}
	if !until.After(now) {
		return // that window is over
	}
	q.learnBudget(now, until, h.Limit, h.Remaining)
}

// budget is what the destination said is left until its window ends, and our part of it.
type budget struct {
	until     time.Time // end of the window; zero when nothing is known
	limit     int       // of the whole window, for everybody; 0 when not said
	remaining int       // for everybody, by the least word heard, less what we sent since
	left      int       // our part of it, until the next grant
	granted   time.Time // when that part was cut
}

// open reports whether the budget still says something.
func (b *budget) open(now time.Time) bool { return now.Before(b.until) }

func (q *Quota) learnBudget(now time.Time, until time.Time, limit, remaining int) {
	b := &q.budget
	apart := until.Sub(b.until)
	switch {
	case !b.open(now) || apart > sameWindow:
		*b = budget{until: until, limit: limit, remaining: remaining, left: q.portion(remaining), granted: now}
		return
	case apart < -sameWindow:
		return // word from a window before this one
	case apart < 0:
		b.until = until
	}
	b.remaining = min(b.remaining, remaining)
	b.left = min(b.left, q.portion(remaining))
	b.limit = max(b.limit, limit)
}

// budgetWait is how long the budget asks to wait, having cut a new part of it where one is due: a
// replica with more than its share of the work would otherwise stand still for the rest of an hour
// in which the others leave theirs unused.
func (q *Quota) budgetWait(now time.Time) time.Duration {
	b := &q.budget
	if !b.open(now) {
		*b = budget{}
		return 0
	}
	due := b.granted.Add(grantEvery)
	if !now.Before(due) {
		b.left, b.granted = q.portion(b.remaining), now
		due = now.Add(grantEvery)
	}
	switch {
	case b.left > 0:
		return 0
	case q.portion(b.remaining) > 0 && due.Before(b.until):
		return due.Sub(now)
	default:
		return b.until.Sub(now)
	}
}

// spend counts one request against the budget, and sets the distance to the next where it is scarce.
func (q *Quota) spend(now time.Time) {
	b := &q.budget
	if !b.open(now) {
		return
	}
	b.left--
	b.remaining = max(b.remaining-1, 0)
	remains := b.until.Sub(now)
	if b.remaining >= b.limit/scarce || remains <= longWindow {
		return
	}
	next := now.Add(remains / time.Duration(max(q.portion(b.remaining), 1)))
	if next.After(q.notBefore) {
		q.notBefore = next
	}
}

// portion is this process's part of n requests. A hair is added because 1200 × (1.0/12) may come out
// a hair below 100.
func (q *Quota) portion(n int) int { return int(float64(n)*q.share + 1e-6) }

// window is how long to stay away when the destination did not say.
func (q *Quota) window() time.Duration {
	if q.rate.IsZero() {
		return time.Second
	}
	return min(q.rate.Per, MaxWait)
}
