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
	EventsTopic   = "customer.events"
	CommerceTopic = "commerce.events"
)

// Record is what a route looks at: a record of customer.events or one of commerce.events.
type Record struct {
	Event    *event.Event // exactly one of the two is set
	Commerce *event.Commerce
	// Backfill says that the record tells of the past and may wait. It wins over every priority that a
	// route gives: a route says what kind of message it is, the record that nobody waits for it.
	Backfill bool
}

// Topic is the record's topic, without a prefix.
func (r Record) Topic() string {
	if r.Commerce != nil {
		return CommerceTopic
	}
	return EventsTopic
}

// name and source are what routes are found by.
func (r Record) name() string {
	switch {
	case r.Commerce != nil:
		return string(r.Commerce.Type)
	case r.Event != nil:
		return r.Event.Name
	}
	return ""
}

func (r Record) source() string {
	switch {
	case r.Commerce != nil:
		return r.Commerce.Source
	case r.Event != nil:
		return r.Event.Source
	}
	return ""
}

// id is the record's idempotency key within its source.
func (r Record) id() string {
	if r.Commerce != nil {
		return r.Commerce.ID
	}
	return r.Event.ID
}

func (r Record) user() event.User {
	if r.Commerce != nil {
		return r.Commerce.User
	}
	return r.Event.User
}

// view is the record as jq sees it. The names are those of the topic's schema, so that what sluice tap
// shows is what an expression may ask for, with one liberty: JSON that stands as text in a field
// called *_json is an object here, and the ending is left out.
func (r Record) view() (map[string]any, error) {
	if r.Commerce != nil {
		return viewCommerce(r.Commerce)
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
