package pipeline_test

import (
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
)

func engagementSamples() []sample {
	full := event.Engagement{
		ID: "c-1", User: event.User{ExternalID: "cus-1", BrazeID: "5f2b"}, Type: "users.messages.email.Click", Channel: "email",
		OccurredAt: morning.Truncate(time.Second), ReceivedAt: morning, Workspace: "eu", AppID: "app", CampaignID: "camp", CampaignName: "Spring",
		MessageVariationID: "mv", CanvasID: "canvas", CanvasName: "Welcome", CanvasVariationID: "cv", CanvasStepID: "step",
		CanvasStepMessageVariationID: "smv", SendID: "s", DispatchID: "d", DeviceID: "dev",
		JSON: []byte(`{"event_type":"users.messages.email.Click","id":"c-1","ref":820982911946154508}`),
	}
	bare := event.Engagement{ID: "c-2", Type: "agentconsole.ToolInvocation", OccurredAt: morning, ReceivedAt: morning, JSON: []byte(`{}`)}
	columns := []string{
		"app_id", "campaign_id", "campaign_name", "message_variation_id", "canvas_id", "canvas_name", "canvas_variation_id", "canvas_step_id",
		"canvas_step_message_variation_id", "send_id", "dispatch_id", "device_id",
	}
	values := []string{"app", "camp", "Spring", "mv", "canvas", "Welcome", "cv", "step", "smv", "s", "d", "dev"}
	native := map[string]any{
		"event_id": "c-1", "user_id": "cus-1", "external_id": text("cus-1"), "braze_id": text("5f2b"), "event_type": full.Type, "channel": text("email"),
		"occurred_at": full.OccurredAt, "received_at": morning, "workspace": text("eu"), "event_json": string(full.JSON),
	}
	bareNative := map[string]any{
		"event_id": "c-2", "user_id": "event:c-2", "external_id": nil, "braze_id": nil, "event_type": bare.Type, "channel": nil,
		"occurred_at": morning, "received_at": morning, "workspace": nil, "event_json": "{}",
	}
	for i, column := range columns {
		native[column], bareNative[column] = text(values[i]), nil
	}
	return []sample{
		{"cus-1", func(id int) []byte { return avro.AppendEngagement(nil, id, &full) }, native},
		{"event:c-2", func(id int) []byte { return avro.AppendEngagement(nil, id, &bare) }, bareNative},
	}
}

func actionSamples() []sample {
	form := event.Action{
		ID: "f-1", User: event.User{ExternalID: "cus-1"}, Name: "form", OccurredAt: morning, ReceivedAt: morning, Source: "braze", Workspace: "eu",
		ContentType: "application/json", JSON: []byte(`{"shoe_size":42}`),
	}
	other := event.Action{ID: "f-2", Name: "form", OccurredAt: morning, ReceivedAt: morning, Source: "braze", Body: []byte("size=42\xff")}
	native := map[string]any{
		"event_id": "f-1", "user_id": "cus-1", "external_id": text("cus-1"), "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"action_name": "form", "occurred_at": morning, "received_at": morning, "source": "braze", "workspace": text("eu"),
		"content_type": text("application/json"), "payload_json": text(`{"shoe_size":42}`), "payload": nil,
	}
	otherNative := map[string]any{
		"event_id": "f-2", "user_id": "action:form:f-2", "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"action_name": "form", "occurred_at": morning, "received_at": morning, "source": "braze", "workspace": nil,
		"content_type": nil, "payload_json": nil, "payload": map[string]any{"bytes": []byte("size=42\xff")},
	}
	return []sample{
		{"cus-1", func(id int) []byte { return avro.AppendAction(nil, id, &form) }, native},
		{"action:form:f-2", func(id int) []byte { return avro.AppendAction(nil, id, &other) }, otherNative},
	}
}
