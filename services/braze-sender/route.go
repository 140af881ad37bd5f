package brazesender

import (
	"bytes"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// send is what read and route say of a record that has to be sent.
var send = outcome.Outcome{}

// route decides what becomes of an event: send it (the zero Outcome), skip it, or refuse it before
// Braze does, with the field named. It fills what the item needs on its way.
func (s *Sender) route(it *item, now time.Time) outcome.Outcome {
	e := &it.event
	switch {
	case e.BrazeDisabled:
		return outcome.Outcome{Kind: outcome.Skipped, Reason: "integration_disabled", Detail: "the source asked that Braze should not see this event"}
	case (e.Kind == event.KindPage || e.Kind == event.KindScreen) && !s.config.Sender.PageEvents:
		return outcome.Outcome{Kind: outcome.Skipped, Reason: "page_view", Detail: "page and screen views are sent only with BRAZE_PAGE_EVENTS=true"}
	}
	if refusal := checkEvent(e); refusal != nil {
		return *refusal
	}
	if e.OccurredAt.After(now) {
		e.OccurredAt = now // as Braze would: a customer's clock may be ahead
	}
	if e.Attributes != nil {
		attributes, err := parseAttributes(e.Attributes, e.User)
		if err != nil {
			return invalid("attributes", err.Error())
		}
		it.attributes = attributes
	}
	if it.size() > braze.MaxBody-1024 {
		return invalid("record", fmt.Sprintf("it may need more than the %d bytes of a request", braze.MaxBody))
	}
	return send
}

func invalid(field, rule string) outcome.Outcome {
	return outcome.Outcome{Kind: outcome.Refused, Reason: "invalid", Detail: field + ": " + rule}
}

// maxID bounds an event's id: it stands in the receipt, which has to fit whatever the record was.
const maxID = 1_000

// checkEvent holds an event to what Braze documents, and its JSON to being JSON: whoever writes to
// the topic may have put anything there, and it is copied into a request that others share.
func checkEvent(e *event.Event) *outcome.Outcome {
	refuse := func(field, rule string) *outcome.Outcome {
		o := invalid(field, rule)
		return &o
	}
	switch {
	case len(e.ID) > maxID:
		return refuse("event_id", fmt.Sprintf("longer than %d bytes", maxID))
	case len(e.User.ExternalID) > braze.MaxExternalID:
		return refuse("external_id", fmt.Sprintf("longer than %d bytes", braze.MaxExternalID))
	case e.User.ExternalID == "" && e.User.BrazeID == "" && (e.User.AliasName == "") != (e.User.AliasLabel == ""):
		return refuse("alias", "label and name are both needed")
	case e.Name == "":
		return refuse("event_name", "empty")
	case len(e.Name) > braze.MaxNameLen:
		return refuse("event_name", fmt.Sprintf("longer than %d bytes", braze.MaxNameLen))
	case e.OccurredAt.Year() < 0 || e.OccurredAt.Year() > 3000:
		return refuse("occurred_at", "outside the years 0 to 3000")
	case e.Properties != nil && len(e.Properties) == 0:
		return refuse("properties_json", "empty: null or a JSON object")
	case e.Attributes != nil && len(e.Attributes) == 0:
		return refuse("attributes_json", "empty: null or a JSON object")
	}
	v := braze.CheckProperties(e.Properties)
	if v == nil {
		v = braze.CheckAttributes(e.Attributes)
	}
	if v != nil {
		o := outcome.Outcome{Kind: outcome.Refused, Reason: "invalid", Detail: v.Error()}
		return &o
	}
	return nil
}

// attribute is one member of an attributes object.
type attribute struct {
	key      string
	value    []byte
	operator bool // an object such as {"inc": 1} that builds on the value Braze has
}

// parseAttributes takes a valid attributes object apart.
func parseAttributes(object []byte, user event.User) ([]attribute, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	identifier := secondary(user)
	var list []attribute
	for d.PeekKind() == '"' {
		tok, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		key := tok.String()
		if key == identifier {
			return nil, fmt.Errorf("%s identifies this user and cannot be set beside it", key)
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		list = append(list, attribute{key: key, value: bytes.Clone(value), operator: isOperator(value)})
	}
	return list, nil
}

// secondary is the profile field that identifies a user who has no stronger identifier.
func secondary(u event.User) string {
	switch {
	case u.ExternalID != "" || u.BrazeID != "" || u.AliasName != "":
		return ""
	case u.Email != "":
		return "email"
	default:
		return "phone"
	}
}

// operators are the members by which Braze tells an update of a value from a new value
// (braze-docs: user_attributes_object, array_of_objects).
var operators = []string{"inc", "add", "remove", "$add", "$remove", "$update"}

func isOperator(value jsontext.Value) bool {
	if value.Kind() != '{' {
		return false
	}
	for _, op := range operators {
		if bytes.Contains(value, []byte(`"`+op+`"`)) {
			return true // a nested object that merely has such a name is treated with the same care
		}
	}
	return false
}
