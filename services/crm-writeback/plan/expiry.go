package plan

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// repeated reports whether a record has been planned before, and remembers it.
func (s *state) repeated(hash uint64, now int64) bool {
	for _, known := range s.seen {
		if known.hash == hash {
			return true
		}
	}
	if len(s.seen) >= maxSeen {
		s.seen = append(s.seen[:0], s.seen[1:]...)
	}
	s.seen = append(s.seen, seen{hash, now})
	return false
}

// forget has a record count as new.
func (s *state) forget(hash uint64) {
	for i := len(s.seen) - 1; i >= 0 && hash != 0; i-- {
		if s.seen[i].hash == hash {
			s.seen = append(s.seen[:i], s.seen[i+1:]...)
			return
		}
	}
}

// prune forgets what has had its time.
func (s *state) prune(now int64) {
	kept := s.seen[:0]
	for _, known := range s.seen {
		if now-known.at < seenFor.Milliseconds() {
			kept = append(kept, known)
		}
	}
	s.seen = kept
	for i := len(s.objects) - 1; i >= 0; i-- {
		waiting := false
		for j := range s.objects[i].fields {
			f := &s.objects[i].fields[j]
			f.expire(now)
			waiting = waiting || len(f.ledger) > 0
		}
		if s.who == (event.User{}) && !waiting { // nobody will ever come back to it
			s.dropObject(i)
		}
	}
}

// due is when prune has something to do next; zero for never.
func (s *state) due() time.Time {
	first := int64(0)
	sooner := func(at int64) {
		if first == 0 || at < first {
			first = at
		}
	}
	for i := range s.seen {
		sooner(s.seen[i].at + seenFor.Milliseconds())
	}
	for i := range s.objects {
		for j := range s.objects[i].fields {
			for _, e := range s.objects[i].fields[j].ledger {
				sooner(e.expires)
			}
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return time.UnixMilli(first)
}

func (s *state) empty() bool { return len(s.seen) == 0 && len(s.objects) == 0 }
