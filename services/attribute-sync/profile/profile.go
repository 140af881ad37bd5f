// Package profile knows what Braze has of one user's profile, and says what Braze must be told.
//
// Braze charges for every attribute that it is sent, changed or not, and keeps whatever comes last. So
// what is sent must be the difference, and which write is the newest must be decided before. Both need a
// memory of each field of each user: a hash of the value that Braze has, and who wrote it, when, in which
// version. That memory is [State], small enough to stand in a compacted topic for every user there is:
// about 25 bytes and the name for a plain field.
//
// One user's changes of a while, a window, go through it like this:
//
//	err := state.Decode(bytes)                     // what is known so far; nothing is fine
//	refusal := rules.Apply(&state, change, place)  // for every record, in the order of the topic
//	difference := state.Update()                   // what is to be sent of all that
//	bytes = state.Append(nil)                      // what is known from now on
//
// The file names tell the rest: parse.go takes a record apart, standard.go knows Braze's own fields,
// content.go says when two values are the same and precedence.go which write wins; set.go, elements.go,
// increment.go and objects.go say what becomes of each kind of write, settle.go what is sent of it, and
// encode.go how the state is written down.
//
// There is no clock here, no goroutine and no I/O: the time is an argument, and whoever holds a State
// holds it alone.
package profile

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Place is where a record stands, and the time at which it is read, which only decides which event ids
// are old enough to be forgotten.
type Place struct {
	Topic     string
	Partition int32
	Offset    int64
	Now       time.Time
}

// Write is who sets a computed attribute, and because of which record.
type Write struct {
	ID      string // event_id of the record that the value follows from
	Source  string // such as sluice.support
	Version *int64
	Time    time.Time
	Place   Place
}

// Bounds of what is kept of one user. A record that would go beyond the first two is refused; of the
// others the oldest entry goes.
const (
	MaxFields = 1000      // fields, subscription groups among them
	MaxBytes  = 256 << 10 // of the encoded state, estimated from above

	// What the attributes that are made here may take beyond that: a profile that others have filled must
	// not keep a customer with an open case from being spared.
	ownFields = 32
	ownBytes  = 4 << 10

	maxName     = 4 * 255 // bytes of a field's name, which has 255 characters at most
	maxSource   = 255     // bytes of a source's name
	maxVersions = 8       // sources of one field whose newest version is remembered
	maxIDs      = 128     // event ids remembered so that a repeat is not applied again
	maxElements = 100     // elements of one array that were added or removed since it was set
	maxElemSize = 8 << 10 // bytes of those
	maxIncs     = 32      // increments of one field since it was set
)

// Apply takes in one record, in the order of its topic. A refusal means that nothing of it was; nil, that
// each of its writes was considered, though some may have been declined (see [Difference]).
func (r *Rules) Apply(s *State, p *event.Profile, at Place) *Refusal {
	if len(p.Source) > maxSource {
		return &Refusal{Reason: ReasonInvalid, Detail: "source is longer than 255 bytes"}
	}
	b := s.begin(r, p.Source)
	if refusal := b.parse(p); refusal != nil {
		return refusal
	}
	by := stamp{time: p.OccurredAt.UnixMilli()}
	if p.Version != nil {
		by.versioned, by.version = true, *p.Version
	}
	return s.take(r, by, event.Cause{ID: p.ID, Source: p.Source, Topic: at.Topic, Partition: at.Partition, Offset: at.Offset}, at.Now)
}

// Set takes in one attribute that was computed here, such as promotions_suppressed_until. The value is
// JSON; null unsets. Rules of owners, precedence and validity are the same as for anybody's.
func (r *Rules) Set(s *State, name string, value []byte, by Write) *Refusal {
	b := s.begin(r, by.Source)
	b.ours = true
	if refusal := b.one(name, value); refusal != nil {
		return refusal
	}
	w := stamp{time: by.Time.UnixMilli()}
	if by.Version != nil {
		w.versioned, w.version = true, *by.Version
	}
	at := by.Place
	return s.take(r, w, event.Cause{ID: by.ID, Source: by.Source, Topic: at.Topic, Partition: at.Partition, Offset: at.Offset}, at.Now)
}
