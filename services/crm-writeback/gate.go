package crmwriteback

import (
	"time"

	"github.com/sluicehq/sluice/pkg/retry"
)

// gate is a target's breaker. A call that comes to nothing shuts it for a moment; several in a row, or a word that only a
// person can do something about, until a small call has got through. The writer's lock guards it.
type gate struct {
	wish time.Time // the target wants to be left alone before, however it fares otherwise
	trouble
}

// trouble is what a gate knows of failures; the zero value when there are none.
type trouble struct {
	until    time.Time // nothing passes before
	failures int       // calls in a row that failed
	open     bool      // the breaker: too many of them did
	halted   string    // what the target said that only a person can mend; empty when it is not so
	asks     int       // tries behind the shut gate
	probing  bool      // one is under way
	since    time.Time // when the first of the failures was; zero when there is none
	noticed  int       // percent of the failure budget of which notice was given
}

// breakAfter failures in a row are no accident any more.
const breakAfter = 5

// A probe is few rows, no burden for a target that is coming up; and at last a single one, for the case that it is one of
// the rows that it stumbles over.
const (
	probeRows   = 10
	probesOfTen = 6
)

var (
	pauses = retry.Schedule{Base: 200 * time.Millisecond, Cap: 5 * time.Second} // after a failure, before the breaker opens
	probes = retry.Schedule{Base: time.Second, Cap: time.Minute}
	// Asking a target that has said no: the floor keeps it gentle, the jitter keeps many replicas apart.
	halts     = retry.Schedule{Base: 5 * time.Second, Cap: time.Minute}
	haltFloor = 5 * time.Second
)

// pass is what a call is let through with.
type pass struct {
	probe bool // it is the one that tries
	rows  int  // the most it may carry; 0: as many as there may be
}

// enter asks for a pass. Where there is none now it says until when there will be none for certain, the zero time
// when only an answer that is awaited can tell.
func (g *gate) enter(now time.Time) (p pass, until time.Time, ok bool) {
	switch shut := later(g.until, g.wish); {
	case now.Before(shut):
		return pass{}, shut, false
	case !g.open && g.halted == "":
		return pass{}, time.Time{}, true
	case g.probing:
		return pass{}, time.Time{}, false
	}
	g.probing = true
	if g.asks > probesOfTen {
		return pass{probe: true, rows: 1}, time.Time{}, true
	}
	return pass{probe: true, rows: probeRows}, time.Time{}, true
}

// giveBack returns a pass that was not used.
func (g *gate) giveBack(p pass) {
	if p.probe {
		g.probing = false
	}
}

// succeed notes that the target has taken something, or has at least judged it.
func (g *gate) succeed() { g.trouble = trouble{} }

// fail notes that a call has come to nothing, and how long the target wants to be left alone; halted is what it said, where
// only a person can help.
func (g *gate) fail(p pass, now time.Time, retryAfter time.Duration, halted string) {
	if g.since.IsZero() {
		g.since = now
	}
	g.failures++
	shut := g.open || g.halted != ""
	if p.probe {
		g.probing = false
	}
	if retryAfter > 0 {
		g.rest(now, retryAfter)
	}
	switch {
	case halted != "":
		g.halted = halted
		g.until = later(g.until, now.Add(halts.Next(g.asks, haltFloor)))
		g.asks++
	case shut && !p.probe: // a call that was under way when the gate was shut
	case shut || g.failures >= breakAfter:
		g.open, g.halted = true, ""
		g.until = later(g.until, now.Add(probes.Next(g.asks, retryAfter))) // the jitter comes behind the wish
		g.asks++
	default:
		g.until = later(g.until, now.Add(pauses.Next(g.failures-1, retryAfter)))
	}
}

// rest leaves the target alone for a while, which wishes so although it works.
func (g *gate) rest(now time.Time, d time.Duration) {
	g.wish = later(g.wish, now.Add(min(d, retry.DefaultMaxHint)))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// state is how a target fares.
type state string

// The states.
const (
	running state = "running"
	failing state = "failing" // some calls come to nothing; they are made again
	broken  state = "open"    // the breaker is: now and then one call tries
	halted  state = "halted"  // a person has to do something
)

var states = [...]state{running, failing, broken, halted}

func (g *gate) state() state {
	switch {
	case g.halted != "":
		return halted
	case g.open:
		return broken
	case g.failures > 0:
		return failing
	}
	return running
}

// levels of the failure budget, in percent, of which notice is given.
var levels = [...]int{50, 70, 90, 100}

// spent returns what part of a failure budget is used up, and the level of which notice is to be given now, or 0.
func (g *gate) spent(now time.Time, budget time.Duration) (fraction float64, level int) {
	if g.since.IsZero() || budget <= 0 {
		return 0, 0
	}
	fraction = now.Sub(g.since).Seconds() / budget.Seconds()
	for _, l := range levels {
		if fraction*100 >= float64(l) && l > g.noticed {
			level = l
		}
	}
	g.noticed = max(g.noticed, level)
	return fraction, level
}
