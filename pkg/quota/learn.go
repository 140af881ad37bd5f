package quota

import "time"

const (
	// sameWindow is how far two ends of a window may lie apart and still be the same: headers count
	// whole seconds, and answers overtake one another.
	sameWindow = 1500 * time.Millisecond
	// grantEvery is how long a part of the budget is kept to before a new one is cut. It is longer
	// than requests usually are in flight, so what they used is in what the destination says.
	grantEvery = 10 * time.Second
)

// Learn corrects the quota by what an answer received now said. It only ever takes away: the rate
// remains the most that is let through.
//
//   - A 429, and any Retry-After, closes everything until the time it names; a 429 that names none,
//     for as long as the rate's window.
//   - Nothing left closes the window until it ends.
//   - What remains of a long window, an hour say, is everybody's; this process takes its share of it as
//     a budget. Answers overtake one another, so what remains never grows within one window. The last
//     fifth is spread evenly over the time it must last.
//   - Of a short window each replica has its share whatever the others have used of theirs. Where that
//     leaves too little, there are other tools on the workspace, and all replicas send less.
func (q *Quota) Learn(now time.Time, h Hint) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.others.roll(now, q.span())
	if h.Throttled || !h.RetryAt.IsZero() {
		wait := h.Wait(now)
		if wait == 0 && h.Throttled {
			wait = q.span()
		}
		q.shut(now, now.Add(wait))
	}
	if !h.Counted {
		return
	}
	until := h.ResetAt
	if until.IsZero() {
		if h.Remaining > 0 {
			return // that much is left, of a window we know nothing of
		}
		until = now.Add(q.span())
	}
	if latest := now.Add(MaxWait); until.After(latest) {
		until = latest
	}
	switch {
	case !until.After(now): // that window is over
	case q.isLong(now, until):
		q.learnBudget(now, until, h.Limit, h.Remaining)
	default:
		q.learnShort(now, until, h)
	}
}

// isLong reports whether an answer speaks of a long window: that of the rate, or an hourly one besides.
func (q *Quota) isLong(now, until time.Time) bool {
	return q.rate.IsZero() || !isShort(q.rate.Per) || q.budget.open(now) || until.Sub(now) > time.Minute+sameWindow
}

// learnShort takes note of what is left of a short window.
func (q *Quota) learnShort(now, until time.Time, h Hint) {
	if !q.end.After(now) || until.Before(q.end) {
		q.end = until // seconds left are rounded up: the earliest is the nearest
	}
	limit := h.Limit
	if limit == 0 {
		limit = q.rate.Count
	}
	q.others.hear(h.Remaining, limit)
	if h.Remaining == 0 {
		q.shut(now, q.end)
	}
}

// shut lets nothing through until then.
func (q *Quota) shut(now, until time.Time) {
	if until.After(q.closed) {
		q.closed = until
	}
	if isShort(q.rate.Per) && until.Sub(now) <= time.Minute {
		q.others.shut(now, until)
	}
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
		*b = budget{until: until, limit: limit, remaining: remaining, left: q.mine(remaining), granted: now}
		return
	case apart < -sameWindow:
		return // word from a window before this one
	case apart < 0:
		b.until = until
	}
	b.remaining = min(b.remaining, remaining)
	b.left = min(b.left, q.mine(remaining))
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
		b.left, b.granted = q.mine(b.remaining), now
		due = now.Add(grantEvery)
	}
	switch {
	case b.left > 0:
		return 0
	case q.mine(b.remaining) > 0 && due.Before(b.until):
		return due.Sub(now)
	default:
		return b.until.Sub(now)
	}
}

// spend counts one request against the budget.
func (q *Quota) spend(now time.Time) {
	b := &q.budget
	if !b.open(now) {
		return
	}
	b.left--
	b.remaining = max(b.remaining-1, 0)
	q.spread(now, q.mine(b.remaining), q.mine(b.limit), b.until.Sub(now))
}

// mine is this process's part of n requests.
func (q *Quota) mine(n int) int { return portion(n, q.share.to) }
