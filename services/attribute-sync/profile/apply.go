package profile

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/event"
)

// take applies the batch, which has been found to be in order.
func (s *State) take(r *Rules, by stamp, cause event.Cause, now time.Time) *Refusal {
	if refusal := s.room(); refusal != nil {
		return refusal
	}
	by.source = s.source(cause.Source)
	record := int32(len(s.records))
	s.records = append(s.records, recordOf(cause, by.time))
	duplicate, id := false, uint64(0)
	if s.batch.once && cause.ID != "" {
		id = eventID(cause.Source, cause.ID)
		duplicate = s.applied(id)
	}
	once := false
	for i := range s.batch.writes {
		w := &s.batch.writes[i]
		switch rule := w.name.rule; {
		case w.bad != nil:
			s.decline(w, record, ReasonInvalid, w.bad.Error())
		case rule != nil && rule.Blocked:
			s.decline(w, record, DeclinedBlocked, "fields.yaml blocks it")
		case rule != nil && rule.Owner != "" && rule.Owner != cause.Source:
			s.decline(w, record, DeclinedNotOwner, "it belongs to "+rule.Owner)
		case duplicate && (w.verb == increment || w.verb == changeObjects):
			s.decline(w, record, DeclinedDuplicate, "the event was applied before")
		default:
			once = s.write(w, by, record) || once
		}
	}
	if once && cause.ID != "" {
		s.rememberID(id, now, r.DedupWindow)
	}
	return nil
}

// write applies one write, and reports whether something was applied that must not be twice.
func (s *State) write(w *write, by stamp, record int32) (once bool) {
	var f *field
	if w.field != none {
		f = &s.fields[w.field]
	} else {
		f = s.field(w.name.text)
	}
	switch w.verb {
	case set:
		s.set(f, w, by, record)
	case add, remove:
		s.element(f, w, by, record)
	case increment:
		return s.increment(f, w, by, record)
	case changeObjects:
		return s.changeObjects(f, w, by, record)
	}
	return false
}

// Bytes of an encoded field beside its name and of an operator beside its value, at most.
const (
	fieldBytes    = 64
	operatorBytes = 40
)

// room looks the fields up, and finds out whether the batch could make the state larger than it may get.
func (s *State) room() *Refusal {
	size, fields := s.size, len(s.fields)
	var last *name
	for i := range s.batch.writes {
		w := &s.batch.writes[i]
		if w.bad != nil {
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
	switch {
	case fields > MaxFields && fields > len(s.fields):
		return &Refusal{Reason: ReasonTooManyFields, Detail: "the user would have more than " + strconv.Itoa(MaxFields) + " fields"}
	case size > MaxBytes && size > s.size:
		return &Refusal{Reason: ReasonStateFull, Detail: "what must be remembered of the user would be more than " + strconv.Itoa(MaxBytes) + " bytes"}
	}
	s.size = size
	return nil
}

// declinedOld declines an operator that is older than the value it would change.
func (s *State) declinedOld(f *field, w *write, by *stamp, record int32) bool {
	against := f.ownStale(by)
	if against == nil && !s.foreign(f, w.name.rule.owner()) && !s.wins(by, &f.by) {
		against = &f.by
	}
	if against != nil {
		s.decline(w, record, DeclinedStale, s.story(against))
	}
	return against != nil
}

// current is what a field is going to be, as far as it is known.
func (s *State) current(f *field) content {
	if f.pend != none && s.pending[f.pend].whole {
		return s.pending[f.pend].content
	}
	return f.known
}

// decline notes that a write comes to nothing. A person wants to read it once for a record and field, and
// not for each of twenty values.
func (s *State) decline(w *write, record int32, reason, detail string) {
	s.count(record, w.name, Declined, w.points)
	cause := &s.records[record].cause
	if last := len(s.declined) - 1; last >= 0 {
		if d := &s.declined[last]; d.ID == cause.ID && d.Source == cause.Source && d.Field == w.name.shown && d.Reason == reason {
			return
		}
	}
	s.declined = append(s.declined, event.Declined{ID: cause.ID, Source: cause.Source, Field: w.name.shown, Reason: reason, Detail: detail})
}

// eventID is what is remembered of an event's id, which is one within its source.
func eventID(source, id string) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(source)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(source)
	_, _ = d.WriteString(id)
	return d.Sum64()
}

func (s *State) applied(id uint64) bool {
	for i := range s.ids {
		if s.ids[i].id == id {
			return true
		}
	}
	return false
}

// rememberID remembers an event, and forgets those that are older than the window, or are too many.
func (s *State) rememberID(id uint64, now time.Time, window time.Duration) {
	oldest, kept, fresh := now.Add(-window).UnixMilli(), s.ids[:0], s.newIDs
	for i, known := range s.ids {
		if i < fresh && (known.time < oldest || len(s.ids)-i >= maxIDs) {
			s.newIDs--
			continue
		}
		kept = append(kept, known)
	}
	s.ids = append(kept, seen{id: id, time: now.UnixMilli()})
}

func recordOf(cause event.Cause, time int64) record { return record{cause: cause, time: time} }
