package pipeline_test

import (
	"fmt"
	"math/big"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
)

// sample is a record of a topic: what our own code writes, and what a stranger's should read of it.
type sample struct {
	key    string
	value  func(id int) []byte
	native map[string]any // in goavro's form
}

func text(s string) map[string]any { return map[string]any{"string": s} }

var (
	morning = time.UnixMilli(1772442904210).UTC()
	version = int64(9007199254740993)
)

// samples has records for every topic there is; TestEveryTopicIsReadAndWrittenByAStranger fails for a
// topic without.
func samples(topic string) []sample {
	switch topic {
	case schema.CustomerEvents:
		return eventSamples()
	case schema.CustomerProfiles:
		return profileSamples()
	case schema.CommerceEvents:
		return commerceSamples()
	case schema.SupportCases:
		return caseSamples()
	case schema.BrazeAttributes:
		return updateSamples()
	case schema.BrazeDeliveries:
		return deliverySamples()
	case schema.BrazeEngagements:
		return engagementSamples()
	case schema.BrazeActions:
		return actionSamples()
	case schema.CRMChanges:
		return changeSamples()
	case schema.CRMDeliveries:
		return crmDeliverySamples()
	case schema.ContentItems:
		return contentSamples()
	case schema.DeadLetters("ingest"), schema.DeadLetters("braze-sender"), schema.DeadLetters("attribute-sync"), schema.DeadLetters("currents-fanout"),
		schema.DeadLetters("content-cacher"), schema.DeadLetters("crm-writeback"):
		return []sample{letterSample()}
	}
	return nil
}

func eventSamples() []sample {
	users := []event.User{
		{ExternalID: "cus-1"},
		{BrazeID: "5f2b"},
		{AliasLabel: "shop", AliasName: "visitor-9"},
		{Email: "Brenu.Kastellor@example.com"},
		{Phone: "+447700900123"},
		{ExternalID: "ключ-Zoë", Email: "z@example.com"},
	}
	list := make([]sample, 0, len(users))
	for i, u := range users {
		e := event.Event{
			ID: fmt.Sprintf("e-%d", i), User: u, Name: "Order Completed", Kind: event.KindTrack,
			OccurredAt: morning, ReceivedAt: morning.Add(time.Second), Source: "shop",
			Properties: []byte(`{"ref":820982911946154508,"total":84.90,"note":"<Zoë> & co"}`),
		}
		native := map[string]any{
			"event_id": e.ID, "user_id": u.Key(), "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
			"event_name": e.Name, "event_kind": e.Kind, "occurred_at": e.OccurredAt, "received_at": e.ReceivedAt, "source": "shop",
			"properties_json": text(string(e.Properties)), "attributes_json": nil, "app_id": nil, "braze_disabled": nil, "identified_as": nil,
		}
		if i == 0 {
			e.Attributes, e.AppID, e.BrazeDisabled = []byte(`{"tier":"gold"}`), "app-1", true
			native["attributes_json"], native["app_id"], native["braze_disabled"] = text(`{"tier":"gold"}`), text("app-1"), map[string]any{"boolean": true}
		}
		if i == 2 { // the visitor turns out to be a customer
			e.Name, e.Kind, e.Properties, e.IdentifiedAs = "User Identified", event.KindIdentify, nil, "cus-1"
			native["event_name"], native["event_kind"], native["properties_json"] = e.Name, e.Kind, nil
			native["identified_as"] = text("cus-1")
		}
		fillUser(native, u)
		list = append(list, sample{u.Key(), func(id int) []byte { return avro.AppendEvent(nil, id, &e) }, native})
	}
	return list
}

