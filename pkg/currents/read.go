package currents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// Unknown is the type of an event that does not say which it is.
const Unknown = "unknown"

// Redacted is what Braze puts where a connector is told to hide a text. As the id of a user it names
// nobody: all customers would become one. The id of an event it is not either: all events would.
const Redacted = "[REDACTED]"

// ErrNotObject says that what should be an event is JSON, but no object.
var ErrNotObject = errors.New("an event must be a JSON object")

// Read makes an engagement of one event as Braze sends it over HTTP, an object with event_type, id,
// time, user and properties. It fails for what is not a JSON object, or one nested deeper than 10,000
// levels, and for nothing else:
//
//   - An id that is a number is taken by its digits. Without an id the event has "sha256:" and the hash
//     of its bytes, so that a repeat has the same one.
//   - Without a type it is [Unknown].
//   - The time may have a fraction, be text, be in milli-, micro- or nanoseconds, or as RFC 3339 has it.
//     Without one, or with one before 1970 or after 9999, it is time_ms of the properties, which some types
//     have, else now. Where both are there and agree, time_ms gives the milliseconds.
//   - An absent member, null and the empty text are the same. Numbers stand for their digits. Of a member
//     that is there twice, the last value that is not empty counts.
//   - [Redacted] as an id, of the event or of the user, is none: all events would be doubles of one. A hash is
//     one: nothing tells it from an id.
//   - No text is too long.
//
// The channel is that of the type; where that has none, as a change of subscription, it is what the
// property "channel" says.
//
// The object itself is kept as it is, names that are there twice included. Only where it is not proper
// Unicode, which Avro and many a reader refuse, U+FFFD takes the place of what is wrong.
//
// The result aliases raw, which must not change while it is in use.
func Read(raw []byte, workspace string, now time.Time) (event.Engagement, error) {
	raw = bytes.Trim(raw, " \t\r\n")
	doc, err := wellFormed(raw)
	if err != nil {
		return event.Engagement{}, err
	}
	r := reader{walker: walker{buf: doc}}
	r.e.ReceivedAt = now.UTC().Truncate(time.Millisecond)
	r.e.Workspace = workspace
	r.e.JSON = doc
	r.event()
	r.finish(raw)
	return r.e, nil
}

// wellFormed is raw where that is a valid object, else raw with proper Unicode.
func wellFormed(raw []byte) ([]byte, error) {
	if len(raw) == 0 || raw[0] != '{' {
		if jsontext.Value(raw).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			return nil, ErrNotObject
		}
	}
	if jsontext.Value(raw).IsValid(jsontext.AllowDuplicateNames(true)) {
		return raw, nil
	}
	mended, err := jsontext.AppendFormat(nil, raw, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("reading an event: %w", err)
	}
	return mended, nil
}

// reader fills an engagement from an event's JSON. It holds the engagement itself: a pointer beside the
// walker would count as escaping, and be an allocation for every event.
type reader struct {
	walker
	e event.Engagement

	channel   string // what the properties say
	time      []byte
	timeMilli []byte
}

func (r *reader) event() {
	r.enter('{')
	for first := true; ; first = false {
		name, ok := r.member(first)
		if !ok {
			return
		}
		nested := r.peek() == '{'
		switch string(name) {
		case "user":
			if nested {
				r.user()
				continue
			}
		case "properties":
			if nested {
				r.properties()
				continue
			}
		}
		value, _ := r.skip()
		switch string(name) {
		case "event_type":
			r.kind(value)
		case "id":
			setIdentity(&r.e.ID, value)
		case "time":
			r.time = value
		}
	}
}

// kind sets the type, which is one string for all events of a known type.
func (r *reader) kind(value []byte) {
	name := text(value)
	if k, ok := catalogue.byName[name]; ok {
		name = k.Name
	}
	if name != "" {
		r.e.Type = name
	}
}

func (r *reader) user() {
	r.enter('{')
	for first := true; ; first = false {
		name, ok := r.member(first)
		if !ok {
			return
		}
		value, _ := r.skip()
		switch string(name) {
		case "user_id":
			setIdentity(&r.e.User.BrazeID, value)
		case "external_user_id":
			setIdentity(&r.e.User.ExternalID, value)
		case "device_id":
			set(&r.e.DeviceID, value)
		}
	}
}

func (r *reader) properties() {
	r.enter('{')
	for first := true; ; first = false {
		name, ok := r.member(first)
		if !ok {
			return
		}
		value, _ := r.skip()
		switch string(name) {
		case "app_id":
			set(&r.e.AppID, value)
		case "campaign_id":
			set(&r.e.CampaignID, value)
		case "campaign_name":
			set(&r.e.CampaignName, value)
		case "message_variation_id":
			set(&r.e.MessageVariationID, value)
		case "canvas_id":
			set(&r.e.CanvasID, value)
		case "canvas_name":
			set(&r.e.CanvasName, value)
		case "canvas_variation_id":
			set(&r.e.CanvasVariationID, value)
		case "canvas_step_id":
			set(&r.e.CanvasStepID, value)
		case "canvas_step_message_variation_id", "canvas_step_message_variation_api_id":
			set(&r.e.CanvasStepMessageVariationID, value)
		case "send_id":
			set(&r.e.SendID, value)
		case "dispatch_id":
			set(&r.e.DispatchID, value)
		case "device_id": // belongs to the user, but was seen to wander
			if r.e.DeviceID == "" {
				set(&r.e.DeviceID, value)
			}
		case "channel":
			set(&r.channel, value)
		case "time_ms":
			r.timeMilli = value
		}
	}
}

func set(column *string, value []byte) {
	if s := text(value); s != "" {
		*column = s
	}
}

func setIdentity(column *string, value []byte) {
	if s := text(value); s != "" && s != Redacted {
		*column = s
	}
}

// finish says what the event did not.
func (r *reader) finish(raw []byte) {
	e := &r.e
	if e.ID == "" {
		sum := sha256.Sum256(raw)
		e.ID = "sha256:" + hex.EncodeToString(sum[:])
	}
	if e.Type == "" {
		e.Type = Unknown
	}
	if k, ok := catalogue.byName[e.Type]; ok {
		e.Channel = k.Channel
	} else {
		e.Channel = channelOf(e.Type)
	}
	if e.Channel == "" {
		e.Channel = r.channel
	}
	at, said := moment(r.time)
	exact, also := moment(r.timeMilli)
	switch {
	case also && (!said || exact.Unix() == at.Unix()):
		e.OccurredAt = exact
	case said:
		e.OccurredAt = at
	default:
		e.OccurredAt = e.ReceivedAt
	}
}
