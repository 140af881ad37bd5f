package ingest

import (
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
)

// What an item may be at most.
const (
	MaxItems       = 2_500     // items of a request
	MaxName        = 255       // characters of an event's name
	MaxID          = 255       // bytes of an item's id
	MaxExternalID  = 987       // bytes; braze-docs: EXTERNAL_USER_ID_TOO_LARGE
	MaxIdentifier  = 255       // characters of any other identifier
	MaxObjectBytes = 100 << 10 // of properties, and of attributes; braze-docs: payload of an event
	MaxDepth       = 32        // objects and arrays within one another, that of properties included
)

// item is one thing that a request asks for, on its way from bytes to a record.
type item struct {
	event      event.Event
	profile    *event.Profile    // instead of the event, if it is not nil
	commerce   *event.Commerce   // likewise
	support    *event.Case       // likewise
	engagement *event.Engagement // likewise
	action     *event.Action     // likewise
	content    *event.Content    // likewise
	change     *event.Change     // likewise
	removes    bool              // the content's record is a tombstone
	fate       fate
	problem    problem
	why        string // it is skipped
	start      int    // where its bytes begin in the body
	end        int
}

// refuse records what is wrong with an item. Only the first thing counts.
func (it *item) refuse(p problem) {
	if it.problem.why == fine {
		it.problem = p
	}
}

// parseEvents reads the body of POST /v1/events, an object or an array of them, into items. Whatever
// the events refer to aliases the body and the scanner. It fails with a [fault] when the body is not
// JSON; what is wrong with one item is that item's problem.
func parseEvents(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).event)
}

// parseItems reads a body whose items are read by read.
func parseItems(s *scanner, items []item, read func(*scanner, *item)) ([]item, error) {
	switch s.peek() {
	case '{':
		items = append(items, item{})
		read(s, &items[0])
	case '[':
		for first := s.open(); s.element(first); first = false {
			if len(items) == MaxItems {
				return items, errTooMany
			}
			items = append(items, item{})
			read(s, &items[len(items)-1])
		}
	default:
		if s.value() && s.end() {
			s.broken(0, "expected an object or an array of objects")
		}
	}
	if s.fault.what != "" || !s.end() {
		return items, s.fault
	}
	return items, nil
}

// members reads an item's object, whatever kind of item it is: its user, and every other member by the
// function. It reports whether there was a user; ok is false for what is no object, and is refused.
func (s *scanner) members(it *item, member func(field string)) (hasUser, ok bool) {
	isObject := s.peek() == '{'
	it.start = s.pos
	s.flaw = flaw{}
	if !isObject {
		it.refuse(problem{why: notObject})
		s.value()
		s.flaw = flaw{}
		return false, false
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		field := s.name
		if field == "user" {
			hasUser = s.user(it)
		} else {
			member(field)
		}
		if s.flaw.why != fine {
			it.refuse(problem{why: s.flaw.why, field: field, at: s.flaw.at + 1})
			s.flaw = flaw{}
		}
	}
	it.end = s.pos
	return hasUser, true
}

// event reads one item.
func (s *scanner) event(it *item) {
	e := &it.event
	hasUser, ok := s.members(it, func(field string) {
		switch field {
		case "id":
			e.ID = s.id(it)
		case "name":
			e.Name = s.characters(it, "name", MaxName)
		case "time":
			e.OccurredAt = s.time(it, "time")
		case "properties":
			e.Properties = s.properties(it)
		case "attributes":
			e.Attributes = s.attributes(it)
		default:
			it.refuse(problem{why: unknownField, field: field})
			s.value()
		}
	})
	if !ok {
		return
	}
	e.Kind = event.KindTrack
	switch {
	case !hasUser:
		it.refuse(problem{why: missing, field: "user"})
	case e.User.Key() == "":
		it.refuse(problem{why: noIdentifier, field: "user"})
	case e.Name == "":
		it.refuse(problem{why: missing, field: "name"})
	}
}

// optional reads a string. A null stands for a member that was left out; that and anything else is
// the empty string and not ok.
func (s *scanner) optional(it *item, field string) (text string, ok bool) {
	switch {
	case s.peek() == '"':
		if text, ok = s.str(); ok && text == "" {
			it.refuse(problem{why: empty, field: field})
		}
		return text, ok
	case s.null():
		return "", false
	}
	it.refuse(problem{why: notString, field: field})
	s.value()
	return "", false
}

// id reads an item's id: printable, and short enough for a header.
func (s *scanner) id(it *item) string { return s.key(it, "id") }

// key reads an idempotency key, whatever its name.
func (s *scanner) key(it *item, field string) string {
	id, ok := s.optional(it, field)
	switch {
	case !ok:
	case len(id) > MaxID:
		it.refuse(problem{why: tooLong, field: field, limit: MaxID, unit: "bytes"})
		return ""
	case !printable(id):
		it.refuse(problem{why: unprintable, field: field})
		return ""
	}
	return id
}

// characters reads a string of at most so many characters.
func (s *scanner) characters(it *item, field string, limit int) string {
	text, _ := s.optional(it, field)
	if len(text) > limit && utf8.RuneCountInString(text) > limit {
		it.refuse(problem{why: tooLong, field: field, limit: limit, unit: "characters"})
	}
	return text
}

// time reads a point in time; zero for none.
func (s *scanner) time(it *item, field string) time.Time {
	text, ok := s.optional(it, field)
	if !ok || text == "" {
		return time.Time{}
	}
	t, ok := parseTime(text)
	if !ok {
		it.refuse(problem{why: notTime, field: field})
	}
	return t
}

// properties reads an object that goes on as it is.
func (s *scanner) properties(it *item) []byte {
	return s.freeForm(it, "properties", func(string) bool { return true })
}

// attributes reads an object in Braze's form. Braze takes a user's identifiers from the same object,
// so a name that is one could move the change to somebody else.
func (s *scanner) attributes(it *item) []byte {
	return s.freeForm(it, "attributes", func(name string) bool { return !namesAUser(name) })
}

// freeForm reads an object whose values may be anything, and whose names those that are allowed.
func (s *scanner) freeForm(it *item, field string, allowed func(name string) bool) []byte {
	return s.fields(it, field, func() {
		if !allowed(s.name) {
			it.refuse(problem{why: namesUser, field: field + "." + s.name})
		}
		s.value()
	})
}

// fields reads an object that goes on as it is, each value by read. It is nil where there is none.
func (s *scanner) fields(it *item, field string, read func()) []byte {
	return s.fieldsWithin(it, field, MaxObjectBytes, read)
}

// fieldsWithin is fields for an object of at most so many bytes.
func (s *scanner) fieldsWithin(it *item, field string, limit int, read func()) []byte {
	if s.null() {
		return nil
	}
	if s.peek() != '{' {
		it.refuse(problem{why: notObject, field: field})
		s.value()
		return nil
	}
	start := s.pos
	s.limit = s.depth + MaxDepth
	for base, first := s.object(), true; s.member(base, first); first = false {
		read()
	}
	s.limit = deepest
	if s.pos-start > limit {
		it.refuse(problem{why: tooLarge, field: field, limit: limit, unit: "bytes"})
	}
	return s.buf[start:s.pos:s.pos]
}

// parseTime reads a time of RFC 3339, strictly.
func parseTime(text string) (time.Time, bool) {
	var t time.Time
	err := t.UnmarshalText([]byte(text))
	return t.UTC(), err == nil
}
