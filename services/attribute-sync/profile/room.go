package profile

import (
	"slices"
	"strconv"
	"time"
)

// Bytes of an encoded field beside its name and of an operator beside its value, at most.
const (
	fieldBytes    = 64
	operatorBytes = 40
	leastField    = 6 // of a field, at least
)

// absentKept is for how long a field that Braze has not is remembered at least: until nothing older than its
// removal is likely to come any more.
const absentKept = 30 * 24 * time.Hour

// room looks the fields up, and makes room for what the batch adds, as far as the state may get that large.
func (s *State) room(now time.Time) *Refusal {
	refusal := s.fits()
	if refusal != nil && s.forgetAbsent(now.Add(-absentKept).UnixMilli()) {
		refusal = s.fits()
	}
	return refusal
}

// fits looks the fields up, and finds out whether the batch could make the state larger than it may get.
func (s *State) fits() *Refusal {
	size, fields := s.size, len(s.fields)
	var last *name
	for i := range s.batch.writes {
		w := &s.batch.writes[i]
		if reason, _ := w.name.rule.declines(s.batch.source); w.bad != nil || reason != "" {
			last = nil
			continue
		}
		if w.verb == add || w.verb == remove || w.verb == increment {
			size += len(w.raw) + operatorBytes
		}
		if w.name == last {
			w.field = s.batch.writes[i-1].field
			continue
		}
		last, w.field = w.name, none
		if at, found := s.find(w.name.text); found {
			w.field = s.order[at]
			continue
		}
		fields++
		size += len(w.name.text) + fieldBytes
	}
	mostFields, most := MaxFields, MaxBytes
	if s.batch.ours {
		mostFields, most = MaxFields+ownFields, MaxBytes+ownBytes
	}
	switch {
	case fields > mostFields && fields > len(s.fields):
		return &Refusal{Reason: ReasonTooManyFields, Detail: "the user would have more than " + strconv.Itoa(MaxFields) + " fields"}
	case size > most && size > s.size:
		return &Refusal{Reason: ReasonStateFull, Detail: "what must be remembered of the user would be more than " + strconv.Itoa(MaxBytes) + " bytes"}
	}
	s.size = size
	return nil
}

// forgetAbsent drops the fields that were removed before a moment, and reports whether there were any. Of
// one that is removed again, Braze is told again.
func (s *State) forgetAbsent(before int64) bool {
	kept, place := s.fields[:0], make([]int32, len(s.fields))
	for i := range s.fields {
		f := &s.fields[i]
		if f.known.kind == absent && f.ext == nil && f.pend == none && f.by.time < before {
			place[i] = none
			s.size -= len(f.name) + leastField
			continue
		}
		place[i] = int32(len(kept))
		kept = append(kept, *f)
	}
	if len(kept) == len(s.fields) {
		return false
	}
	s.fields = kept
	s.order = slices.DeleteFunc(s.order, func(i int32) bool { return place[i] == none })
	for i, old := range s.order {
		s.order[i] = place[old]
	}
	return true
}
