package routes

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// ParseRecord reads a record's value as sluice tap shows it: JSON with the fields of the topic's
// schema. What stands as text in a field called *_json may also stand as JSON in one without that
// ending. Fields that the schema does not have are ignored.
func ParseRecord(topic string, value []byte) (Record, error) {
	return parseRecord(topic, value, json.RejectUnknownMembers(false))
}

func parseRecord(topic string, value []byte, unknown json.Options) (Record, error) {
	options := json.JoinOptions(unknown, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var err error
	switch topic {
	case EventsTopic:
		var f eventFields
		if err = json.Unmarshal(value, &f, options); err == nil {
			return Record{Event: f.event()}, nil
		}
	case CommerceTopic:
		var f commerceFields
		if err = json.Unmarshal(value, &f, options); err == nil {
			return Record{Commerce: f.commerce()}, nil
		}
	case AttributesTopic:
		var f updateFields
		if err = json.Unmarshal(value, &f, options); err == nil {
			return OfUpdate(f.update()), nil
		}
	case CasesTopic:
		var f caseFields
		if err = json.Unmarshal(value, &f, options); err == nil {
			return Record{Case: f.supportCase()}, nil
		}
	default:
		return Record{}, fmt.Errorf("reading record: topic %q is none of %s", topic, strings.Join(Topics(), ", "))
	}
	return Record{}, fmt.Errorf("reading record: %w", readable(err))
}

// readable says what is wrong with JSON without saying which of Go's types it was meant for.
func readable(err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return err
	}
	at := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return fmt.Errorf("%s: the record has no such field", at)
	case semantic.Err != nil:
		return fmt.Errorf("%s: %w", at, semantic.Err)
	}
	return fmt.Errorf("%s: a JSON value of another type is wanted", at)
}

// userFields and those below are records as JSON. Null is as good as absent.
type userFields struct {
	UserID     string `json:"user_id"` // follows from the others
	ExternalID string `json:"external_id"`
	BrazeID    string `json:"braze_id"`
	AliasLabel string `json:"alias_label"`
	AliasName  string `json:"alias_name"`
	Email      string `json:"email"`
	Phone      string `json:"phone"`
}

func (f userFields) user() event.User {
	return event.User{
		ExternalID: f.ExternalID, BrazeID: f.BrazeID, AliasLabel: f.AliasLabel, AliasName: f.AliasName, Email: f.Email, Phone: f.Phone,
	}
}

type originFields struct {
	Topic         string `json:"topic"` // so that what an expression sees can be read back
	EventID       string `json:"event_id"`
	OccurredAt    when   `json:"occurred_at"`
	ReceivedAt    when   `json:"received_at"`
	Source        string `json:"source"`
	AppID         string `json:"app_id"`
	BrazeDisabled bool   `json:"braze_disabled"`
}

type eventFields struct {
	userFields
	originFields
	EventName      string         `json:"event_name"`
	EventKind      string         `json:"event_kind"`
	Properties     jsontext.Value `json:"properties"`
	PropertiesText string         `json:"properties_json"`
	Attributes     jsontext.Value `json:"attributes"`
	AttributesText string         `json:"attributes_json"`
}

func (f *eventFields) event() *event.Event {
	return &event.Event{
		ID: f.EventID, User: f.user(), Name: f.EventName, Kind: f.EventKind,
		OccurredAt: f.OccurredAt.Time, ReceivedAt: f.ReceivedAt.Time, Source: f.Source, AppID: f.AppID,
		Properties: either(f.Properties, f.PropertiesText), Attributes: either(f.Attributes, f.AttributesText), BrazeDisabled: f.BrazeDisabled,
	}
}

type updateFields struct {
	userFields
	Topic          string           `json:"topic"`
	EventID        string           `json:"event_id"`
	OccurredAt     when             `json:"occurred_at"`
	DecidedAt      when             `json:"decided_at"`
	Source         string           `json:"source"` // follows from the causes, and stands for one where there are none
	TriggerName    string           `json:"trigger_name"`
	Properties     jsontext.Value   `json:"properties"`
	PropertiesText string           `json:"properties_json"`
	Attributes     jsontext.Value   `json:"attributes"`
	AttributesText string           `json:"attributes_json"`
	DataPoints     int64            `json:"data_points"`
	Causes         []causeFields    `json:"causes"`
	Declined       []declinedFields `json:"declined"`
}

type causeFields struct {
	EventID   string `json:"event_id"`
	Source    string `json:"source"`
	Topic     string `json:"source_topic"`
	Partition int32  `json:"source_partition"`
	Offset    int64  `json:"source_offset"`
}

// declinedFields are read only so that they are known: what did not happen triggers nothing.
type declinedFields struct {
	EventID string `json:"event_id"`
	Source  string `json:"source"`
	Field   string `json:"field"`
	Reason  string `json:"reason"`
	Detail  string `json:"detail"`
}

func (f *updateFields) update() *event.Update {
	u := &event.Update{
		ID: f.EventID, User: f.user(), OccurredAt: f.OccurredAt.Time, DecidedAt: f.DecidedAt.Time,
		Attributes: either(f.Attributes, f.AttributesText), Trigger: f.TriggerName, Properties: either(f.Properties, f.PropertiesText),
		DataPoints: f.DataPoints,
	}
	for _, c := range f.Causes {
		u.Causes = append(u.Causes, event.Cause{ID: c.EventID, Source: c.Source, Topic: c.Topic, Partition: c.Partition, Offset: c.Offset})
	}
	if len(u.Causes) == 0 && f.Source != "" {
		u.Causes = []event.Cause{{Source: f.Source}}
	}
	return u
}

