package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
)

// anonymousLabel is the label of the alias under which Braze knows somebody who has not said yet who
// they are. An external id is never made up for them.
const anonymousLabel = "anonymous_id"

// Words for messages that become nothing.
const (
	integrationDisabled = "integration_disabled"
	sameUser            = "same_user"
)

// translate makes of a message the item that it asks for: an event of track, page and screen, a profile
// change of identify, group and alias, nothing where there is nothing to change, or a dead letter. The
// scanner is for looking at traits again.
func translate(m *message, env *envelope, received time.Time, s *scanner) item {
	t := translation{message: m, scan: s, item: item{start: m.start, end: m.end}}
	t.item.setID(idOf(m.messageID))
	t.refuse(m.problem)
	at := m.when(env.sentAt, received)
	refusesBraze := m.integrations.under(env.integrations).refuseBraze()
	switch m.kind {
	case "track", "page", "screen":
		t.event(at, refusesBraze)
	case "identify", "group", "alias":
		t.profile(at)
		if refusesBraze && t.item.problem.why == fine {
			t.skip(integrationDisabled)
		}
	default:
		t.refuse(problem{why: unknownType, field: "type"})
	}
	if t.item.problem.why != fine {
		t.item.fate, t.item.profile = deadLetter, nil
		t.item.setID(idOf(m.messageID))
	}
	return t.item
}

// translation is one message on its way to an item.
type translation struct {
	message *message
	scan    *scanner
	item    item
}

func (t *translation) refuse(p problem) { t.item.refuse(p) }

func (t *translation) skip(reason string) { t.item.fate, t.item.why = skip, reason }

func (t *translation) event(at time.Time, refusesBraze bool) {
	m, e := t.message, &t.item.event
	e.User = t.user()
	e.Kind, e.OccurredAt, e.Properties, e.BrazeDisabled = m.kind, at, m.properties, refusesBraze
	field := "name"
	switch m.kind {
	case event.KindTrack:
		field = "event"
		e.Name = m.event
		if e.Name == "" {
			t.refuse(problem{why: missing, field: field})
		}
	case event.KindPage:
		e.Name = viewed(m, "Page")
		e.Properties = t.withCategory(m.properties)
	case event.KindScreen:
		e.Name = viewed(m, "Screen")
		e.Properties = t.withCategory(m.properties)
	}
	if tooManyCharacters(e.Name, MaxName) {
		t.refuse(problem{why: tooLong, field: field, limit: MaxName, unit: "characters"})
	}
}

// viewed names a view of a page or screen: by its name, by its category if it has none, or neither.
func viewed(m *message, what string) string {
	switch {
	case m.name != "":
		return "Viewed " + m.name + " " + what
	case m.category != "":
		return "Viewed " + m.category + " " + what
	}
	return "Viewed " + what
}

// withCategory adds the category of a view to its properties, where most clients repeat it anyway.
func (t *translation) withCategory(properties []byte) []byte {
	category := t.message.category
	if category == "" {
		return properties
	}
	s := t.scan
	s.reset(properties)
	if properties != nil {
		for base, first := s.object(), true; s.member(base, first); first = false {
			if s.name == "category" {
				return properties
			}
			s.value()
		}
	}
	o := openObject(len(properties) + len(category) + 16)
	o.members(s, properties)
	o.member("category", appendQuoted(nil, category))
	return o.close()
}

func (t *translation) profile(at time.Time) {
	m := t.message
	p := &event.Profile{ID: t.item.id(), User: t.user(), OccurredAt: at}
	t.item.profile = p
	switch m.kind {
	case "identify":
		traits := m.traits
		if traits == nil {
			traits = m.contextTraits
		}
		p.Set, p.Unset = attributes(t.scan, traits)
		if m.userID != "" && m.anonymousID != "" {
			p.PreviousKey = anonymous(m.anonymousID).Key()
		}
	case "group":
		if m.groupID == "" {
			t.refuse(problem{why: missing, field: "groupId"})
		}
		p.Set = company(t.scan, m.groupID, m.traits)
	case "alias":
		t.alias(p)
	}
}

// alias links the id under which somebody was known before to the user they turned out to be.
func (t *translation) alias(p *event.Profile) {
	m := t.message
	previous := m.previousID
	if previous == "" {
		previous = m.anonymousID
	}
	switch {
	case m.userID == "":
		t.refuse(problem{why: missing, field: "userId"})
	case previous == "":
		t.refuse(problem{why: missing, field: "previousId"})
	case previous == m.userID:
		t.skip(sameUser)
	}
	t.check("previousId", previous, MaxIdentifier)
	p.PreviousKey = anonymous(previous).Key()
}

// user is whom the message concerns: by userId if it has one, else by anonymousId.
func (t *translation) user() event.User {
	m := t.message
	t.check("anonymousId", m.anonymousID, MaxIdentifier)
	switch {
	case m.userID != "":
		if len(m.userID) > MaxExternalID {
			t.refuse(problem{why: tooLong, field: "userId", limit: MaxExternalID, unit: "bytes"})
		}
		t.check("userId", m.userID, MaxExternalID)
		return event.User{ExternalID: m.userID}
	case m.anonymousID != "":
		return anonymous(m.anonymousID)
	case m.kind != "alias": // which says for itself what it lacks
		t.refuse(problem{why: noSender, field: "userId"})
	}
	return event.User{}
}

// check refuses an identifier that cannot become a record's key.
func (t *translation) check(field, id string, limit int) {
	switch {
	case tooManyCharacters(id, limit):
		t.refuse(problem{why: tooLong, field: field, limit: limit, unit: "characters"})
	case !printable(id):
		t.refuse(problem{why: unprintable, field: field})
	}
}

func anonymous(id string) event.User {
	return event.User{AliasLabel: anonymousLabel, AliasName: id}
}

func tooManyCharacters(text string, limit int) bool {
	return len(text) > limit && utf8.RuneCountInString(text) > limit
}

// idOf is a message's own id, which need not be fit for a header; then its hash stands for it, so that
// a repeat is still recognised.
func idOf(messageID string) string {
	if len(messageID) <= MaxID && printable(messageID) {
		return messageID
	}
	sum := sha256.Sum256([]byte(messageID))
	return "sha256:" + hex.EncodeToString(sum[:])
}
