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
