package currentsfanout

import (
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/retry"
)

// gate is a sink's breaker. It shuts when several batches in a row have failed, when the far end wants to be left alone, and
// when it takes nothing until a person has changed something. Behind a shut gate one small batch tries now and
// then; the answer to it keeps the gate shut, or opens it to batches that grow with each that is taken.
type gate struct {
	mu   sync.Mutex
	wish time.Time // the far end wants to be left alone before, however it fares otherwise
	ramp int       // events that a batch may have at most, after the gate was shut; 0 when there is no such bound
	trouble
}

// trouble is what a gate knows of failures; the zero value when there are none.
type trouble struct {
	until    time.Time // nothing passes before
	failures int       // batches in a row that failed
	open     bool      // the breaker: too many of them did
	halted   string    // what the far end said that only a person can mend; empty when it is not so
	asks     int       // tries behind the shut gate
	probing  bool      // one is under way
	since    time.Time // when the first of the failures was; zero when there is none
	noticed  int       // percent of the failure budget of which notice was given
}

// breakAfter failures in a row are no accident any more.
const breakAfter = 5

// probeEvents are few enough to be no burden for a far end that is coming up. After a first try with so many it is one event,
// another each time (lane.park): where a single event is why everything fails, one beside it is taken.
const probeEvents = 10

// rampEnd is a batch so large that a far end which has taken it has recovered.
const rampEnd = 5_000

var (
	// The waits between tries, for one that has failed for long: see probeWait.
	probes = retry.Schedule{Base: time.Second, Cap: time.Minute}
	// Asking a far end that has said no: the floor keeps it gentle, the jitter keeps many replicas apart.
	halts     = retry.Schedule{Base: 5 * time.Second, Cap: time.Minute}
	haltFloor = 5 * time.Second
)

// pass is what a batch is let through with.
type pass struct {
	probe bool // it is the one that tries
	most  int  // events that it is for; 0 when there is no such bound
	lone  bool // it is for an event that comes alone
}

// enter asks for a pass. Where there is none now it says until when there will be none for certain, the zero time
// when only an answer that is awaited can tell.
func (g *gate) enter(now time.Time) (p pass, until time.Time, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch shut := later(g.until, g.wish); {
	case now.Before(shut):
		return pass{}, shut, false
	case !g.open && g.halted == "":
		return pass{most: g.ramp}, time.Time{}, true
	case g.probing:
		return pass{}, time.Time{}, false
	}
	g.probing = true
	if g.asks > 1 {
		return pass{probe: true, most: 1}, time.Time{}, true
	}
	return pass{probe: true, most: probeEvents}, time.Time{}, true
}

// giveBack returns a pass that was not used.
func (g *gate) giveBack(p pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.probe {
		g.probing = false
	}
}

// succeed notes that the far end has taken something, or has at least judged it.
func (g *gate) succeed() (was state) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was = g.state()
	switch {
	case was == broken || was == halted:
		g.ramp = 2 * probeEvents
	case g.ramp >= rampEnd:
		g.ramp = 0
	default:
		g.ramp *= 2
	}
	g.trouble = trouble{}
	return was
}

// fail notes that a batch has come to nothing, and how long the far end wants to be left alone; halted is what it said,
// where only a person can help.
func (g *gate) fail(p pass, now time.Time, retryAfter time.Duration, halted string) (was, is state) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was = g.state()
	if g.since.IsZero() {
		g.since = now
	}
	g.failures++
	shut := g.open || g.halted != ""
	if p.probe {
		g.probing = false
	}
	if retryAfter > 0 {
		g.wish = later(g.wish, now.Add(min(retryAfter, retry.DefaultMaxHint)))
	}
	switch {
	case halted != "":
		g.halted = halted
		g.until = later(g.until, now.Add(halts.Next(g.asks, haltFloor)))
		g.asks++
	case shut && !p.probe: // a batch that was under way when the gate was shut: it says nothing new
	case shut || g.failures >= breakAfter:
		g.open, g.halted = true, ""
		g.until = later(g.until, now.Add(g.probeWait(now, retryAfter)))
		g.asks++
	}
	return was, g.state()
}

// probeWait is how long to wait before the next try: not more than half the time since the far end has last taken
// anything. One that fails half of the time has soon done so, and must not wait a minute for five of a kind in a
// row; one that is down is left alone the more the longer it is. The lock is held.
func (g *gate) probeWait(now time.Time, retryAfter time.Duration) time.Duration {
	s := probes
	s.Cap = min(max(now.Sub(g.since)/2, 250*time.Millisecond), s.Cap)
	return s.Next(g.asks, retryAfter) // the jitter comes behind the wish
}

// rest leaves the far end alone for a while, which wishes so although it works.
func (g *gate) rest(now time.Time, d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wish = later(g.wish, now.Add(min(d, retry.DefaultMaxHint)))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// state is how a sink fares.
type state string

// The states.
const (
	running state = "running"
	failing state = "failing" // some batches come to nothing; they are tried again
	broken  state = "open"    // the breaker is: now and then one batch tries
	halted  state = "halted"  // a person has to do something
	paused  state = "paused"  // a person has done something
)

// state is to be called with the lock held.
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

// look returns the state, what a person has to know of it, and since when it fails.
func (g *gate) look() (s state, words string, since time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state(), g.halted, g.since
}

// levels of the failure budget, in percent, of which notice is given.
var levels = [...]int{50, 70, 90, 100}

// spent returns what part of a failure budget is used up, and the level of which notice is to be given now, or 0.
func (g *gate) spent(now time.Time, budget time.Duration) (fraction float64, level int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since.IsZero() {
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
