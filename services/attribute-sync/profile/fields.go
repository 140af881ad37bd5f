package profile

import (
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// FieldState is what is known of a field, for people.
type FieldState struct {
	Name    string
	Known   string // what Braze has, as far as it is remembered
	Source  string // that wrote it; empty where it was only ever changed by operators
	Version *int64
	Time    time.Time
	Update  uint64 // number of the update that sent it as a whole, 0 for none
	// Operators is how many values were added to an array or removed from it, or how often a number was
	// incremented, since it was written, as far as that is remembered.
	Operators int
}

// Fields lists what is known, by name.
func (s *State) Fields() []FieldState {
	list := make([]FieldState, 0, len(s.order))
	for _, i := range s.order {
		f := &s.fields[i]
		fs := FieldState{Name: string(f.name), Known: f.known.String(), Update: f.sent}
		if group, ok := strings.CutPrefix(fs.Name, groupMark); ok {
			fs.Name = groupPrefix + group
		}
		if f.by.source != nobody {
			fs.Source, fs.Time = s.sources[f.by.source], time.UnixMilli(f.by.time).UTC()
			if f.by.versioned {
				version := f.by.version
				fs.Version = &version
			}
		}
		if f.ext != nil {
			fs.Operators = len(f.ext.elements) + len(f.ext.incs)
		}
		list = append(list, fs)
	}
	return list
}

// String says what is remembered of a value.
func (c content) String() string {
	switch c.kind {
	case absent:
		return "absent"
	case isFalse, isTrue:
		if c.shape == text {
			return map[kind]string{isFalse: "unsubscribed", isTrue: "subscribed"}[c.kind]
		}
		return map[kind]string{isFalse: "false", isTrue: "true"}[c.kind]
	case whole:
		return fmt.Sprintf("%d", int64(c.bits))
	case hashed:
		return fmt.Sprintf("%s #%016x", c.shape, c.bits)
	default:
		if c.shape == anything {
			return "unknown"
		}
		return "unknown " + c.shape.String()
	}
}

// HasSubscription reports whether the user is known to be in that state in a subscription group, or is
// going to be by what this window has said so far.
func (s *State) HasSubscription(group, state string) bool {
	at, found := s.find(groupMark + strings.ToLower(group))
	if !found {
		return false
	}
	is := s.current(&s.fields[s.order[at]])
	return state == string(braze.Subscribed) && is.kind == isTrue || state == string(braze.Unsubscribed) && is.kind == isFalse
}
