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
//   - Nothing left closes the window until it ends. Of a short one that holds only where 429s have
//     shown that there are others; otherwise for a moment.
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
		if h.Throttled && h.RetryAt.IsZero() && h.ResetAt.IsZero() {
			wait = q.span()
		}
		if h.Throttled {
			q.others.refuse(now, q.span())
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
	switch {
	case q.others.about(now, q.span()):
		// The last few are left alone: our replicas would all go for them.
		tight := spare * float64(limit)
		if float64(h.Remaining) < max(tight/2, min(tight, 1/q.share.to)) {
			q.shut(now, q.end)
		}
	case h.Remaining == 0:
		// We are among ourselves, and have not sent more than our share. So there is nothing left only
		// for the moment: at the very end of a window, or of one that slides, whose end says little.
		q.closed = later(q.closed, earlier(q.end, now.Add(q.span()/instant)))
	}
}

// instant is the part of a window, one in so many, that is waited when nothing is left and nobody is to
// blame.
const instant = 60

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// shut lets nothing through until then.
func (q *Quota) shut(now, until time.Time) {
	q.closed = later(q.closed, until)
	from := q.pace.hold(until)
	if !isShort(q.rate.Per) || until.Sub(now) > time.Minute {
		return // nothing can be learnt from it of a short window
	}
	if q.end.After(now) {
		until = earlier(until, q.end) // waits are told in whole seconds
	}
	q.others.shut(later(from, now), until)
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
