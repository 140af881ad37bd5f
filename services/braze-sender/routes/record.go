package routes

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// The topics whose records are routed, as a route file names them: without TOPIC_PREFIX.
const (
	EventsTopic     = "customer.events"
	CommerceTopic   = "commerce.events"
	AttributesTopic = "braze.attributes"
	CasesTopic      = "support.cases"
)

// Topics are all of them.
func Topics() []string { return []string{EventsTopic, CommerceTopic, AttributesTopic, CasesTopic} }

// Record is what a route looks at: a record of one of the topics.
type Record struct {
	Event    *event.Event // exactly one of the three is set
	Commerce *event.Commerce
	Case     *event.Case
	// Update is a record of braze.attributes, and Event then what it triggers; see [OfUpdate].
	Update *event.Update
	// Backfill says that the record tells of the past and may wait. It wins over every priority that a
	// route gives: a route says what kind of message it is, the record that nobody waits for it.
	Backfill bool
}

// OfUpdate is a record of braze.attributes. What it triggers is an event with the trigger's name, of the
// system that the newest of its causes comes from; without a trigger the event has no name, and no route
// wants it.
func OfUpdate(u *event.Update) Record {
	e := &event.Event{
		ID: u.ID, User: u.User, Name: u.Trigger, Kind: event.KindTrack, OccurredAt: u.OccurredAt, ReceivedAt: u.DecidedAt,
		Properties: u.Properties, Attributes: u.Attributes,
	}
	if n := len(u.Causes); n > 0 {
		e.Source = u.Causes[n-1].Source
	}
	return Record{Event: e, Update: u}
}

// Topic is the record's topic, without a prefix.
func (r Record) Topic() string {
	switch {
	case r.Commerce != nil:
		return CommerceTopic
	case r.Case != nil:
		return CasesTopic
	case r.Update != nil:
		return AttributesTopic
	}
	return EventsTopic
}

// name and source are what routes are found by.
func (r Record) name() string {
	switch {
	case r.Commerce != nil:
		return string(r.Commerce.Type)
	case r.Case != nil:
		return string(r.Case.Event)
	case r.Event != nil:
		return r.Event.Name
	}
	return ""
}

func (r Record) source() string {
	switch {
	case r.Commerce != nil:
		return r.Commerce.Source
	case r.Case != nil:
		return r.Case.Source
	case r.Event != nil:
		return r.Event.Source
	}
	return ""
}

// id is the record's idempotency key within its source.
func (r Record) id() string {
	switch {
	case r.Commerce != nil:
		return r.Commerce.ID
	case r.Case != nil:
		return r.Case.ID
	}
	return r.Event.ID
}

// User is whom the record concerns.
func (r Record) User() *event.User {
	switch {
	case r.Commerce != nil:
		return &r.Commerce.User
	case r.Case != nil:
		return &r.Case.User
	}
	return &r.Event.User
}

// When is the moment that the record tells of, and in which app, where it says so.
func (r Record) When() (at time.Time, appID string) {
	switch {
	case r.Commerce != nil:
		return r.Commerce.OccurredAt, r.Commerce.AppID
	case r.Case != nil:
		return r.Case.OccurredAt, ""
	}
	return r.Event.OccurredAt, r.Event.AppID
}

// view is the record as jq sees it. The names are those of the topic's schema, so that what sluice tap
// shows is what an expression may ask for, with one liberty: JSON that stands as text in a field
// called *_json is an object here, and the ending is left out.
func (r Record) view() (map[string]any, error) {
	switch {
	case r.Commerce != nil:
		return viewCommerce(r.Commerce)
	case r.Case != nil:
		return viewCase(r.Case)
	case r.Update != nil:
		return viewUpdate(r.Update, r.Event.Source)
	}
	return viewEvent(r.Event)
}

func viewEvent(e *event.Event) (map[string]any, error) {
	v := viewUser(e.User)
	v["topic"] = EventsTopic
	v["event_id"] = e.ID
	v["event_name"] = e.Name
	v["event_kind"] = e.Kind
	v["occurred_at"] = moment(e.OccurredAt)
	v["received_at"] = moment(e.ReceivedAt)
	v["source"] = e.Source
	v["app_id"] = given(e.AppID)
	var err error
	if v["properties"], err = viewJSON("properties", e.Properties); err != nil {
		return nil, err
	}
	v["attributes"], err = viewJSON("attributes", e.Attributes)
	return v, err
}

