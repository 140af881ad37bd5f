package quota

import "time"

// others is what tools that are none of our replicas use of a short window. Nobody says so: the
// destination tells how much is left for everybody, and our replicas do not talk. Yet all of them hear
// the same, and each sees to it that a little is left when a window ends:
//
//   - Nothing left before the end: somebody else is there. Every replica gives up as much of its share
//     as of the window was lost, a quarter at most, and less the first time.
//   - More than [spare] left at the end: half of the difference is taken back.
//
// Taking our share of what is left, instead, would be wrong: whoever comes to a window after the others
// have used theirs would take theirs for somebody else's, and give up what is its own.
type others struct {
	part   float64 // of the rate that we leave to them
	rose   bool    // in the last round: what this one leaves is no measure yet
	scarce bool    // so little is left that nobody should send much at once

	refused time.Time // the last 429
	again   bool      // there was one in another round not long before

	since time.Time // the present round began, as long as the rate's window
	heard bool      // in it, how much is left
	low   float64   // the least heard, of the whole
	lost  time.Duration
	until time.Time // what counts as lost already
}

const (
	// spare is the part of a window that we want to see left.
	spare = 1.0 / 64
	// maxYield is the largest part that we leave to others: without any requests of our own we would
	// hear nothing.
	maxYield = 7.0 / 8
	// maxStep is the largest part of our share that one window costs. The end of a window is told in
	// whole seconds, so what seems lost may not be.
	maxStep = 1.0 / 4
	// firstStep is the same while it may have been an accident, such as partitions that change hands.
	firstStep = 1.0 / 16
	// memory is for how many windows a 429 is remembered.
	memory = 20
	// few is the part of a window that is scarce.
	few = 1.0 / 8
)

// hear takes note of what is left for everybody.
func (o *others) hear(remaining, limit int) {
	left := float64(remaining) / float64(max(limit, 1))
	if !o.heard || left < o.low {
		o.low = left
	}
	o.heard, o.scarce = true, left < few
}

// shut takes note that nothing can be sent until then.
func (o *others) shut(now, until time.Time) {
	if now.Before(o.until) {
		now = o.until
	}
	if until.After(now) {
		o.lost += until.Sub(now)
		o.until = until
	}
}

// refuse takes note of a 429.
func (o *others) refuse(now time.Time, per time.Duration) {
	switch {
	case o.refused.IsZero() || now.Sub(o.refused) >= memory*per:
		o.again = false
	case o.refused.Before(o.since):
		o.again = true
	}
	o.refused = now
}

// about reports whether there are other tools, as 429s in two rounds have shown not long ago: our
// replicas alone do not send too much, but for an accident.
func (o *others) about(now time.Time, per time.Duration) bool {
	return o.again && now.Sub(o.refused) < memory*per
}

// roll draws the conclusions from a round that is over.
func (o *others) roll(now time.Time, per time.Duration) {
	gone := now.Sub(o.since)
	if gone >= 0 && gone < per {
		return
	}
	switch {
	case o.lost > 0:
		most := firstStep
		if o.about(now, per) {
			most = maxStep
		}
		step := min(float64(o.lost)/float64(per), most)
		o.part = min(o.part+(1-o.part)*step, maxYield)
	case o.heard && o.rose:
	case o.heard:
		o.part = max(0, o.part-max(0, o.low-spare)/2)
	case gone >= 2*per || gone < 0:
		o.part = 0 // that was in another time
	default:
		o.part /= 2
	}
	*o = others{part: o.part, rose: o.lost > 0, refused: o.refused, again: o.again, since: now, until: o.until}
}
