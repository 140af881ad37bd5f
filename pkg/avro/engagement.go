package avro

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
)

// AppendEngagement appends a braze.engagements record of version 1, header included; id is the id of
// that version's schema in the registry. JSON must be a valid JSON object.
func AppendEngagement(dst []byte, id int, e *event.Engagement) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, e.ID)
	dst = AppendString(dst, e.Key())
	dst = AppendOptString(dst, e.User.ExternalID)
	dst = AppendOptString(dst, e.User.BrazeID)
	dst = AppendString(dst, e.Type)
	dst = AppendOptString(dst, e.Channel)
	dst = AppendTime(dst, e.OccurredAt)
	dst = AppendTime(dst, e.ReceivedAt)
	dst = AppendOptString(dst, e.Workspace)
	for _, column := range engagementColumns(e) {
		dst = AppendOptString(dst, *column.value)
	}
	return AppendBytes(dst, e.JSON)
}

// column is a nullable text of a record.
type column struct {
	name  string
	value *string
}

// engagementColumns are the ids of an event, in the schema's order.
func engagementColumns(e *event.Engagement) [12]column {
	return [...]column{
		{"app_id", &e.AppID},
		{"campaign_id", &e.CampaignID},
		{"campaign_name", &e.CampaignName},
		{"message_variation_id", &e.MessageVariationID},
		{"canvas_id", &e.CanvasID},
		{"canvas_name", &e.CanvasName},
		{"canvas_variation_id", &e.CanvasVariationID},
		{"canvas_step_id", &e.CanvasStepID},
		{"canvas_step_message_variation_id", &e.CanvasStepMessageVariationID},
		{"send_id", &e.SendID},
		{"dispatch_id", &e.DispatchID},
		{"device_id", &e.DeviceID},
	}
}

// EngagementDecoder reads records of braze.engagements.
type EngagementDecoder = Decoder[event.Engagement]

// NewEngagementDecoder asks source for each schema id once.
func NewEngagementDecoder(source Source) *EngagementDecoder {
	return &EngagementDecoder{source: source, kind: engagementKind}
}

var engagementKind = kindOf(schema.BrazeEngagements, []plan[event.Engagement]{readEngagement}, checkEvent, fillEngagement)

// readEngagement reads the body of a braze.engagements record of version 1. It returns the record's own
// user_id beside the event, which aliases the body.
func readEngagement(body []byte, e *event.Engagement) (userID string, err error) {
	r := NewReader(body)
	*e = event.Engagement{}
	e.ID = r.String("event_id")
	userID = r.String("user_id")
	e.User.ExternalID = r.OptString("external_id")
	e.User.BrazeID = r.OptString("braze_id")
	e.Type = r.String("event_type")
	e.Channel = r.OptString("channel")
	e.OccurredAt = r.Time("occurred_at")
	e.ReceivedAt = r.Time("received_at")
	e.Workspace = r.OptString("workspace")
	for _, column := range engagementColumns(e) {
		*column.value = r.OptString(column.name)
	}
	e.JSON = r.Bytes("event_json")
	return userID, r.Err()
}

// wireEngagement is version 1 of braze.engagements, as the resolving decoder fills it.
type wireEngagement struct {
	EventID    string    `avro:"event_id"`
	UserID     string    `avro:"user_id"`
	ExternalID *string   `avro:"external_id"`
	BrazeID    *string   `avro:"braze_id"`
	EventType  string    `avro:"event_type"`
	Channel    *string   `avro:"channel"`
	OccurredAt time.Time `avro:"occurred_at"`
	ReceivedAt time.Time `avro:"received_at"`
	Workspace  *string   `avro:"workspace"`

	AppID                        *string `avro:"app_id"`
	CampaignID                   *string `avro:"campaign_id"`
	CampaignName                 *string `avro:"campaign_name"`
	MessageVariationID           *string `avro:"message_variation_id"`
	CanvasID                     *string `avro:"canvas_id"`
	CanvasName                   *string `avro:"canvas_name"`
	CanvasVariationID            *string `avro:"canvas_variation_id"`
	CanvasStepID                 *string `avro:"canvas_step_id"`
	CanvasStepMessageVariationID *string `avro:"canvas_step_message_variation_id"`
	SendID                       *string `avro:"send_id"`
	DispatchID                   *string `avro:"dispatch_id"`
	DeviceID                     *string `avro:"device_id"`

	EventJSON string `avro:"event_json"`
}

func fillEngagement(w *wireEngagement, e *event.Engagement) (userID string, err error) {
	*e = event.Engagement{
		ID: w.EventID, User: event.User{ExternalID: orEmpty(w.ExternalID), BrazeID: orEmpty(w.BrazeID)},
		Type: w.EventType, Channel: orEmpty(w.Channel), OccurredAt: w.OccurredAt.UTC(), ReceivedAt: w.ReceivedAt.UTC(), Workspace: orEmpty(w.Workspace),
		AppID: orEmpty(w.AppID), CampaignID: orEmpty(w.CampaignID), CampaignName: orEmpty(w.CampaignName), MessageVariationID: orEmpty(w.MessageVariationID),
		CanvasID: orEmpty(w.CanvasID), CanvasName: orEmpty(w.CanvasName), CanvasVariationID: orEmpty(w.CanvasVariationID), CanvasStepID: orEmpty(w.CanvasStepID),
		CanvasStepMessageVariationID: orEmpty(w.CanvasStepMessageVariationID), SendID: orEmpty(w.SendID), DispatchID: orEmpty(w.DispatchID), DeviceID: orEmpty(w.DeviceID),
		JSON: []byte(w.EventJSON),
	}
	return w.UserID, nil
}
