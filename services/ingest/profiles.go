package ingest

import (
	"fmt"
	"strconv"

	"github.com/sluicehq/sluice/pkg/event"
)

// maxListed bounds the names to unset and the subscriptions of one change, and the tags and assets of one piece
// of content.
const maxListed = 250

// parseProfiles reads the body of POST /v1/profiles, changes to profiles, an object or an array of them,
// as parseEvents does:
//
//	{"id"?, "user", "set"?, "unset"?, "add"?, "remove"?, "increment"?, "subscriptions"?, "source"?, "version"?, "time"?}
//
// where subscriptions are [{"group_id", "state": "subscribed" or "unsubscribed"}].
//
// What the change's own shape can tell is told here. Whether Braze would take a value for one of the
// attributes that it knows by name, attribute-sync looks at, since upstream producers write to the topic
// without passing this door.
func parseProfiles(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).profileChange)
}

// profileChange reads one item.
func (s *scanner) profileChange(it *item) {
	p := &event.Profile{}
	it.profile = p
	hasUser, ok := s.members(it, func(field string) { s.profileMember(it, p, field) })
	if !ok {
		it.profile = nil
		return
	}
	p.User = it.event.User
	switch {
	case !hasUser:
		it.refuse(problem{why: missing, field: "user"})
	case p.User.Key() == "":
		it.refuse(problem{why: noIdentifier, field: "user"})
	case p.Source != "" && !isName(p.Source):
		it.refuse(problem{why: notSource, field: "source"})
	case p.Set == nil && p.Unset == nil && p.Add == nil && p.Remove == nil && p.Increment == nil && p.Subscriptions == nil:
		it.refuse(problem{why: missing, field: "set"})
	}
}

func (s *scanner) profileMember(it *item, p *event.Profile, field string) {
	switch field {
	case "id":
		p.ID = s.id(it)
	case "set":
		p.Set = s.freeForm(it, field, func(name string) bool { return !isInstruction(name) })
	case "add":
		p.Add = s.changes(it, field, s.scalars)
	case "remove":
		p.Remove = s.changes(it, field, s.scalars)
	case "increment":
		p.Increment = s.changes(it, field, s.step)
	case "unset":
		s.entriesOf(it, field, func(i int) { p.Unset = append(p.Unset, s.attributeName(it, i)) })
	case "subscriptions":
		s.entriesOf(it, field, func(i int) { p.Subscriptions = append(p.Subscriptions, s.subscription(it, i)) })
	case "source":
		p.Source, _ = s.optional(it, field)
	case "version":
		p.Version = s.whole(it, field)
	case "time":
		p.OccurredAt = s.time(it, field)
	default:
		it.refuse(problem{why: unknownField, field: field})
		s.value()
	}
}

// changes reads an object of attributes, the value of each by read, whose problem's field is a path within
// the value.
func (s *scanner) changes(it *item, field string, read func() problem) []byte {
	return s.fields(it, field, func() {
		name := s.name
		if isInstruction(name) {
			it.refuse(problem{why: namesUser, field: field + "." + name})
		}
		if p := read(); p.why != fine {
			p.field = field + "." + name + p.field
			it.refuse(p)
		}
	})
}

// scalars passes over an array of texts, numbers, true and false, which are all that Braze adds to an
// array and removes from it one by one.
func (s *scanner) scalars() (p problem) {
	if s.peek() != '[' {
		s.value()
		return problem{why: notArray}
	}
	n := 0
	for first := s.open(); s.element(first); first = false {
		if c := s.peek(); p.why == fine && (c == '{' || c == '[' || c == 'n') {
			p = problem{why: notScalar, field: fmt.Sprintf("[%d]", n)}
		}
		s.value()
		n++
	}
	return p
}

// step passes over what a number is to be changed by. It stays the digits that were sent, which have to be
// those of a whole number: 1.0 and 1e3 may be whole too, but Braze's counters are not told so.
func (s *scanner) step() problem {
	if _, err := strconv.ParseInt(alias(s.raw()), 10, 64); err != nil {
		return problem{why: notWhole}
	}
	return problem{}
}

// whole reads a whole number; nil for none.
func (s *scanner) whole(it *item, field string) *int64 {
	if s.null() {
		return nil
	}
	n, err := strconv.ParseInt(alias(s.raw()), 10, 64)
	if err != nil {
		it.refuse(problem{why: notWhole, field: field})
	}
	return &n
}

// attributeName reads the name of an attribute that is to be unset, the ith.
func (s *scanner) attributeName(it *item, i int) string {
	field := entry("unset", i, "")
	if s.null() { // of a whole member it would stand for nothing; of an entry it says nothing
		it.refuse(problem{why: notString, field: field})
		return ""
	}
	name := s.short(it, field)
	if isInstruction(name) {
		it.refuse(problem{why: namesUser, field: field})
	}
	return name
}

// entriesOf reads an array, each entry by read, which gets its place.
func (s *scanner) entriesOf(it *item, field string, read func(i int)) {
	if s.peek() != '[' {
		if !s.null() {
			it.refuse(problem{why: notArray, field: field})
			s.value()
		}
		return
	}
	n := 0
	for first := s.open(); s.element(first); first = false {
		if n++; n > maxListed {
			it.refuse(problem{why: tooManyEntries, field: field, limit: maxListed, unit: "entries"})
			s.value()
			continue
		}
		read(n - 1)
	}
}

// subscription reads the ith of the subscription groups.
func (s *scanner) subscription(it *item, i int) (sub event.Subscription) {
	at := func(field string) string { return entry("subscriptions", i, field) }
	if s.peek() != '{' {
		it.refuse(problem{why: notObject, field: at("")})
		s.value()
		return sub
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		switch s.name {
		case "group_id":
			sub.GroupID = s.short(it, at("group_id"))
		case "state":
			sub.State = s.short(it, at("state"))
		default:
			it.refuse(problem{why: unknownField, field: at(s.name)})
			s.value()
		}
	}
	switch {
	case sub.GroupID == "":
		it.refuse(problem{why: missing, field: at("group_id")})
	case sub.State != "subscribed" && sub.State != "unsubscribed":
		it.refuse(problem{why: notState, field: at("state")})
	}
	return sub
}
