package rules

import (
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/yamlfile"
)

// Set is a writeback.yaml that was read and checked. Goroutines share it.
type Set struct {
	targets []Target
	objects map[objectName]*object
	rules   [2][]*rule // of actions, of engagements

	turns    int
	within   time.Duration
	linkWait time.Duration
}

// What a rule is about, as indexes of Set.rules.
const (
	onActions = iota
	onEngagements
)

type objectName struct{ target, object string }

// object is an object of a target.
type object struct {
	keyField string
	key      *program
	keyIsID  bool
	identity string
	user     *program // nil without one
	fields   map[string]*Field
}

// rule is a rule made ready.
type rule struct {
	name, target, object, mode string
	names                      patterns // of actions or types
	when                       *program // nil: always
	set                        *program
	of                         *object // nil of a note whose object the file does not have
}

// options are the part of the file that only the kind can read.
type options struct{ raw yamlfile.Raw }

func (o options) decode(into any) error { return o.raw.Decode(into) }

// Targets lists the targets in the file's order.
func (s *Set) Targets() []Target { return slices.Clone(s.targets) }

// Target finds a target by its name.
func (s *Set) Target(name string) (Target, bool) {
	for _, t := range s.targets {
		if t.Name == name {
			return t, true
		}
	}
	return Target{}, false
}

// WantsAction reports whether a rule may want an action of this name. It is cheap enough to ask of every record.
func (s *Set) WantsAction(name string) bool { return s.wants(onActions, name) }

// WantsType likewise, of an engagement of this type.
func (s *Set) WantsType(eventType string) bool { return s.wants(onEngagements, eventType) }

func (s *Set) wants(on int, name string) bool {
	return slices.ContainsFunc(s.rules[on], func(r *rule) bool { return r.names.fit(name) })
}

// Field finds a field that has a counterpart in Braze.
func (s *Set) Field(target, object, field string) (Field, bool) {
	f := s.field(target, object, field)
	if f == nil {
		return Field{}, false
	}
	return *f, true
}

func (s *Set) field(target, object, field string) *Field {
	o := s.objects[objectName{target, object}]
	if o == nil {
		return nil
	}
	return o.fields[field]
}

// Loop is after how many changes of side within which time a field's value has gone round in a circle.
func (s *Set) Loop() (turns int, within time.Duration) { return s.turns, s.within }

// LinkWait is how long a change that names no user waits for somebody to say whose object it is.
func (s *Set) LinkWait() time.Duration { return s.linkWait }
