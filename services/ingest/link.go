package ingest

import "github.com/sluicehq/sluice/pkg/event"

// identified is the name of the event that says who somebody turned out to be.
const identified = "User Identified"

// linkOf returns the item that links the user whom a message knew before to the one that it names now,
// beside the change of the profile that the message asks for. Its record is the earlier user's: it stands
// behind everything they did while nobody knew who they were.
func linkOf(m *message, it *item) (link item, ok bool) {
	p := it.profile
	if p == nil || it.fate != toTopic || it.problem.why != fine || p.PreviousKey == "" || p.User.ExternalID == "" {
		return item{}, false
	}
	previous := m.anonymousID
	if m.kind == "alias" && m.previousID != "" { // of other kinds nobody has looked at it
		previous = m.previousID
	}
	link = item{start: it.start, end: it.end}
	link.event = event.Event{
		User: anonymous(previous), Name: identified, Kind: event.KindIdentify, OccurredAt: p.OccurredAt,
		IdentifiedAs: p.User.ExternalID,
	}
	if id := it.id(); id != "" {
		link.event.ID = idOf(id + ":link") // the message's own id is the profile change's
	}
	return link, true
}

// parseLinks reads what sources say of who somebody turned out to be, an object or an array of them, as
// parseEvents does:
//
//	{"id"?, "user", "identified_as", "time"?}
//
// where the user is whom the source knew so far, and identified_as the external id of the person.
func parseLinks(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).link)
}

// link reads one item.
func (s *scanner) link(it *item) {
	e := &it.event
	hasUser, ok := s.members(it, func(field string) {
		switch field {
		case "id":
			e.ID = s.id(it)
		case "identified_as":
			e.IdentifiedAs = s.identifier(it, field)
		case "time":
			e.OccurredAt = s.time(it, field)
		default:
			it.refuse(problem{why: unknownField, field: field})
			s.value()
		}
	})
	if !ok {
		return
	}
	e.Name, e.Kind = identified, event.KindIdentify
	switch {
	case !hasUser:
		it.refuse(problem{why: missing, field: "user"})
	case e.User.Key() == "":
		it.refuse(problem{why: noIdentifier, field: "user"})
	case e.IdentifiedAs == "":
		it.refuse(problem{why: missing, field: "identified_as"})
	case len(e.IdentifiedAs) > MaxExternalID:
		it.refuse(problem{why: tooLong, field: "identified_as", limit: MaxExternalID, unit: "bytes"})
	}
}
