package ingest

import (
	"errors"
	"time"
)

// message is one message of the tracking API, as it was sent. Strings alias the body.
type message struct {
	kind string // track, identify, page, screen, group or alias

	userID, anonymousID, previousID, groupID string
	messageID                                string
	event, name, category                    string

	properties, traits, contextTraits []byte // JSON objects, or nil

	timestamp, originalTimestamp, sentAt moment
	integrations                         integrations
	writeKey                             string

	start, end int // its bytes in the body
	problem    problem
}

// envelope is a request of the tracking API: one message, or a batch with what its messages share.
type envelope struct {
	sentAt       moment
	integrations integrations
	writeKey     string
	messages     []message
}

// Beyond these a request of the tracking API is answered 400: tracking clients never come near, and a
// dead letter for each would be a flood.
const (
	maxMessages     = 4 * MaxItems
	maxMessageBytes = 1 << 20
)

var (
	errNoBatch      = errors.New("batch must be an array of messages")
	errLongMessage  = errors.New("a message is larger than a record can be")
	errManyMessages = errors.New("the batch has far too many messages")
)

// parseMessage reads the body of a path for single messages, such as /v1/track, which says the kind.
// The body is its own envelope.
func parseMessage(s *scanner, env *envelope, kind string) error {
	if s.peek() != '{' {
		s.broken(s.pos, "expected an object")
		return s.fault
	}
	env.messages = append(env.messages, message{})
	m := &env.messages[0]
	s.message(m)
	if m.kind = kind; s.fault.what != "" || !s.end() {
		return s.fault
	}
	env.writeKey = m.writeKey
	return checkSize(m)
}

// parseBatch reads the body of /v1/batch.
func parseBatch(s *scanner, env *envelope) error {
	if s.peek() != '{' {
		s.broken(s.pos, "expected an object")
		return s.fault
	}
	var failed error = errNoBatch
	for base, first := s.object(), true; s.member(base, first); first = false {
		if s.flaw.why != fine {
			s.broken(s.flaw.at, "the batch "+whys[s.flaw.why].sentence)
			break
		}
		switch s.name {
		case "batch":
			if s.peek() == '[' {
				failed = s.batch(env)
				continue
			}
			s.value()
		case "sentAt":
			env.sentAt = s.moment()
		case "writeKey":
			env.writeKey = s.scalar()
		case "integrations":
			env.integrations = s.integrations()
		default:
			s.value()
			s.flaw = flaw{} // nothing of it goes anywhere
		}
	}
	if s.fault.what != "" || !s.end() {
		return s.fault
	}
	return failed
}

func (s *scanner) batch(env *envelope) error {
	var failed error
	for first := s.open(); s.element(first); first = false {
		if len(env.messages) == maxMessages {
			failed = errManyMessages
			s.value()
			continue
		}
		env.messages = append(env.messages, message{})
		m := &env.messages[len(env.messages)-1]
		s.message(m)
		if len(env.messages) > MaxItems {
			m.problem = problem{why: tooMany}
		}
		if err := checkSize(m); err != nil {
			failed = err
		}
		if env.writeKey == "" {
			env.writeKey = m.writeKey // analytics.js repeats it in each
		}
	}
	return failed
}

func checkSize(m *message) error {
	if m.end-m.start > maxMessageBytes {
		return errLongMessage
	}
	return nil
}

// message reads one message. What it does not know it passes over: other clients send other things.
func (s *scanner) message(m *message) {
	isObject := s.peek() == '{'
	m.start = s.pos
	s.flaw = flaw{}
	if !isObject {
		s.value()
		m.end, m.problem, s.flaw = s.pos, problem{why: notObject}, flaw{}
		return
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		field := s.name
		s.messageMember(m, field)
		if s.flaw.why != fine {
			if m.problem.why == fine {
				m.problem = problem{why: s.flaw.why, field: shown(field), at: s.flaw.at + 1}
			}
			s.flaw = flaw{}
		}
	}
	m.end = s.pos
}

