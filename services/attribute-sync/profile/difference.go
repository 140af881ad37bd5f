package profile

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Difference is what Braze must be told at the end of a window. Its slices are good until the State is
// used again.
type Difference struct {
	// Number names the update for [State.Forget]; 0 when there is nothing to send.
	Number uint64
	// Objects are to be sent in their order, each for itself. There is one, unless operators on arrays of
	// objects follow one another, or need _merge_objects, which must not fall on anything else.
	Objects    []Object
	Points     int64     // what Braze charges for all of them
	OccurredAt time.Time // of the newest write that is sent, by its source's clock
	// Causes are the records of which something is sent, or would have been but for something newer in
	// the window; oldest first.
	Causes []event.Cause
	// Declined are the writes that did not win, whether there is something to send or not.
	Declined []event.Declined
	// Counts has one entry for each write of the window, that of an array's elements being one each.
	Counts []Count
}

// Object is one attributes object of /users/track without what names the user.
type Object struct {
	Attributes []byte
	Points     int64
	// Merges says that it has _merge_objects, so nothing else may be put into it.
	Merges bool
}

// Count says what became of a write, for the cost meter.
type Count struct {
	Source string
	Field  string
	Fate   Fate
	Points int64 // that the write would have cost by itself
}

// Fate is what became of a write.
type Fate uint8

// What can become of it. Over all counts of a window, Sent adds up to [Difference.Points], and the others
// to what was saved.
const (
	_        Fate = iota
	Sent          // Braze is told
	Same          // it won, but Braze has the value already
	Folded        // something newer came in the same window, or several went together
	Declined      // it did not win
)

// String is the word for metrics.
func (f Fate) String() string {
	switch f {
	case Sent:
		return "sent"
	case Same:
		return "same"
	case Folded:
		return "folded"
	case Declined:
		return "declined"
	}
	return "unknown"
}

// count notes what became of a write.
func (s *State) count(i int32, n *name, fate Fate, points int64) {
	r := &s.records[i]
	r.used = r.used || fate == Sent || fate == Folded
	r.sent = r.sent || fate == Sent
	s.counts = append(s.counts, Count{Source: r.cause.Source, Field: n.shown, Fate: fate, Points: points})
}
