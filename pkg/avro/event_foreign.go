package avro

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// EventDecoder reads records of customer.events.
type EventDecoder = Decoder[event.Event]

// NewEventDecoder asks source for each schema id once.
func NewEventDecoder(source Source) *EventDecoder {
	return &EventDecoder{source: source, kind: eventKind}
}

var eventKind = kindOf(schema.CustomerEvents, []plan[event.Event]{readEvent1, readEvent}, checkEvent, fillEvent)

// wireUser is the part of a record that says whom it concerns, as the resolving decoder fills it.
type wireUser struct {
	UserID     string  `avro:"user_id"`
	ExternalID *string `avro:"external_id"`
	BrazeID    *string `avro:"braze_id"`
	AliasLabel *string `avro:"alias_label"`
	AliasName  *string `avro:"alias_name"`
	Email      *string `avro:"email"`
	Phone      *string `avro:"phone"`
}

func (w *wireUser) user() event.User {
	return event.User{
		ExternalID: orEmpty(w.ExternalID), BrazeID: orEmpty(w.BrazeID),
		AliasLabel: orEmpty(w.AliasLabel), AliasName: orEmpty(w.AliasName),
		Email: orEmpty(w.Email), Phone: orEmpty(w.Phone),
	}
}

// wireEvent is version 1 of customer.events, as the resolving decoder fills it.
type wireEvent struct {
	wireUser
	EventID        string    `avro:"event_id"`
	EventName      string    `avro:"event_name"`
	EventKind      string    `avro:"event_kind"`
	OccurredAt     time.Time `avro:"occurred_at"`
	ReceivedAt     time.Time `avro:"received_at"`
	Source         string    `avro:"source"`
	PropertiesJSON *string   `avro:"properties_json"`
	AttributesJSON *string   `avro:"attributes_json"`
	AppID          *string   `avro:"app_id"`
	BrazeDisabled  *bool     `avro:"braze_disabled"`
	IdentifiedAs   *string   `avro:"identified_as"`
}

func fillEvent(w *wireEvent, e *event.Event) (userID string, err error) {
	*e = event.Event{
		ID: w.EventID, User: w.user(),
		Name: w.EventName, Kind: w.EventKind,
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(),
		Source: w.Source, AppID: orEmpty(w.AppID),
		Properties: orNil(w.PropertiesJSON), Attributes: orNil(w.AttributesJSON),
		IdentifiedAs:  orEmpty(w.IdentifiedAs),
		BrazeDisabled: w.BrazeDisabled != nil && *w.BrazeDisabled,
	}
	return w.UserID, nil
}
