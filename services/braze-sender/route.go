package brazesender

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// send is what read and route say of a record that has to be sent.
var send = outcome.Outcome{}

// drafts is what the items of one Take are made in: their parts and the bytes of their objects.
type drafts struct {
	now         time.Time
	event       event.Event    // the record at hand
	commerce    event.Commerce // likewise, one of commerce.events
	update      event.Update   // likewise, one of braze.attributes
	supportCase event.Case     // likewise, one of support.cases
	notes       notes          // likewise
	parts       []part
	bytes       []byte
	scratch     []byte // for hashing
}

// newDrafts makes room for the records that are lent.
func newDrafts(lent []stream.Delivery) *drafts {
	size := 64 * len(lent) // an object is a little longer than its record
	for _, d := range lent {
		size += len(d.Value())
	}
	return &drafts{now: time.Now(), parts: make([]part, 0, len(lent)), bytes: make([]byte, 0, size)}
}

// object returns what append adds to the drafts' bytes.
func (d *drafts) object(appendTo func(dst []byte) []byte) []byte {
	from := len(d.bytes)
	d.bytes = appendTo(d.bytes)
	return d.bytes[from:len(d.bytes):len(d.bytes)]
}

// route decides what becomes of an event: send it (the zero Outcome), skip it, or refuse it before
// Braze does, with the field named. What is to be sent stands in the item's parts then.
func (s *Sender) route(it *item, d *drafts) outcome.Outcome {
	e := &d.event
	switch {
	case e.Kind == event.KindErase: // also of somebody whom Braze should not have seen
		return s.routePerson(it, d)
	case e.BrazeDisabled:
		return integrationDisabled
	case e.Kind == event.KindIdentify:
		return s.routePerson(it, d)
	case (e.Kind == event.KindPage || e.Kind == event.KindScreen) && !s.config.Sender.PageEvents:
		return outcome.Outcome{Kind: outcome.Skipped, Reason: "page_view", Detail: "page and screen views are sent only with BRAZE_PAGE_EVENTS=true"}
	}
	if refusal := checkEvent(e); refusal != nil {
		return *refusal
	}
	if e.OccurredAt.After(d.now) {
		e.OccurredAt = d.now // as Braze would: a customer's clock may be ahead
	}
	return s.plan(it, d, routes.Record{Event: e, Backfill: d.notes.backfill})
}

// routeCommerce is route for a commerce event.
func (s *Sender) routeCommerce(it *item, d *drafts) outcome.Outcome {
	c := &d.commerce
	if c.BrazeDisabled {
		return integrationDisabled
	}
	if refusal := checkUser(c.ID, &c.User); refusal != nil {
		return *refusal
	}
	if c.OccurredAt.After(d.now) {
		c.OccurredAt = d.now
	}
	what := s.plan(it, d, routes.Record{Commerce: c, Backfill: d.notes.backfill})
	if what == send {
		if it.order = orderOf(c); it.order != nil {
			it.order.replayed, it.order.bytes = d.notes.replayed, int64(len(it.delivery.Value()))
		}
	}
	return what
}

// routeCase is route for a support case: what follows from it is told by braze.attributes, so that nothing is
// sent of it but what a route wants at once.
func (s *Sender) routeCase(it *item, d *drafts) outcome.Outcome {
	c := &d.supportCase
	if refusal := checkUser(c.ID, &c.User); refusal != nil {
		return *refusal
	}
	if c.OccurredAt.After(d.now) {
		c.OccurredAt = d.now
	}
	return s.plan(it, d, routes.Record{Case: c, Backfill: d.notes.backfill})
}

var integrationDisabled = outcome.Outcome{Kind: outcome.Skipped, Reason: "integration_disabled", Detail: "the source asked that Braze should not see this event"}

// notes are what a record's headers say of how it is to be treated.
type notes struct {
	backfill bool // whatever is happening now goes before it
	replayed bool // somebody had it sent once more, on purpose
	done     int  // parts that Braze had before it was refused
}

// readNotes reads them. Others' headers, and nonsense in ours, are passed over.
func readNotes(headers []stream.Header) (n notes) {
	for _, h := range headers {
		switch h.Key {
		case "replayed-from":
			n.replayed, n.backfill = true, true
		case "priority":
			n.backfill = n.backfill || string(h.Value) == "backfill"
		case partsDone:
			if done, err := strconv.Atoi(string(h.Value)); err == nil {
				n.done = max(done, 0)
			}
		}
	}
	if !n.replayed {
		n.done = 0 // it stands in dead letters only: whoever else writes it has sent Braze nothing
	}
	return n
}

