package pgsink

import (
	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// kind is the SQL type of a column, and how it stands in COPY's binary form.
type kind uint8

const (
	text kind = iota
	texts
	whole
	double
	boolean
	instant
	document
	octets
)

var sqlTypes = [...]string{
	text: "text", texts: "text[]", whole: "bigint", double: "double precision", boolean: "boolean",
	instant: "timestamptz", document: "jsonb", octets: "bytea",
}

// source is where a column's value comes from.
type source uint8

const (
	envelope   source = iota // column.of or column.ofAction
	occurred                 // OccurredAt
	received                 // ReceivedAt
	field                    // a member of user or properties
	whatCame                 // the document as Braze sent it, as far as jsonb takes it
	exactly                  // the same as text, where jsonb does not take all of it
	properties               // of properties, what is in no column
	others                   // of everything else, what is in no column
	body                     // of an action, what is not JSON
)

// column is one column of a table.
type column struct {
	name     string
	kind     kind
	from     source
	key      bool // part of what makes a row unique
	of       func(*event.Engagement) string
	ofAction func(*event.Action) string

	member string // of a field: its name in the JSON, and where it stands there
	in     int
}

// text is a column of the envelope.
func (c *column) text(e *sink.Event) string {
	if e.Action != nil {
		return c.ofAction(e.Action)
	}
	return c.of(e.Engagement)
}

// The two objects of an event that have fields.
const (
	inUser = iota
	inProperties
)

// engagementColumns are those that every engagement has, named as on braze.engagements and in its order.
var engagementColumns = []column{
	{name: "event_id", key: true, of: func(e *event.Engagement) string { return e.ID }},
	{name: "user_id", of: (*event.Engagement).Key},
	{name: "external_id", of: func(e *event.Engagement) string { return e.User.ExternalID }},
	{name: "braze_id", of: func(e *event.Engagement) string { return e.User.BrazeID }},
	{name: "event_type", of: func(e *event.Engagement) string { return e.Type }},
	{name: "channel", of: func(e *event.Engagement) string { return e.Channel }},
	{name: "occurred_at", kind: instant, from: occurred},
	{name: "received_at", kind: instant, from: received},
	{name: "workspace", of: func(e *event.Engagement) string { return e.Workspace }},
	{name: "app_id", of: func(e *event.Engagement) string { return e.AppID }},
	{name: "campaign_id", of: func(e *event.Engagement) string { return e.CampaignID }},
	{name: "campaign_name", of: func(e *event.Engagement) string { return e.CampaignName }},
	{name: "message_variation_id", of: func(e *event.Engagement) string { return e.MessageVariationID }},
	{name: "canvas_id", of: func(e *event.Engagement) string { return e.CanvasID }},
	{name: "canvas_name", of: func(e *event.Engagement) string { return e.CanvasName }},
	{name: "canvas_variation_id", of: func(e *event.Engagement) string { return e.CanvasVariationID }},
	{name: "canvas_step_id", of: func(e *event.Engagement) string { return e.CanvasStepID }},
	{name: "canvas_step_message_variation_id", of: func(e *event.Engagement) string { return e.CanvasStepMessageVariationID }},
	{name: "send_id", of: func(e *event.Engagement) string { return e.SendID }},
	{name: "dispatch_id", of: func(e *event.Engagement) string { return e.DispatchID }},
	{name: "device_id", of: func(e *event.Engagement) string { return e.DeviceID }},
}

// What follows them, in each layout.
var (
	singleColumns  = []column{{name: "event", kind: document, from: whatCame}, {name: "event_text", from: exactly}}
	perTypeColumns = []column{
		{name: "properties", kind: document, from: properties},
		{name: "others", kind: document, from: others},
		{name: "event_text", from: exactly},
	}
)

// actionColumns are those of braze.actions. An action's id is unique within its name.
var actionColumns = []column{
	{name: "event_id", key: true, ofAction: func(a *event.Action) string { return a.ID }},
	{name: "user_id", ofAction: (*event.Action).Key},
	{name: "external_id", ofAction: func(a *event.Action) string { return a.User.ExternalID }},
	{name: "braze_id", ofAction: func(a *event.Action) string { return a.User.BrazeID }},
	{name: "alias_label", ofAction: func(a *event.Action) string { return a.User.AliasLabel }},
	{name: "alias_name", ofAction: func(a *event.Action) string { return a.User.AliasName }},
	{name: "email", ofAction: func(a *event.Action) string { return a.User.Email }},
	{name: "phone", ofAction: func(a *event.Action) string { return a.User.Phone }},
	{name: "action_name", key: true, ofAction: func(a *event.Action) string { return a.Name }},
	{name: "occurred_at", kind: instant, from: occurred},
	{name: "received_at", kind: instant, from: received},
	{name: "source", ofAction: func(a *event.Action) string { return a.Source }},
	{name: "workspace", ofAction: func(a *event.Action) string { return a.Workspace }},
	{name: "content_type", ofAction: func(a *event.Action) string { return a.ContentType }},
	{name: "payload", kind: document, from: whatCame},
	{name: "payload_text", from: exactly},
	{name: "payload_bytes", kind: octets, from: body},
}

// ours are the columns of an engagement that hold a member of its JSON too, by where that stands and its name. Braze's
// user_id is the id that it gave, our braze_id; our user_id is whichever is the strongest.
var ours = [2]map[string]string{
	inUser: {"user_id": "braze_id", "external_user_id": "external_id", "device_id": "device_id"},
	inProperties: {
		"app_id": "app_id", "campaign_id": "campaign_id", "campaign_name": "campaign_name",
		"message_variation_id": "message_variation_id", "canvas_id": "canvas_id", "canvas_name": "canvas_name",
		"canvas_variation_id": "canvas_variation_id", "canvas_step_id": "canvas_step_id",
		"canvas_step_message_variation_id": "canvas_step_message_variation_id", "send_id": "send_id",
		"dispatch_id": "dispatch_id", "device_id": "device_id", "channel": "channel",
	},
}

// fieldColumns are the columns for what the catalogue knows of a type; none of a type that is not in it. A field
// that has the name of a column of ours is called after the object that it stands in, such as properties_source.
func fieldColumns(eventType string) []column {
	t, ok := currents.Lookup(eventType)
	if !ok {
		return nil
	}
	taken := map[string]bool{}
	for _, columns := range [][]column{engagementColumns, perTypeColumns} {
		for i := range columns {
			taken[columns[i].name] = true
		}
	}
	var all []column
	for _, f := range t.Fields {
		in := inProperties
		if f.In == currents.InUser {
			in = inUser
		}
		if ours[in][f.Name] != "" {
			continue
		}
		name := f.Name
		if taken[name] {
			name = f.In + "_" + name
		}
		taken[name] = true
		all = append(all, column{name: name, kind: kindOf(f.Kind), from: field, member: f.Name, in: in})
	}
	return all
}

// kindOf is the type of a column for a kind of field. Whole numbers all have 64 bits and others too: what comes over HTTP
// has all its digits, and Braze has widened fields before.
func kindOf(k currents.Kind) kind {
	switch k {
	case currents.Int, currents.Long:
		return whole
	case currents.Float, currents.Double:
		return double
	case currents.Boolean:
		return boolean
	case currents.Strings:
		return texts
	case currents.JSON:
		return document
	case currents.String:
	}
	return text
}