type caseFields struct {
	userFields
	Topic        string         `json:"topic"`
	EventID      string         `json:"event_id"`
	CaseID       string         `json:"case_id"`
	CaseEvent    string         `json:"case_event"`
	OccurredAt   when           `json:"occurred_at"`
	ReceivedAt   when           `json:"received_at"`
	Source       string         `json:"source"`
	Severity     string         `json:"severity"`
	Rating       *int64         `json:"rating"`
	Channel      string         `json:"channel"`
	Metadata     jsontext.Value `json:"metadata"`
	MetadataText string         `json:"metadata_json"`
}

func (f *caseFields) supportCase() *event.Case {
	return &event.Case{
		ID: f.EventID, User: f.user(), CaseID: f.CaseID, Event: event.CaseEvent(f.CaseEvent), Severity: event.Severity(f.Severity),
		Rating: f.Rating, Channel: f.Channel, OccurredAt: f.OccurredAt.Time, ReceivedAt: f.ReceivedAt.Time, Source: f.Source,
		Metadata: either(f.Metadata, f.MetadataText),
	}
}

type commerceFields struct {
	userFields
	originFields
	EventType    string           `json:"event_type"`
	OrderID      string           `json:"order_id"`
	CartID       string           `json:"cart_id"`
	CheckoutID   string           `json:"checkout_id"`
	Currency     string           `json:"currency"`
	Total        amount           `json:"total"`
	Subtotal     amount           `json:"subtotal"`
	Tax          amount           `json:"tax"`
	Shipping     amount           `json:"shipping"`
	Discounts    []discountFields `json:"discounts"`
	Lines        []lineFields     `json:"lines"`
	Reason       string           `json:"reason"`
	DueAt        when             `json:"due_at"`
	Carrier      string           `json:"carrier"`
	Tracking     string           `json:"tracking"`
	Metadata     jsontext.Value   `json:"metadata"`
	MetadataText string           `json:"metadata_json"`
}

type discountFields struct {
	Code   string `json:"code"`
	Amount amount `json:"amount"`
	Type   string `json:"discount_type"`
}

type lineFields struct {
	ProductID    string         `json:"product_id"`
	ProductName  string         `json:"product_name"`
	VariantID    string         `json:"variant_id"`
	Quantity     int64          `json:"quantity"`
	Price        amount         `json:"price"`
	ImageURL     string         `json:"image_url"`
	ProductURL   string         `json:"product_url"`
	Metadata     jsontext.Value `json:"metadata"`
	MetadataText string         `json:"metadata_json"`
}

func (f *commerceFields) commerce() *event.Commerce {
	c := &event.Commerce{
		ID: f.EventID, User: f.user(), Type: event.CommerceType(f.EventType),
		OccurredAt: f.OccurredAt.Time, ReceivedAt: f.ReceivedAt.Time, Source: f.Source, AppID: f.AppID,
		OrderID: f.OrderID, CartID: f.CartID, CheckoutID: f.CheckoutID, Currency: f.Currency,
		Total: f.Total.Money, Subtotal: f.Subtotal.Money, Tax: f.Tax.Money, Shipping: f.Shipping.Money,
		Reason: f.Reason, DueAt: f.DueAt.Time, Carrier: f.Carrier, Tracking: f.Tracking,
		Metadata: either(f.Metadata, f.MetadataText), BrazeDisabled: f.BrazeDisabled,
	}
	for _, d := range f.Discounts {
		c.Discounts = append(c.Discounts, event.Discount{Code: d.Code, Amount: d.Amount.Money, Type: d.Type})
	}
	for _, l := range f.Lines {
		c.Lines = append(c.Lines, event.Line{
			ProductID: l.ProductID, ProductName: l.ProductName, VariantID: l.VariantID, Quantity: l.Quantity, Price: l.Price.Money,
			ImageURL: l.ImageURL, ProductURL: l.ProductURL, Metadata: either(l.Metadata, l.MetadataText),
		})
	}
	return c
}

// either is JSON that stands as itself or as text; null is neither.
func either(value jsontext.Value, text string) []byte {
	switch {
	case text != "":
		return []byte(text)
	case value.Kind() == 'n' || len(value) == 0:
		return nil
	}
	return value
}

// when is a moment as RFC 3339, or null.
type when struct{ time.Time }

// UnmarshalJSON reads it.
func (w *when) UnmarshalJSON(text []byte) error {
	value := jsontext.Value(text)
	if value.Kind() == 'n' {
		return nil
	}
	t, err := time.Parse(`"`+time.RFC3339+`"`, string(text))
	if err != nil {
		return errors.New("want a moment such as 2026-03-02T09:15:04.210Z")
	}
	w.Time = t.UTC()
	return nil
}

// amount is a sum of money as a JSON number, or as a text that is one, without the zeros at its end
// that Avro does not keep.
type amount struct{ event.Money }

// UnmarshalJSON reads it.
func (a *amount) UnmarshalJSON(text []byte) error {
	value := jsontext.Value(text)
	if value.Kind() == 'n' {
		return nil
	}
	m, ok := event.ParseMoney(strings.Trim(string(text), `"`))
	if !ok {
		return errors.New("want an amount such as 84.90")
	}
	exact, _ := m.Amount()
	a.Money = exact.Money()
	return nil
}
