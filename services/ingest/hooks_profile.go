package ingest

import (
	"strconv"

	"github.com/sluicehq/sluice/pkg/event"
)

// maxProfileEntries bounds the names to unset and the subscriptions of one change.
const maxProfileEntries = 250

// parseProfiles reads changes to profiles, an object or an array of them, as parseEvents does:
//
//	{"id"?, "user", "set"?, "unset"?, "add"?, "remove"?, "increment"?, "subscriptions"?, "version"?, "time"?}
//
// where subscriptions are [{"group_id", "state": "subscribed" or "unsubscribed"}].
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
	case p.Set == nil && p.Unset == nil && p.Add == nil && p.Remove == nil && p.Increment == nil && p.Subscriptions == nil:
		it.refuse(problem{why: missing, field: "set"})
	}
}

func (s *scanner) profileMember(it *item, p *event.Profile, field string) {
	attribute := func(name string) bool { return !isInstruction(name) }
	switch field {
	case "id":
		p.ID = s.id(it)
	case "set", "add", "remove", "increment":
		*map[string]*[]byte{"set": &p.Set, "add": &p.Add, "remove": &p.Remove, "increment": &p.Increment}[field] = s.freeForm(it, field, attribute)
	case "unset":
		s.entriesOf(it, field, func() {
			name := s.identifier(it, field)
			if isInstruction(name) {
				it.refuse(problem{why: namesUser, field: field})
			}
			p.Unset = append(p.Unset, name)
		})
	case "subscriptions":
		s.entriesOf(it, field, func() { p.Subscriptions = append(p.Subscriptions, s.subscription(it)) })
	case "version":
		if n, err := strconv.ParseInt(alias(s.raw()), 10, 64); err == nil {
			p.Version = &n
		} else {
			it.refuse(problem{why: notWhole, field: field})
		}
	case "time":
		p.OccurredAt = s.time(it, field)
	default:
		it.refuse(problem{why: unknownField, field: field})
		s.value()
	}
}

// entriesOf reads an array, each entry by read.
func (s *scanner) entriesOf(it *item, field string, read func()) {
	if s.peek() != '[' {
		if !s.null() {
			it.refuse(problem{why: notArray, field: field})
			s.value()
		}
		return
	}
	n := 0
	for first := s.open(); s.element(first); first = false {
		if n++; n > maxProfileEntries {
			it.refuse(problem{why: tooManyEntries, field: field, limit: maxProfileEntries, unit: "entries"})
			s.value()
			continue
		}
		read()
	}
}

func (s *scanner) subscription(it *item) (sub event.Subscription) {
	if s.peek() != '{' {
		it.refuse(problem{why: notObject, field: "subscriptions"})
		s.value()
		return sub
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		switch s.name {
		case "group_id":
			sub.GroupID = s.short(it, "subscriptions.group_id")
		case "state":
			sub.State = s.short(it, "subscriptions.state")
		default:
			it.refuse(problem{why: unknownField, field: "subscriptions." + s.name})
			s.value()
		}
	}
	switch {
	case sub.GroupID == "":
		it.refuse(problem{why: missing, field: "subscriptions.group_id"})
	case sub.State != "subscribed" && sub.State != "unsubscribed":
		it.refuse(problem{why: notState, field: "subscriptions.state"})
	}
	return sub
}
