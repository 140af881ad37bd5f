package pipeline_test

import (
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// changeSamples are a change that says all it can, and one of an object of which nobody is named.
func changeSamples() []sample {
	version := int64(820982911946154508)
	full := event.Change{
		ID: "c-1", User: event.User{ExternalID: "cus-1"}, Kind: event.Changed, System: "crm", Object: "Contact", ObjectID: "003",
		Changes: []byte(`{"HasOptedOutOfEmail":true}`), Version: &version, Actor: "005", OccurredAt: morning, ReceivedAt: morning, Source: "salesforce",
	}
	bare := event.Change{ID: "c-2", Kind: event.Deleted, System: "hubspot", Object: "contacts", ObjectID: "1", OccurredAt: morning, ReceivedAt: morning, Source: "hubspot"}
	native := func(c *event.Change) map[string]any {
		n := map[string]any{
			"event_id": c.ID, "user_id": c.Key(), "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
			"kind": c.Kind, "system": c.System, "object": c.Object, "object_id": c.ObjectID, "changes_json": nil, "version": nil, "actor": nil,
			"occurred_at": morning, "received_at": morning, "source": c.Source,
		}
		if c.Changes != nil {
			n["external_id"], n["changes_json"], n["actor"] = text(c.User.ExternalID), text(string(c.Changes)), text(c.Actor)
			n["version"] = map[string]any{"long": *c.Version}
		}
		return n
	}
	return []sample{
		{full.Key(), func(id int) []byte { return avro.AppendChange(nil, id, &full) }, native(&full)},
		{bare.Key(), func(id int) []byte { return avro.AppendChange(nil, id, &bare) }, native(&bare)},
	}
}

// crmDeliverySamples are a write that was taken, and a change that lost against Braze's own value.
func crmDeliverySamples() []sample {
	taken := crm.Delivery{
		WriteID: "w-1", UserID: "cus-1", Target: "crm", Object: "Contact", Key: "cus-1", CRMID: "003", Mode: crm.Upsert, Fields: []byte(`{"LastName":"Osei"}`),
		Rule: "form", Cause: crm.Cause{Topic: "braze.actions", Partition: 1, Offset: 7, EventID: "f-1"}, Partition: 1, Offset: 3,
		Outcome: outcome.Outcome{Kind: outcome.Delivered}, Status: 200, RequestID: "r-1", Latency: 42 * time.Millisecond, Attempts: 2, Hops: 1,
		EditedAt: morning, SettledAt: morning,
	}
	lost := crm.Delivery{
		WriteID: "w-2", UserID: "cus-2", Target: crm.Braze, Object: "profile", Key: "cus-2", Mode: crm.Upsert,
		Cause: crm.Cause{Topic: "crm.changes", EventID: "c-1"}, Outcome: outcome.Outcome{Kind: outcome.Skipped, Reason: "conflict", Detail: "field LastName"},
		Conflicts: []byte(`[{"field":"LastName","ours":"Osei","theirs":"Osay","winner":"braze","rule":"newest"}]`), EditedAt: morning, SettledAt: morning,
	}
	native := func(d *crm.Delivery) map[string]any {
		n := map[string]any{
			"write_id": d.WriteID, "user_id": d.UserID, "target": d.Target, "object": d.Object, "object_key": d.Key, "crm_id": nil, "mode": d.Mode,
			"fields_json": nil, "rule": nil, "event_id": d.Cause.EventID, "source_topic": d.Cause.Topic, "source_partition": d.Cause.Partition,
			"source_offset": d.Cause.Offset, "write_partition": d.Partition, "write_offset": d.Offset, "outcome": d.Outcome.Kind.String(), "reason": nil, "detail": nil,
			"conflict_json": nil, "http_status": nil, "request_id": nil, "latency_ms": nil, "attempts": int32(d.Attempts), "hops": int32(d.Hops),
			"edited_at": morning, "settled_at": morning,
		}
		if d.Conflicts != nil {
			n["reason"], n["detail"], n["conflict_json"] = text(d.Outcome.Reason), text(d.Outcome.Detail), text(string(d.Conflicts))
			return n
		}
		n["crm_id"], n["fields_json"], n["rule"], n["request_id"] = text(d.CRMID), text(string(d.Fields)), text(d.Rule), text(d.RequestID)
		n["http_status"], n["latency_ms"] = map[string]any{"int": int32(d.Status)}, map[string]any{"long": d.Latency.Milliseconds()}
		return n
	}
	return []sample{
		{"cus-1", func(id int) []byte { return taken.Append(nil, id) }, native(&taken)},
		{"cus-2", func(id int) []byte { return lost.Append(nil, id) }, native(&lost)},
	}
}
