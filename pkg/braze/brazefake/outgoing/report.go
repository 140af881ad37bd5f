package outgoing

import (
	"maps"
	"slices"
	"time"
)

// Fate is what has become of an event.
type Fate string

// The fates.
const (
	Pending Fate = "pending"
	Sent    Fate = "sent"
	Dropped Fate = "dropped"
)

// Reason is why an event was dropped.
type Reason string

// The reasons.
const (
	BadRequest    Reason = "answered_400"    // by itself, a second time
	WhileStopped  Reason = "stopped"         // in the batch that was answered 401, 403 or 404
	WhileDisabled Reason = "disabled"        // it came after five days of failure
	Expired       Reason = "expired"         // queued for seven days
	TooLarge      Reason = "event_too_large" // above 900 KB
	Overflow      Reason = "overflow"        // the sandbox's own bound
)

// Report is the books of a connector: Made = Sent + Pending + Dropped.
type Report struct {
	State    State          `json:"state"`
	Why      string         `json:"why,omitempty"`
	Failing  time.Time      `json:"failing_since,omitzero"`
	Made     int            `json:"made"`
	Sent     int            `json:"sent"`
	Pending  int            `json:"pending"`
	Dropped  int            `json:"dropped"`
	Reasons  map[Reason]int `json:"dropped_for,omitempty"`
	Repeated int            `json:"sent_twice"` // beside these, what was sent once more
	Calls    []Call         `json:"calls"`      // the last, newest first
	Events   []Entry        `json:"events"`     // likewise
}

// Call is one call and what it led to.
type Call struct {
	At       time.Time `json:"at"`
	Events   int       `json:"events"`
	Attempt  int       `json:"attempt,omitempty"`
	Status   int       `json:"status"` // 0 without an answer
	Detail   string    `json:"detail,omitempty"`
	Reaction string    `json:"reaction"`
}

// Entry is an event and what has become of it.
type Entry struct {
	ID       string    `json:"id"`
	Type     string    `json:"event_type"`
	User     string    `json:"user,omitempty"`
	At       time.Time `json:"queued_at"`
	Fate     Fate      `json:"fate"`
	Why      string    `json:"why,omitempty"`
	Attempts int       `json:"attempts"`
	JSON     string    `json:"event"`
}

type tally struct {
	made, sent, pending, repeated int
	dropped                       map[Reason]int
}

// maxCalls is how many calls are remembered.
const maxCalls = 200

// Report tells the books, and at most so many events of a fate; of any when that is empty.
func (c *Connector) Report(fate Fate, most int) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{
		State: c.state, Why: c.why, Failing: c.failing,
		Made: c.tally.made, Sent: c.tally.sent, Pending: c.tally.pending, Repeated: c.tally.repeated, Reasons: maps.Clone(c.tally.dropped),
		Calls: slices.Clone(c.calls), Events: []Entry{},
	}
	slices.Reverse(r.Calls)
	for _, n := range c.tally.dropped {
		r.Dropped += n
	}
	for _, e := range slices.Backward(c.log) {
		if len(r.Events) == most {
			break
		}
		if fate == "" || e.state == fate {
			r.Events = append(r.Events, Entry{e.ID, e.Type, e.User, e.queued, e.state, e.why, e.attempts, string(e.JSON)})
		}
	}
	return r
}

// drop writes down why an event is not sent that was never pending.
func (c *Connector) drop(e *entry, reason Reason, why string) {
	e.state, e.why = Dropped, why
	c.tally.dropped[reason]++
}

// forget drops an event that was pending; of one that was delivered before only the second time is lost.
func (c *Connector) forget(e *entry, reason Reason, why string) {
	if e.again {
		return
	}
	c.tally.pending--
	c.drop(e, reason, why)
}

func (c *Connector) remember(e *entry) {
	if len(c.log) >= c.options.MaxLog {
		c.log = append(c.log[:0], c.log[len(c.log)/10+1:]...) // a tenth at a time
	}
	c.log = append(c.log, e)
}

func (c *Connector) note(call Call) {
	if len(c.calls) >= maxCalls {
		c.calls = append(c.calls[:0], c.calls[1:]...)
	}
	c.calls = append(c.calls, call)
}