// plan asks the routes what becomes of a record, and makes its parts.
func (s *Sender) plan(it *item, d *drafts, r routes.Record) outcome.Outcome {
	actions, err := s.routes.Apply(r)
	if err != nil {
		return outcome.Outcome{Kind: outcome.Refused, Reason: routes.ReasonFailed, Detail: err.Error()}
	}
	if actions[0].Kind == routes.Skip {
		reason := routes.ReasonSkipped
		if actions[0].Route == "" {
			reason = routes.ReasonUnrouted
		}
		return outcome.Outcome{Kind: outcome.Skipped, Reason: reason, Detail: actions[0].Reason}
	}
	from := len(d.parts)
	for i := range actions {
		if err := s.ask(d, r, &actions[i]); err != nil {
			d.parts = d.parts[:from]
			return outcome.Outcome{Kind: outcome.Refused, Reason: "invalid", Detail: err.Error()}
		}
	}
	it.parts = d.parts[from:len(d.parts):len(d.parts)]
	if len(it.parts) == 0 {
		return nothingToSend
	}
	for i := range it.parts {
		if p := &it.parts[i]; p.size() > p.line.bytes-1024 {
			return invalid("record", fmt.Sprintf("it may need more than the %d bytes of a request", p.line.bytes))
		}
	}
	return send
}

// park reports whether a part is given up, rather than perhaps doubled, when nobody knows whether Braze
// has it.
func (s *Sender) park(d routes.InDoubt) bool {
	return d == routes.Park || d == routes.Unsaid && s.config.Sender.InDoubt == "park"
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
	if refusal := checkUser(e.ID, &e.User); refusal != nil {
		return refusal
	}
	switch {
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

// checkUser holds what a record says of whom it concerns to what Braze documents.
func checkUser(id string, u *event.User) *outcome.Outcome {
	refuse := func(field, rule string) *outcome.Outcome {
		o := invalid(field, rule)
		return &o
	}
	switch {
	case len(id) > maxID:
		return refuse("event_id", fmt.Sprintf("longer than %d bytes", maxID))
	case len(u.ExternalID) > braze.MaxExternalID:
		return refuse("external_id", fmt.Sprintf("longer than %d bytes", braze.MaxExternalID))
	case u.ExternalID == "" && u.BrazeID == "" && (u.AliasName == "") != (u.AliasLabel == ""):
		return refuse("alias", "label and name are both needed")
	}
	return nil
}

// attribute is one member of an attributes object.
type attribute struct {
	key      string
	value    []byte
	operator bool // an object such as {"inc": 1} that builds on the value Braze has
	grows    bool // likewise, with another end each time that it is applied
}

// mergeObjects is the name of a flag beside attributes: objects are laid over those that are there
// (braze-docs: nested_custom_attribute_support).
const mergeObjects = "_merge_objects"

// parseAttributes takes a valid attributes object apart. With merge their objects build on what is there.
func parseAttributes(object []byte, user event.User) (list []attribute, merge bool, err error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true))
	if _, err := d.ReadToken(); err != nil {
		return nil, false, err
	}
	identifier := secondary(user)
	for d.PeekKind() == '"' {
		tok, err := d.ReadToken()
		if err != nil {
			return nil, false, err
		}
		key := tok.String()
		if key == identifier {
			return nil, false, fmt.Errorf("%s identifies this user and cannot be set beside it", key)
		}
		value, err := d.ReadValue()
		if err != nil {
			return nil, false, err
		}
		if key == mergeObjects {
			if merge = value.Kind() == 't'; !merge && value.Kind() != 'f' {
				return nil, false, fmt.Errorf("%s: true or false", key)
			}
			continue
		}
		list = append(list, attribute{key: key, value: bytes.Clone(value), operator: mentions(value, operators), grows: mentions(value, growing)})
	}
	for i := range list {
		list[i].operator = list[i].operator || merge && jsontext.Value(list[i].value).Kind() == '{'
	}
	return list, merge, nil
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
// (braze-docs: user_attributes_object, array_of_objects). Those that are growing do not end in the same
// state when they are repeated; of the others it is our reading, not Braze's word.
var (
	operators = [][]byte{[]byte(`"inc"`), []byte(`"add"`), []byte(`"remove"`), []byte(`"$add"`), []byte(`"$remove"`), []byte(`"$update"`)}
	growing   = [][]byte{[]byte(`"inc"`), []byte(`"$add"`)}
)

// mentions reports whether a value is an object with one of the names in it. A nested object that merely
// has such a name is treated with the same care.
func mentions(value jsontext.Value, names [][]byte) bool {
	return value.Kind() == '{' && slices.ContainsFunc(names, func(name []byte) bool { return bytes.Contains(value, name) })
}
