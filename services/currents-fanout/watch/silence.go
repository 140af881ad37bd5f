package watch

import "time"

// A silence is an alarm when it is longer than the rhythm before it allows: than ten times the median gap, and
// than twice the longest quiet time within that day. The median alone would cry wolf every day of a campaign
// that goes out at nine: its events come within minutes, and then none for a day. The longest quiet time alone
// does so of whatever comes rarely and at random, whose longest gap of a day says little about the next.
const (
	medians = 10
	quiets  = 2
)

// allowed is how long a type may be silent before that is an alarm; ok is false where it has no rhythm to
// judge by: too few events, or a quiet time so long that twice of it is more than the cap.
func (r Rules) allowed(p rhythm) (limit time.Duration, ok bool) {
	// What was not yet there in the first half of the day is too young to have a rhythm.
	quiet := max(p.quiet, p.lead)
	if p.events < r.MinEvents || quiets*quiet > r.Cap {
		return 0, false
	}
	return min(max(r.Floor, medians*p.gap, quiets*quiet), r.Cap), true
}

// allowedConnector is the same of a whole connector: that one may be young, since it is when somebody has just
// set it up that it breaks, and after the cap it is silent whatever its rhythm was.
func (r Rules) allowedConnector(p rhythm, past int) (limit time.Duration, ok bool) {
	if p.events+past < r.MinEvents {
		return 0, false
	}
	if p.events < r.MinEvents { // all we know of it is that it spoke once
		return r.Cap, true
	}
	return min(max(r.Floor, medians*p.gap, quiets*p.quiet), r.Cap), true
}

// spoke reports whether events came in two stretches since a moment: one alone may be a straggler.
func (s *series) spoke(since time.Time) bool {
	found := 0
	for n := max(stretch(since), s.head-kept+1); n <= s.head; n++ {
		if s.at(n) > 0 {
			found++
		}
	}
	return found >= 2
}