func contentSamples() []sample {
	eight, width := int64(8), int64(1600)
	full := event.Content{
		ID: "c-1", Collection: "banners", ItemID: "spring", Version: &eight, OccurredAt: morning, ReceivedAt: morning, Source: "contentful", Approved: true,
		ValidFrom: morning, ValidUntil: morning.Add(time.Hour), Tags: []string{"hero"}, Body: []byte(`{"headline":"Spring"}`),
		Variants: []event.ContentVariant{{Locale: "de", Body: []byte(`{"headline":"Frühling"}`)}},
		Assets:   []event.ContentAsset{{URL: "https://img.example/1.jpg", MediaType: "image/jpeg", Rendition: "thumb", Width: &width}},
	}
	bare := event.Content{ID: "c-2", Collection: "banners", ItemID: "spring", Locale: "fr", OccurredAt: morning, ReceivedAt: morning, Source: "cms", Body: []byte(`{}`)}
	native := map[string]any{
		"item_key": "banners/spring", "event_id": "c-1", "collection": "banners", "item_id": "spring", "locale": nil, "item_version": map[string]any{"long": eight},
		"occurred_at": morning, "received_at": morning, "source": "contentful", "approved": true,
		"valid_from_at": map[string]any{"long.timestamp-millis": morning}, "valid_until_at": map[string]any{"long.timestamp-millis": morning.Add(time.Hour)},
		"tags": []any{"hero"}, "body_json": `{"headline":"Spring"}`,
		"variants": []any{map[string]any{"locale": "de", "body_json": `{"headline":"Frühling"}`}},
		"assets": []any{map[string]any{
			"url": "https://img.example/1.jpg", "media_type": "image/jpeg", "rendition": text("thumb"), "width": map[string]any{"long": width}, "height": nil,
		}},
	}
	bareNative := map[string]any{
		"item_key": "banners/spring#fr", "event_id": "c-2", "collection": "banners", "item_id": "spring", "locale": text("fr"), "item_version": nil,
		"occurred_at": morning, "received_at": morning, "source": "cms", "approved": false, "valid_from_at": nil, "valid_until_at": nil,
		"tags": []any{}, "body_json": `{}`, "variants": []any{}, "assets": []any{},
	}
	return []sample{
		{full.Key(), func(id int) []byte { return avro.AppendContent(nil, id, &full) }, native},
		{bare.Key(), func(id int) []byte { return avro.AppendContent(nil, id, &bare) }, bareNative},
	}
}

func fillUser(native map[string]any, u event.User) {
	for field, v := range map[string]string{
		"external_id": u.ExternalID, "braze_id": u.BrazeID, "alias_label": u.AliasLabel, "alias_name": u.AliasName, "email": u.Email, "phone": u.Phone,
	} {
		if v != "" {
			native[field] = text(v)
		}
	}
}

func profileSamples() []sample {
	full := event.Profile{
		ID: "p-1", User: event.User{ExternalID: "cus-1"}, Set: []byte(`{"tier":"gold"}`), Unset: []string{"old", "older"},
		Add: []byte(`{"tags":["a"]}`), Remove: []byte(`{"tags":["b"]}`), Increment: []byte(`{"visits":1}`),
		Subscriptions: []event.Subscription{{GroupID: "g-1", State: "subscribed"}}, PreviousKey: "alias:shop:visitor-9",
		Source: "crm", Version: &version, OccurredAt: morning, ReceivedAt: morning,
	}
	bare := event.Profile{ID: "p-2", User: event.User{Email: "A@example.com"}, Source: "crm", OccurredAt: morning, ReceivedAt: morning}
	native := map[string]any{
		"event_id": "p-1", "user_id": "cus-1", "external_id": text("cus-1"), "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"set_json": text(`{"tier":"gold"}`), "unset_fields": []any{"old", "older"}, "add_json": text(`{"tags":["a"]}`),
		"remove_json": text(`{"tags":["b"]}`), "increment_json": text(`{"visits":1}`),
		"subscriptions": []any{map[string]any{"group_id": "g-1", "state": "subscribed"}}, "previous_user_id": text("alias:shop:visitor-9"),
		"source": "crm", "source_version": map[string]any{"long": version}, "occurred_at": morning, "received_at": morning,
	}
	bareNative := map[string]any{
		"event_id": "p-2", "user_id": "email:a@example.com", "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil,
		"email": text("A@example.com"), "phone": nil, "set_json": nil, "unset_fields": []any{}, "add_json": nil, "remove_json": nil,
		"increment_json": nil, "subscriptions": []any{}, "previous_user_id": nil, "source": "crm", "source_version": nil,
		"occurred_at": morning, "received_at": morning,
	}
	return []sample{
		{"cus-1", func(id int) []byte { return avro.AppendProfile(nil, id, &full) }, native},
		{"email:a@example.com", func(id int) []byte { return avro.AppendProfile(nil, id, &bare) }, bareNative},
	}
}

