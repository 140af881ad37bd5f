package profile

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/event"
)

// take applies the batch, which has been found to be in order.
func (s *State) take(r *Rules, by stamp, cause event.Cause, now time.Time) *Refusal {
	if refusal := s.room(now); refusal != nil {
		return refusal
	}
	by.source = s.source(cause.Source)
	record := int32(len(s.records))
	s.records = append(s.records, recordOf(cause, by.time))
	once := s.batch.once && cause.ID != ""
	oldest := now.Add(-r.DedupWindow).UnixMilli()
	duplicate, applied := once && s.applied(eventID(cause.Source, cause.ID, ""), oldest), false
	for i := range s.batch.writes {
		w := &s.batch.writes[i]
		reason, detail := w.name.rule.declines(cause.Source)
		switch {
		case reason != "":
			s.decline(w, record, reason, detail)
		case w.bad != nil:
			s.decline(w, record, ReasonInvalid, w.bad.Error())
		case w.verb == increment && duplicate,
			w.verb == changeObjects && once && s.applied(eventID(cause.Source, cause.ID, w.name.text), oldest):
			s.decline(w, record, DeclinedDuplicate, "the event was applied before")
		case !s.write(w, by, record) || !once:
		case w.verb == increment:
			applied = true
		default:
			s.rememberID(eventID(cause.Source, cause.ID, w.name.text), now, oldest)
		}
	}
	if applied {
		s.rememberID(eventID(cause.Source, cause.ID, ""), now, oldest)
	}
	return nil
}

// declines says why a source's write is not taken, whatever it is; nothing where it is.
func (f *Field) declines(source string) (reason, detail string) {
	switch {
	case f == nil:
		return "", ""
	case f.Blocked:
		return DeclinedBlocked, "fields.yaml blocks it"
	case f.Owner != "" && f.Owner != source:
		return DeclinedNotOwner, "it belongs to " + f.Owner
	}
	return "", ""
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

// eventID is what is remembered of an event's id, which is one within its source. Its increments go out
// together, and are remembered together, under no field; each of its operators on an array of objects may go
// out with another object, of which one may be refused and the others not, and is remembered by itself.
func eventID(source, id, field string) uint64 {
	var d xxhash.Digest
	d.Reset()
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(source)))
	_, _ = d.Write(n[:])
	_, _ = d.WriteString(source)
	_, _ = d.WriteString(id)
	if field == "" {
		return d.Sum64()
	}
	return mix(d.Sum64(), xxhash.Sum64String(field))
}

// applied reports whether an event was applied, as far as is remembered and not too long ago.
func (s *State) applied(id uint64, oldest int64) bool {
	for i := range s.ids {
		if s.ids[i].id == id && s.ids[i].time >= oldest {
			return true
		}
	}
	return false
}

// rememberID remembers an event, and forgets those that are older than the window, or are too many.
func (s *State) rememberID(id uint64, now time.Time, oldest int64) {
	kept, fresh := s.ids[:0], s.newIDs
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
