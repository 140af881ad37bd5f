package watch

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// What is what an event says about a message, as far as it is counted.
type What uint8

// What is counted of a campaign or a step.
const (
	nothing What = iota
	Sends
	Deliveries
	Bounces     // it will not arrive: a hard bounce, a rejection, a failure for good
	SoftBounces // it did not arrive this time
	Opens       // by people as far as anybody can tell; impressions and read receipts of the channels that have these
	MachineOpens
	Clicks // by people as far as anybody can tell
	BotClicks
	Unsubscribes
	Spam
	Aborts // given up before it was sent
	whats
)

var whatNames = [whats]string{
	nothing: "", Sends: "sends", Deliveries: "deliveries", Bounces: "bounces", SoftBounces: "soft_bounces", Opens: "opens",
	MachineOpens: "machine_opens", Clicks: "clicks", BotClicks: "bot_clicks", Unsubscribes: "unsubscribes", Spam: "spam", Aborts: "aborts",
}

// String is the word for it, as metrics have it.
func (w What) String() string { return whatNames[w] }

// messages is what all types begin with that a message causes.
const messages = "users.messages."

// whatOf says what an event counts as. Types that Braze may invent later count by their last word, which
// has meant the same in every channel so far.
func (m *marks) whatOf(e *event.Engagement) What {
	rest, isMessage := strings.CutPrefix(e.Type, messages)
	if !isMessage {
		return nothing
	}
	channel, name, _ := strings.Cut(rest, ".")
	switch name {
	case "Send":
		return Sends
	case "Delivery":
		return Deliveries
	case "Bounce", "DeliveryFailure", "Rejection":
		return Bounces
	case "Failure":
		// A webhook is tried again, and each attempt that fails is an event.
		if channel == "webhook" && !m.yes(e.JSON, "is_terminal") {
			return SoftBounces
		}
		return Bounces
	case "SoftBounce":
		return SoftBounces
	case "Open", "Read", "Impression":
		if m.yes(e.JSON, "machine_open") {
			return MachineOpens
		}
		return Opens
	case "Click", "ShortLinkClick":
		if m.bot(e.JSON) {
			return BotClicks
		}
		return Clicks
	case "Unsubscribe":
		return Unsubscribes
	case "MarkAsSpam":
		return Spam
	case "Abort":
		return Aborts
	case "InboundReceive":
		if m.says(e.JSON, "action", "Unsubscribed") {
			return Unsubscribes
		}
	}
	return nothing
}

// marks finds single properties in events as Braze sent them. It keeps what it works with from one event to
// the next.
type marks struct {
	in  bytes.Reader
	dec jsontext.Decoder
}

// yes reports whether a property is true: as a boolean, or as a text, which machine_open is ("true", and more
// values may follow, says Braze) and which field transformations make of nothing else.
func (m *marks) yes(event []byte, name string) bool {
	switch v := m.property(event, name); v.Kind() {
	case 't':
		return true
	case '"':
		text := string(v)
		return text != `""` && !strings.EqualFold(text, `"false"`)
	}
	return false
}

// bot reports whether a click was probably nobody's. The verdict stands there only where the workspace filters
// bots; reasons stand there always.
func (m *marks) bot(event []byte) bool {
	if !bytes.Contains(event, []byte(`suspected_bot_click`)) { // nearly all of them
		return false
	}
	switch v := m.property(event, "is_suspected_bot_click"); v.Kind() {
	case 't', 'f':
		return v.Kind() == 't'
	}
	reasons := m.property(event, "suspected_bot_click_reason")
	switch reasons.Kind() {
	case '[':
		return len(bytes.TrimSpace(reasons[1:len(reasons)-1])) > 0
	case '"':
		return string(reasons) != `""`
	}
	return false
}

// says reports whether a property is a text, whatever the case.
func (m *marks) says(event []byte, name, text string) bool {
	v := m.property(event, name)
	return v.Kind() == '"' && strings.EqualFold(string(v), `"`+text+`"`)
}

// property is the value of a property; invalid where there is none. It stands until the next is looked for.
func (m *marks) property(event []byte, name string) jsontext.Value {
	if !bytes.Contains(event, []byte(name)) {
		return nil
	}
	m.in.Reset(event)
	m.dec.Reset(&m.in, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if !m.into("properties") || !m.into(name) {
		return nil
	}
	v, err := m.dec.ReadValue()
	if err != nil {
		return nil
	}
	return v
}

// into enters the object that comes next and goes to the value of one of its members.
func (m *marks) into(name string) bool {
	if m.dec.PeekKind() != '{' {
		return false
	}
	if _, err := m.dec.ReadToken(); err != nil {
		return false
	}
	for m.dec.PeekKind() == '"' {
		at, err := m.dec.ReadToken()
		if err != nil {
			return false
		}
		if at.String() == name {
			return true
		}
		if m.dec.SkipValue() != nil {
			return false
		}
	}
	return false
}
