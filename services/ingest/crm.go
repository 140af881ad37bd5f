package ingest

import (
	"bytes"

	"github.com/sluicehq/sluice/pkg/event"
)

// parseChanges reads the body of POST /v1/crm/changes, what a CRM, a billing or a loyalty system says of its objects, an
// object or an array of them, as parseEvents does:
//
//	{"id"?, "system", "object", "object_id", "user"?, "changes", "version"?, "time"?, "actor"?}
//
// where system is the name of a target in writeback.yaml, and changes are fields with their new values, as the system has
// them; null is a field that was emptied. A change that names no user is the object's: crm-writeback finds out whose
// that is. An id is one among those of its system, whoever tells of it.
//
// Whether a change is the echo of our own write is not asked here: an echo is one only once, which takes somebody who
// sees all of a user's changes in their order.
func parseChanges(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).crmChange)
}

// parseChangeOutput reads what sources make of a change: as parseChanges does, and of an object that is gone, or
// of which nothing is said but whose it is:
//
//	{"system", "object", "object_id", "kind": "deleted", …}
//	{"system", "object", "object_id", "kind": "linked", "user", …}
func parseChangeOutput(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).crmOutput)
}

func (s *scanner) crmChange(it *item) {
	s.changeOf(it, func(string) bool { return false })
}

func (s *scanner) crmOutput(it *item) {
	kind := ""
	s.changeOf(it, func(field string) bool {
		if field != "kind" {
			return false
		}
		if kind = s.short(it, field); it.change != nil && kind != "" {
			it.change.Kind = kind
		}
		return true
	})
}

// changeOf reads a change's members; those that are not its own by more, which says whether it knew one.
func (s *scanner) changeOf(it *item, more func(field string) bool) {
	c := &event.Change{Kind: event.Changed}
	it.change = c
	hasUser, ok := s.members(it, func(field string) {
		if !s.changeMember(it, c, field) && !more(field) {
			it.refuse(problem{why: unknownField, field: field})
			s.value()
		}
	})
	if !ok {
		it.change = nil
		return
	}
	c.User = it.event.User
	if hasUser && c.User.Key() == "" {
		it.refuse(problem{why: noIdentifier, field: "user"})
	}
	it.refuse(checkChange(c))
}

// changeMember reads a member, and reports whether a change has one of that name.
func (s *scanner) changeMember(it *item, c *event.Change, field string) bool {
	switch field {
	case "id":
		c.ID = s.id(it)
	case "system":
		c.System, _ = s.optional(it, field)
	case "object":
		c.Object = s.short(it, field)
	case "object_id":
		c.ObjectID = s.reference(it, field)
	case "changes":
		c.Changes = s.freeForm(it, field, func(string) bool { return true })
	case "version":
		c.Version = s.whole(it, field)
	case "time":
		c.OccurredAt = s.time(it, field)
	case "actor":
		c.Actor = s.reference(it, field)
	default:
		return false
	}
	return true
}

// checkChange looks for what a change cannot do without.
func checkChange(c *event.Change) problem {
	says := len(bytes.Trim(c.Changes, "{} \t\r\n")) > 0
	switch {
	case c.System == "":
		return problem{why: missing, field: "system"}
	case !isSystem(c.System):
		return problem{why: notSystem, field: "system"}
	case c.Object == "":
		return problem{why: missing, field: "object"}
	case c.ObjectID == "":
		return problem{why: missing, field: "object_id"}
	}
	switch c.Kind {
	case event.Changed:
		if !says {
			return problem{why: missing, field: "changes"}
		}
	case event.Deleted:
		c.Changes = nil // what it was at last is of no use to anybody
	case event.Linked:
		if c.User.Key() == "" {
			return problem{why: missing, field: "user"}
		}
	default:
		return problem{why: notChangeKind, field: "kind"}
	}
	return problem{}
}

// isSystem reports whether a text can be the name of a target in writeback.yaml. It stands in keys between colons.
func isSystem(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '-' && c != '_') {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 63 && name != "braze"
}
