package profile

import "github.com/sluicehq/sluice/pkg/event"

// window is what happened since the last update.
type window struct {
	ended    bool // by an update, whose result is still being read
	records  []record
	pending  []pending
	newIDs   int // ids from here on are of this window
	declined []event.Declined
	counts   []Count

	diff    difference
	scratch []byte
	spans   []span
}

// record is one that was taken in.
type record struct {
	cause event.Cause
	time  int64
	used  bool // some of it is sent, or would have been but for something newer
	sent  bool
}

// pending is what a field has been told in this window.
type pending struct {
	name *name
	// whole says that the field was set as a whole, to raw.
	whole   bool
	raw     []byte
	content content
	points  int64
	record  int32
	changes []change // operators on an array of objects, to be sent behind it
}

func (s *State) clearWindow() {
	s.ended = false
	clear(s.pending)
	s.records, s.pending, s.newIDs = s.records[:0], s.pending[:0], len(s.ids)
	s.declined, s.counts = s.declined[:0], s.counts[:0]
}

// touch returns what a field has been told in this window.
func (s *State) touch(f *field, n *name) *pending {
	if f.pend == none {
		f.pend = int32(len(s.pending))
		s.pending = append(s.pending, pending{name: n})
	}
	return &s.pending[f.pend]
}
