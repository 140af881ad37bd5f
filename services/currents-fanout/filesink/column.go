package filesink

import "github.com/sluicehq/sluice/pkg/event"

// kind is the type of a column, in both formats.
type kind uint8

const (
	text     kind = iota // UTF-8
	document             // one JSON value, as text
	instant              // milliseconds since 1970, UTC
	int32s
	int64s
	doubles
	boolean
	texts  // a list of text, an element of which may be null
	octets // bytes as they came
)

// column is one column of a file.
type column struct {
	name     string
	kind     kind
	required bool // never null
	distinct bool // mostly another value in every row, so that a dictionary would only cost
	// text reads a column of an engagement's envelope; nil where something else fills it.
	text func(*event.Engagement) string
}

// Columns that have something to themselves.
const (
	userID     = "user_id"
	occurredAt = "occurred_at"
	receivedAt = "received_at"
	eventType  = "type"
	eventJSON  = "event_json"
)

// envelope is the columns that every engagement has, those of braze.engagements in their order. The
// type is called type and not event_type, since that is the folder's name for it: BigQuery and Athena
// refuse tables in which a partition and a column have one name.
var envelope = []column{
	{name: "event_id", required: true, distinct: true, text: func(e *event.Engagement) string { return e.ID }},
	{name: userID, required: true, distinct: true},
	{name: "external_id", distinct: true, text: func(e *event.Engagement) string { return e.User.ExternalID }},
	{name: "braze_id", distinct: true, text: func(e *event.Engagement) string { return e.User.BrazeID }},
	{name: eventType, required: true, text: func(e *event.Engagement) string { return e.Type }},
	{name: "channel", text: func(e *event.Engagement) string { return e.Channel }},
	{name: occurredAt, kind: instant, required: true},
	{name: receivedAt, kind: instant, required: true},
	{name: "workspace", text: func(e *event.Engagement) string { return e.Workspace }},
	{name: "app_id", text: func(e *event.Engagement) string { return e.AppID }},
	{name: "campaign_id", text: func(e *event.Engagement) string { return e.CampaignID }},
	{name: "campaign_name", text: func(e *event.Engagement) string { return e.CampaignName }},
	{name: "message_variation_id", text: func(e *event.Engagement) string { return e.MessageVariationID }},
	{name: "canvas_id", text: func(e *event.Engagement) string { return e.CanvasID }},
	{name: "canvas_name", text: func(e *event.Engagement) string { return e.CanvasName }},
	{name: "canvas_variation_id", text: func(e *event.Engagement) string { return e.CanvasVariationID }},
	{name: "canvas_step_id", text: func(e *event.Engagement) string { return e.CanvasStepID }},
	{name: "canvas_step_message_variation_id", text: func(e *event.Engagement) string { return e.CanvasStepMessageVariationID }},
	{name: "send_id", text: func(e *event.Engagement) string { return e.SendID }},
	{name: "dispatch_id", text: func(e *event.Engagement) string { return e.DispatchID }},
	{name: "device_id", distinct: true, text: func(e *event.Engagement) string { return e.DeviceID }},
}

// actionColumns is the columns of braze.actions, in their order.
var actionColumns = []column{
	{name: "event_id", required: true, distinct: true},
	{name: userID, required: true, distinct: true},
	{name: "external_id", distinct: true},
	{name: "braze_id", distinct: true},
	{name: "alias_label"},
	{name: "alias_name", distinct: true},
	{name: "email", distinct: true},
	{name: "phone", distinct: true},
	{name: "action_name", required: true},
	{name: occurredAt, kind: instant, required: true},
	{name: receivedAt, kind: instant, required: true},
	{name: "source", required: true},
	{name: "workspace"},
	{name: "content_type"},
	{name: "payload_json", kind: document, distinct: true},
	{name: "payload", kind: octets, distinct: true},
}