func (s *scanner) messageMember(m *message, field string) {
	switch field {
	case "type":
		m.kind = s.scalar()
	case "userId":
		m.userID = s.scalar()
	case "anonymousId":
		m.anonymousID = s.scalar()
	case "previousId":
		m.previousID = s.scalar()
	case "groupId":
		m.groupID = s.scalar()
	case "messageId":
		m.messageID = s.scalar()
	case "event":
		m.event = s.scalar()
	case "name":
		m.name = s.scalar()
	case "category":
		m.category = s.scalar()
	case "writeKey":
		m.writeKey = s.scalar()
	case "timestamp":
		m.timestamp = s.moment()
	case "originalTimestamp":
		m.originalTimestamp = s.moment()
	case "sentAt":
		m.sentAt = s.moment()
	case "properties":
		m.properties = s.bounded(m, field)
	case "traits":
		m.traits = s.bounded(m, field)
	case "context":
		s.context(m)
	case "integrations":
		m.integrations = s.integrations()
	default:
		s.value()
	}
}

// scalar reads an id or a name. Numbers are taken as the digits that were sent; anything else that is
// not text counts as left out.
func (s *scanner) scalar() string {
	switch c := s.peek(); {
	case c == '"':
		text, _ := s.str()
		return text
	case c == '-' || '0' <= c && c <= '9':
		return alias(s.raw())
	}
	s.value()
	return ""
}

// bounded reads an object that goes on as it is; anything else counts as left out.
func (s *scanner) bounded(m *message, field string) []byte {
	if s.peek() != '{' {
		s.value()
		return nil
	}
	s.limit = s.depth + MaxDepth
	object := s.raw()
	s.limit = deepest
	if len(object) > MaxObjectBytes && m.problem.why == fine {
		m.problem = problem{why: tooLarge, field: field, limit: MaxObjectBytes, unit: "bytes"}
	}
	return object
}

// context reads the one member of a message's context that is of use here.
func (s *scanner) context(m *message) {
	if s.peek() != '{' {
		s.value()
		return
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		if s.name == "traits" {
			m.contextTraits = s.bounded(m, "context.traits")
			continue
		}
		s.value()
	}
}

// integrations is which destinations a sender wants: Braze by name, and all that it does not name.
type integrations struct{ braze, all wish }

type wish int8

const (
	unsaid wish = iota
	wanted
	unwanted
)

func (s *scanner) integrations() (in integrations) {
	if s.peek() != '{' {
		s.value()
		return in
	}
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		w := wanted // true, or options
		switch s.peek() {
		case 'f':
			w = unwanted
		case 'n':
			w = unsaid
		}
		s.value()
		switch name {
		case "Braze":
			in.braze = w
		case "All":
			in.all = w
		}
	}
	return in
}

// under is what an item wants that comes in an envelope: its own word goes first, name by name.
func (in integrations) under(envelope integrations) integrations {
	if in.braze == unsaid {
		in.braze = envelope.braze
	}
	if in.all == unsaid {
		in.all = envelope.all
	}
	return in
}

// refuseBraze reports whether Braze should not have the message.
func (in integrations) refuseBraze() bool {
	return in.braze == unwanted || in.braze == unsaid && in.all == unwanted
}

// when is the time of the message by our clock. The sender's clock is corrected by what it showed when
// the message was sent; a time that cannot be read counts as left out, and none is later than arrival.
func (m *message) when(envelopeSentAt moment, received time.Time) time.Time {
	sent := m.sentAt
	if !sent.known() {
		sent = envelopeSentAt
	}
	original := m.originalTimestamp
	if !original.known() {
		original = m.timestamp
	}
	if !original.known() {
		return received
	}
	at := original.Time
	if sent.known() {
		at = received.Add(-sent.Sub(original.Time))
	}
	if at.After(received) {
		return received
	}
	return at
}