// caseSamples are a rating with everything a case can have, and an opening with next to nothing.
func caseSamples() []sample {
	rating := int64(4)
	full := event.Case{
		ID: "z-1", User: event.User{ExternalID: "cus-1"}, CaseID: "35436", Event: event.CaseRated, Severity: event.SeverityUrgent, Rating: &rating,
		Channel: "email", OccurredAt: morning, ReceivedAt: morning, Source: "zendesk", Metadata: []byte(`{"group":"returns"}`),
	}
	bare := event.Case{ID: "z-2", User: event.User{AliasLabel: "zendesk", AliasName: "8447388090494"}, CaseID: "35437", Event: event.CaseOpened, OccurredAt: morning, ReceivedAt: morning, Source: "zendesk"}
	native := func(c *event.Case) map[string]any {
		m := map[string]any{
			"event_id": c.ID, "user_id": c.User.Key(), "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
			"case_id": c.CaseID, "case_event": string(c.Event), "occurred_at": morning, "received_at": morning, "source": "zendesk",
			"severity": nil, "rating": nil, "channel": nil, "metadata_json": nil,
		}
		fillUser(m, c.User)
		return m
	}
	fullNative := native(&full)
	fullNative["severity"], fullNative["rating"] = text("urgent"), map[string]any{"long": rating}
	fullNative["channel"], fullNative["metadata_json"] = text("email"), text(`{"group":"returns"}`)
	return []sample{
		{full.User.Key(), func(id int) []byte { return avro.AppendCase(nil, id, &full) }, fullNative},
		{bare.User.Key(), func(id int) []byte { return avro.AppendCase(nil, id, &bare) }, native(&bare)},
	}
}

// updateSamples are a difference with what it came from, and a trigger.
func updateSamples() []sample {
	difference := event.Update{
		ID: "u-1", User: event.User{ExternalID: "cus-1"}, OccurredAt: morning, DecidedAt: morning, Attributes: []byte(`{"tier":"gold","old":null}`), DataPoints: 2,
		Causes:   []event.Cause{{ID: "p-1", Source: "crm", Topic: schema.CustomerProfiles, Partition: 3, Offset: 1 << 40}},
		Declined: []event.Declined{{ID: "p-0", Source: "crm", Field: "tier", Reason: "stale", Detail: "crm, version 7"}},
	}
	trigger := event.Update{ID: "u-2", User: event.User{ExternalID: "cus-2"}, OccurredAt: morning, DecidedAt: morning, Trigger: "support_survey_due", Properties: []byte(`{"case_id":"35436"}`)}
	native := func(u *event.Update) map[string]any {
		m := map[string]any{
			"event_id": u.ID, "user_id": u.User.Key(), "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
			"occurred_at": morning, "decided_at": morning, "attributes_json": nil, "trigger_name": nil, "properties_json": nil,
			"data_points": u.DataPoints, "causes": []any{}, "declined": []any{},
		}
		fillUser(m, u.User)
		return m
	}
	differs, fires := native(&difference), native(&trigger)
	differs["attributes_json"] = text(`{"tier":"gold","old":null}`)
	differs["causes"] = []any{map[string]any{"event_id": "p-1", "source": "crm", "source_topic": schema.CustomerProfiles, "source_partition": int32(3), "source_offset": int64(1) << 40}}
	differs["declined"] = []any{map[string]any{"event_id": "p-0", "source": "crm", "field": "tier", "reason": "stale", "detail": text("crm, version 7")}}
	fires["trigger_name"], fires["properties_json"] = text("support_survey_due"), text(`{"case_id":"35436"}`)
	return []sample{
		{"cus-1", func(id int) []byte { return avro.AppendUpdate(nil, id, &difference) }, differs},
		{"cus-2", func(id int) []byte { return avro.AppendUpdate(nil, id, &trigger) }, fires},
	}
}

// commerceSamples are an order with everything an order can have, and a delivery with next to nothing.
func commerceSamples() []sample {
	full := event.Commerce{
		ID: "o-1", User: event.User{ExternalID: "cus-1"}, Type: event.OrderPlaced, OccurredAt: morning, ReceivedAt: morning.Add(time.Second),
		Source: "shop", OrderID: "820982911946154508", Currency: "EUR", Total: "84.9", Tax: "-0.000000001",
		Discounts: []event.Discount{{Code: "SPRING", Amount: "2", Type: "fixed_amount"}},
		Lines:     []event.Line{{ProductID: "P1", ProductName: "Zoë", VariantID: "v", Quantity: 2, Price: "41", Metadata: []byte(`{"sku":"L"}`)}},
		DueAt:     morning, Metadata: []byte(`{"ref":9007199254740993}`),
	}
	all := commerceNative(&full)
	all["order_id"], all["currency"], all["metadata_json"] = text("820982911946154508"), text("EUR"), text(`{"ref":9007199254740993}`)
	all["total"], all["tax"], all["due_at"] = money(849, 10), money(-1, 1_000_000_000), map[string]any{"long.timestamp-millis": morning}
	all["discounts"] = []any{map[string]any{"code": text("SPRING"), "amount": money(2, 1), "discount_type": text("fixed_amount")}}
	all["lines"] = []any{map[string]any{
		"product_id": text("P1"), "product_name": text("Zoë"), "variant_id": text("v"), "quantity": int64(2), "price": money(41, 1),
		"image_url": nil, "product_url": nil, "metadata_json": text(`{"sku":"L"}`),
	}}
	bare := event.Commerce{
		ID: "o-2", User: event.User{Email: "A@example.com"}, Type: event.Delivered, OccurredAt: morning, ReceivedAt: morning, Source: "shop",
	}
	return []sample{
		{"cus-1", commerceValue(full), all},
		{"email:a@example.com", commerceValue(bare), commerceNative(&bare)},
	}
}

