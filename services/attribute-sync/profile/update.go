package profile

import (
	"slices"
	"time"
)

// Update ends the window: it says what must be sent, and takes that for sent from now on.
func (s *State) Update() Difference {
	if s.ended {
		s.clearWindow()
	}
	d := &s.diff
	clear(d.later)
	*d = difference{
		Difference: Difference{Objects: d.Objects[:0], Causes: d.Causes[:0]},
		number:     s.updates + 1, out: append(d.out[:0], '{'), subs: d.subs[:0], later: d.later[:0],
	}
	if len(s.pending) > 0 {
		for _, i := range s.order {
			if f := &s.fields[i]; f.pend != none {
				s.settle(f, &s.pending[f.pend])
				f.pend = none
			}
		}
		s.finish(d)
	}
	if d.touched {
		s.updates = d.number
		d.Number = d.number
		for i := s.newIDs; i < len(s.ids); i++ {
			s.ids[i].sent = d.number
		}
	} else if s.newIDs < len(s.ids) {
		s.neverSent(d.number)
	}
	if over := len(s.ids) - maxIDs; over > 0 {
		s.ids = slices.Delete(s.ids, 0, over)
	}
	newest := int64(0)
	for i := range s.records {
		r := &s.records[i]
		if r.used {
			d.Causes = append(d.Causes, r.cause)
		}
		if r.sent && (newest < r.time || d.OccurredAt.IsZero()) {
			newest = r.time
			d.OccurredAt = time.UnixMilli(newest).UTC()
		}
	}
	d.Declined, d.Counts = s.declined, s.counts
	s.ended = true
	return d.Difference
}

// neverSent takes back a number that was given to increments before it was clear that there is nothing to
// send.
func (s *State) neverSent(number uint64) {
	for i := range s.fields {
		if e := s.fields[i].ext; e != nil {
			for j := range e.incs {
				if e.incs[j].sent == number {
					e.incs[j].sent = 0
				}
			}
		}
	}
}
