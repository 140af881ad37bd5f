package ingest

import (
	"slices"
	"strconv"

	"github.com/sluicehq/sluice/pkg/event"
)

// parseCases reads the body of POST /v1/cases, what happened to support cases, an object or an array of
// them, as parseEvents does:
//
//	{"id"?, "user", "case_id", "event", "severity"?, "rating"?, "channel"?, "time"?, "source"?, "metadata"?}
func parseCases(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).supportCase)
}

// supportCase reads one item.
func (s *scanner) supportCase(it *item) {
	c := &event.Case{}
	it.support = c
	hasUser, ok := s.members(it, func(field string) { s.caseMember(it, c, field) })
	if !ok {
		it.support = nil
		return
	}
	c.User = it.event.User
	if !hasUser {
		it.refuse(problem{why: missing, field: "user"})
	}
	it.refuse(checkCase(c))
}

func (s *scanner) caseMember(it *item, c *event.Case, field string) {
	switch field {
	case "id":
		c.ID = s.id(it)
	case "case_id":
		c.CaseID = s.reference(it, field)
	case "event":
		c.Event = event.CaseEvent(s.short(it, field))
	case "severity":
		c.Severity = event.Severity(s.short(it, field))
	case "rating":
		c.Rating = s.rating(it)
	case "channel":
		c.Channel = s.short(it, field)
	case "time":
		c.OccurredAt = s.time(it, field)
	case "source":
		c.Source, _ = s.optional(it, field)
	case "metadata":
		c.Metadata = s.metadata(it)
	default:
		it.refuse(problem{why: unknownField, field: field})
		s.value()
	}
}

// rating reads what a customer gave; nil for nothing. Helpdesks have scales of their own: whoever
// translates one says what it means.
func (s *scanner) rating(it *item) *int64 {
	if s.null() {
		return nil
	}
	n, err := strconv.ParseInt(alias(s.raw()), 10, 64)
	if err != nil || n < 0 || n > event.MaxRating {
		it.refuse(problem{why: notRating, field: "rating"})
	}
	return &n
}

var (
	caseEvents = event.CaseEvents()
	severities = event.Severities()
)

// checkCase looks for what an event of a case cannot do without, and for words that nobody knows. A rating
// belongs to the event that says the customer gave it: beside any other it would be counted twice, or
// stand for an opinion of long ago.
func checkCase(c *event.Case) problem {
	switch {
	case c.User.Key() == "":
		return problem{why: noIdentifier, field: "user"}
	case c.CaseID == "":
		return problem{why: missing, field: "case_id"}
	case c.Event == "":
		return problem{why: missing, field: "event"}
	case !slices.Contains(caseEvents, c.Event):
		return problem{why: notCaseEvent, field: "event"}
	case c.Severity != "" && !slices.Contains(severities, c.Severity):
		return problem{why: notSeverity, field: "severity"}
	case c.Event == event.CaseRated && c.Rating == nil:
		return problem{why: missing, field: "rating"}
	case c.Event != event.CaseRated && c.Rating != nil:
		return problem{why: notRated, field: "rating"}
	case c.Source != "" && !isName(c.Source):
		return problem{why: notSource, field: "source"}
	}
	return problem{}
}