// viewUpdate has one name more than the schema: the source, by which routes are found as well.
func viewUpdate(u *event.Update, source string) (map[string]any, error) {
	v := viewUser(u.User)
	v["topic"] = AttributesTopic
	v["event_id"] = u.ID
	v["trigger_name"] = given(u.Trigger)
	v["occurred_at"] = moment(u.OccurredAt)
	v["decided_at"] = moment(u.DecidedAt)
	v["source"] = given(source)
	v["data_points"] = int(u.DataPoints)
	causes := make([]any, len(u.Causes))
	for i, c := range u.Causes {
		causes[i] = map[string]any{
			"event_id": c.ID, "source": c.Source, "source_topic": c.Topic, "source_partition": int(c.Partition), "source_offset": int(c.Offset),
		}
	}
	v["causes"] = causes
	var err error
	if v["properties"], err = viewJSON("properties", u.Properties); err != nil {
		return nil, err
	}
	v["attributes"], err = viewJSON("attributes", u.Attributes)
	return v, err
}

func viewCase(c *event.Case) (map[string]any, error) {
	v := viewUser(c.User)
	v["topic"] = CasesTopic
	v["event_id"] = c.ID
	v["case_id"] = c.CaseID
	v["case_event"] = string(c.Event)
	v["occurred_at"] = moment(c.OccurredAt)
	v["received_at"] = moment(c.ReceivedAt)
	v["source"] = c.Source
	v["severity"] = given(string(c.Severity))
	v["rating"] = nil
	if c.Rating != nil {
		v["rating"] = int(*c.Rating)
	}
	v["channel"] = given(c.Channel)
	var err error
	v["metadata"], err = viewJSON("metadata", c.Metadata)
	return v, err
}

func viewCommerce(c *event.Commerce) (map[string]any, error) {
	v := viewUser(c.User)
	v["topic"] = CommerceTopic
	v["event_id"] = c.ID
	v["event_type"] = string(c.Type)
	v["occurred_at"] = moment(c.OccurredAt)
	v["received_at"] = moment(c.ReceivedAt)
	v["source"] = c.Source
	v["app_id"] = given(c.AppID)
	v["order_id"] = given(c.OrderID)
	v["cart_id"] = given(c.CartID)
	v["checkout_id"] = given(c.CheckoutID)
	v["currency"] = given(c.Currency)
	v["reason"] = given(c.Reason)
	v["due_at"] = moment(c.DueAt)
	v["carrier"] = given(c.Carrier)
	v["tracking"] = given(c.Tracking)
	for name, amount := range map[string]event.Money{"total": c.Total, "subtotal": c.Subtotal, "tax": c.Tax, "shipping": c.Shipping} {
		v[name] = money(amount)
	}
	discounts := make([]any, len(c.Discounts))
	for i, d := range c.Discounts {
		discounts[i] = map[string]any{"code": given(d.Code), "amount": money(d.Amount), "discount_type": given(d.Type)}
	}
	v["discounts"] = discounts
	lines := make([]any, len(c.Lines))
	for i, l := range c.Lines {
		metadata, err := viewJSON(fmt.Sprintf("lines[%d].metadata", i), l.Metadata)
		if err != nil {
			return nil, err
		}
		lines[i] = map[string]any{
			"product_id": given(l.ProductID), "product_name": given(l.ProductName), "variant_id": given(l.VariantID), "quantity": int(l.Quantity),
			"price": money(l.Price), "image_url": given(l.ImageURL), "product_url": given(l.ProductURL), "metadata": metadata,
		}
	}
	v["lines"] = lines
	var err error
	v["metadata"], err = viewJSON("metadata", c.Metadata)
	return v, err
}

func viewUser(u event.User) map[string]any {
	return map[string]any{
		"user_id": u.Key(), "external_id": given(u.ExternalID), "braze_id": given(u.BrazeID),
		"alias_label": given(u.AliasLabel), "alias_name": given(u.AliasName), "email": given(u.Email), "phone": given(u.Phone),
	}
}

// given is a text, and null where there is none.
func given(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// money is an amount as the number that it is.
func money(m event.Money) any {
	if _, ok := m.Amount(); !ok {
		return given(string(m)) // nothing, or what cannot have come out of Avro
	}
	return json.Number(m)
}

func moment(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

func viewJSON(field string, text []byte) (any, error) {
	if len(text) == 0 {
		return nil, nil
	}
	v, err := parseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %s", field, brief(strings.TrimPrefix(err.Error(), "jsontext: ")))
	}
	return v, nil
}