// money is a nullable amount in goavro's form.
func money(num, denom int64) map[string]any {
	return map[string]any{"bytes.decimal": big.NewRat(num, denom)}
}

func commerceValue(c event.Commerce) func(id int) []byte {
	return func(id int) []byte {
		value, err := avro.AppendCommerce(nil, id, &c)
		if err != nil {
			panic(err)
		}
		return value
	}
}

// commerceNative has what every commerce event has, and says nothing of the rest.
func commerceNative(c *event.Commerce) map[string]any {
	native := map[string]any{
		"event_id": c.ID, "user_id": c.User.Key(), "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"event_type": string(c.Type), "occurred_at": c.OccurredAt, "received_at": c.ReceivedAt, "source": c.Source,
		"app_id": nil, "order_id": nil, "cart_id": nil, "checkout_id": nil, "currency": nil,
		"total": nil, "subtotal": nil, "tax": nil, "shipping": nil, "discounts": []any{}, "lines": []any{},
		"reason": nil, "due_at": nil, "carrier": nil, "tracking": nil, "metadata_json": nil, "braze_disabled": nil,
	}
	fillUser(native, c.User)
	return native
}

// deliverySamples are a receipt of a record that was refused, and of one that asks for two things, of
// which Braze has taken the first.
func deliverySamples() []sample {
	refused := receipt.Receipt{
		EventID: "e-1", UserID: "cus-1", Topic: "customer.events", Partition: 3, Offset: 17,
		Outcome:  outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "events: invalid"},
		Endpoint: "/users/track", Status: 201, RequestID: "r-1", Latency: 42 * time.Millisecond, Attempts: 2, SettledAt: morning,
		Source: "shop",
	}
	half := refused
	half.EventID, half.UserID, half.Outcome, half.PartsDone = "e-2", "cus-2", outcome.Outcome{Kind: outcome.Deferred, Reason: "transient"}, 1
	native := func(r *receipt.Receipt) map[string]any {
		return map[string]any{
			"event_id": r.EventID, "user_id": r.UserID, "source_topic": "customer.events", "source_partition": int32(3), "source_offset": int64(17),
			"outcome": r.Outcome.Kind.String(), "reason": text(r.Outcome.Reason), "detail": nil, "endpoint": text("/users/track"),
			"http_status": map[string]any{"int": int32(201)}, "request_id": text("r-1"), "latency_ms": map[string]any{"long": int64(42)},
			"attempts": int32(2), "settled_at": morning, "parts_done": nil, "source": text("shop"),
		}
	}
	whole, part := native(&refused), native(&half)
	whole["detail"] = text("events: invalid")
	part["parts_done"] = map[string]any{"int": int32(1)}
	return []sample{
		{"cus-1", func(id int) []byte { return refused.Append(nil, id) }, whole},
		{"cus-2", func(id int) []byte { return half.Append(nil, id) }, part},
	}
}

func letterSample() sample {
	native := map[string]any{
		"service": "ingest", "reason": "undecodable", "detail": text("bytes are left over"), "origin_topic": "customer.events",
		"origin_partition": int32(3), "origin_offset": int64(17), "origin_appended_at": morning,
		"origin_key": map[string]any{"bytes": []byte("cus-1")}, "origin_value": map[string]any{"bytes": []byte{0, 1, 0xff}},
		"origin_headers": []any{map[string]any{"name": "event-id", "content": map[string]any{"bytes": []byte("e-1")}}},
		"event_id":       nil, "attempts": int32(0), "first_attempt_at": morning, "last_attempt_at": morning,
	}
	return sample{"cus-1", func(id int) []byte {
		topic, _ := schema.Find(schema.DeadLetters("ingest"))
		codec, err := avro.NewCodec(topic.Text(), id)
		if err != nil {
			panic(err)
		}
		value, err := codec.Append(nil, native)
		if err != nil {
			panic(err)
		}
		return value
	}, native}
}
