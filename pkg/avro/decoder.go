package avro

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

// EventDecoder reads records of customer.events, whoever wrote them. It may be shared.
type EventDecoder struct {
	source Source
	plans  sync.Map // schema id → eventPlan; ids never change their meaning
}

// eventPlan reads a body written with one schema.
type eventPlan func(body []byte, e *event.Event) (userID string, err error)

// NewEventDecoder asks source for each schema id once.
func NewEventDecoder(source Source) *EventDecoder { return &EventDecoder{source: source} }

// Decode reads a record's value into e, which aliases it, and returns the user_id it states. An
// *Unreadable error is final; any other says that the registry could not be asked.
func (d *EventDecoder) Decode(ctx context.Context, value []byte, e *event.Event) (userID string, err error) {
	id, body, err := Split(value)
	if err != nil {
		return "", err
	}
	plan, ok := d.plans.Load(id)
	if !ok {
		if plan, err = d.learn(ctx, id); err != nil {
			return "", err
		}
	}
	return plan.(eventPlan)(body, e)
}

// Known reports whether a value can be judged without asking the source.
func (d *EventDecoder) Known(value []byte) bool {
	id, _, err := Split(value)
	if err != nil {
		return true
	}
	_, ok := d.plans.Load(id)
	return ok
}

func (d *EventDecoder) learn(ctx context.Context, id int) (eventPlan, error) {
	text, err := d.source.SchemaByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("looking up schema %d: %w", id, err)
	}
	plan := planFor(text)
	d.plans.Store(id, plan)
	return plan, nil
}

// planFor finds the way to read what was written with a schema: by hand where it is our own, through
// resolution where it is another that ours can read, not at all otherwise.
func planFor(text string) eventPlan {
	if same(text, eventText) {
		return readEvent
	}
	resolved, err := resolve(text)
	if err != nil {
		refusal := &Unreadable{Reason: "incompatible_schema", Detail: err.Error()}
		return func([]byte, *event.Event) (string, error) { return "", refusal }
	}
	return func(body []byte, e *event.Event) (string, error) {
		var w wireEvent
		rest, err := resolved.Decode(body, &w)
		if err != nil {
			return "", &Unreadable{Reason: "undecodable", Detail: err.Error()}
		}
		if len(rest) > 0 {
			return "", &Unreadable{Reason: "undecodable", Detail: "bytes are left over behind the last field"}
		}
		w.fill(e)
		return w.UserID, nil
	}
}

var (
	eventText   = schemas.Latest(schema.CustomerEvents)
	eventSchema = avro.MustParse(eventText)
)

// resolve prepares reading what was written with a foreign schema as our own newest version.
func resolve(text string) (*avro.Schema, error) {
	writer, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the writer's schema: %w", err)
	}
	resolved, err := avro.Resolve(writer, eventSchema)
	if err != nil {
		return nil, fmt.Errorf("reading the writer's schema with ours: %w", err)
	}
	return resolved, checkTimes(writer.Root())
}

// checkTimes refuses times of another unit. To the resolution a long is a long: it would take
// microseconds for milliseconds and put an event into the year 58000.
func checkTimes(writer *avro.SchemaNode) error {
	for _, f := range writer.Fields {
		if f.Name != "occurred_at" && f.Name != "received_at" {
			continue
		}
		if l := f.Type.LogicalType; l != "" && l != "timestamp-millis" {
			return fmt.Errorf("reading the writer's schema with ours: %s is %s, not timestamp-millis", f.Name, l)
		}
	}
	return nil
}

// wireEvent is version 1 of customer.events, as the resolving decoder fills it.
type wireEvent struct {
	EventID        string    `avro:"event_id"`
	UserID         string    `avro:"user_id"`
	ExternalID     *string   `avro:"external_id"`
	BrazeID        *string   `avro:"braze_id"`
	AliasLabel     *string   `avro:"alias_label"`
	AliasName      *string   `avro:"alias_name"`
	Email          *string   `avro:"email"`
	Phone          *string   `avro:"phone"`
	EventName      string    `avro:"event_name"`
	EventKind      string    `avro:"event_kind"`
	OccurredAt     time.Time `avro:"occurred_at"`
	ReceivedAt     time.Time `avro:"received_at"`
	Source         string    `avro:"source"`
	PropertiesJSON *string   `avro:"properties_json"`
	AttributesJSON *string   `avro:"attributes_json"`
	AppID          *string   `avro:"app_id"`
	BrazeDisabled  *bool     `avro:"braze_disabled"`
}

func (w *wireEvent) fill(e *event.Event) {
	*e = event.Event{
		ID: w.EventID,
		User: event.User{
			ExternalID: orEmpty(w.ExternalID), BrazeID: orEmpty(w.BrazeID),
			AliasLabel: orEmpty(w.AliasLabel), AliasName: orEmpty(w.AliasName),
			Email: orEmpty(w.Email), Phone: orEmpty(w.Phone),
		},
		Name: w.EventName, Kind: w.EventKind,
		OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(),
		Source: w.Source, AppID: orEmpty(w.AppID),
		BrazeDisabled: w.BrazeDisabled != nil && *w.BrazeDisabled,
	}
	if w.PropertiesJSON != nil {
		e.Properties = []byte(*w.PropertiesJSON)
	}
	if w.AttributesJSON != nil {
		e.Attributes = []byte(*w.AttributesJSON)
	}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
