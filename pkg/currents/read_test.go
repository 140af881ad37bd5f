package currents_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/event"
)

const click = `{"event_type":"users.messages.email.Click","id":"0f6c1d2a-3b4e-4f70-8a9b-c1d2e3f4a5b6","time":1785315688,` +
	`"user":{"user_id":"66a1f0c2b7e4d90012ab34cd","external_user_id":"crm-0048213","timezone":"Europe/Vienna"},` +
	`"properties":{"app_group_id":"0b4c7f52-2c1d-4d0e-8f53-7f2a9d1e6c01","campaign_id":"41f7c2ab-0d9e-4e63-b1a4-5c6d7e8f9012",` +
	`"campaign_name":"Autumn","message_variation_id":"7d3b9f10-5a2c-4b8e-9c77-0e1f2a3b4c5d","dispatch_id":"66a8d5e1f2c3b4a5968778695a4b3c2d",` +
	`"email_address":"mara.lindqvist@shop.example","url":"https://shop.example/autumn?c=41f7","link_alias":"hero",` +
	`"is_suspected_bot_click":false,"suspected_bot_click_reason":[]}}`

// arrival is when everything here is received.
var arrival = time.Date(2026, 7, 29, 9, 0, 0, 123_456_789, time.UTC)

func TestReadFillsTheColumns(t *testing.T) {
	raw := `{"event_type":"users.messages.banner.Click","id":"b-1","time":1785315688,` +
		`"user":{"user_id":"66a1","external_user_id":"crm-1","device_id":"d-1","timezone":"Europe/Vienna"},` +
		`"properties":{"app_id":"app","campaign_id":"c","campaign_name":"Autumn \"sale\"","message_variation_id":"mv","canvas_id":"cv",` +
		`"canvas_name":"Welcome","canvas_variation_id":"cvv","canvas_step_id":"cs","canvas_step_message_variation_api_id":"csmv",` +
		`"send_id":"s","dispatch_id":"di","banner_placement_id":"top","nested":{"campaign_id":"not this","deep":[[{"id":"nor this"}]]}}}`
	got, err := currents.Read([]byte(raw), "eu-retail", arrival)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Engagement{
		ID: "b-1", User: event.User{ExternalID: "crm-1", BrazeID: "66a1"}, Type: "users.messages.banner.Click", Channel: "banner",
		OccurredAt: time.Unix(1785315688, 0).UTC(), ReceivedAt: arrival.Truncate(time.Millisecond), Workspace: "eu-retail",
		AppID: "app", CampaignID: "c", CampaignName: `Autumn "sale"`, MessageVariationID: "mv", CanvasID: "cv", CanvasName: "Welcome",
		CanvasVariationID: "cvv", CanvasStepID: "cs", CanvasStepMessageVariationID: "csmv", SendID: "s", DispatchID: "di", DeviceID: "d-1",
		JSON: []byte(raw),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOddEventsAreNeitherRefusedNorLost(t *testing.T) {
	now := arrival.Truncate(time.Millisecond)
	at := time.Unix(1785315688, 0).UTC()
	long := strings.Repeat("x", 70_000)
	for _, c := range []struct {
		name, raw string
		want      event.Engagement // ReceivedAt and JSON aside
	}{
		{
			"an empty object has an id of its bytes, no type and happens now", `{}`,
			event.Engagement{ID: "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", Type: "unknown", OccurredAt: now},
		},
		{
			"null and empty are the same as absent", `{"event_type":null,"id":"","time":null,"user":null,"properties":null}`,
			event.Engagement{ID: "sha256:787efb1602521d08cd45b33839ea5eb2f86b3f219275d16b72d6847bd6911c54", Type: "unknown", OccurredAt: now},
		},
		{
			"numbers stand for their digits, however large",
			`{"event_type":7,"id":123456789012345678901,"time":1785315688,"user":{"user_id":5,"external_user_id":9007199254740993},"properties":{"send_id":1.50}}`,
			event.Engagement{ID: "123456789012345678901", Type: "7", OccurredAt: at, User: event.User{BrazeID: "5", ExternalID: "9007199254740993"}, SendID: "1.50"},
		},
		{
			"values of other kinds say nothing", `{"event_type":{"a":1},"id":"a","time":[],"user":"nobody","properties":[{"app_id":"x"}]}`,
			event.Engagement{ID: "a", Type: "unknown", OccurredAt: now},
		},
		{
			"objects and truths as ids say nothing", `{"event_type":"t","id":"a","time":1785315688,"user":{"user_id":{"x":1},"external_user_id":true},"properties":{"app_id":["x"]}}`,
			event.Engagement{ID: "a", Type: "t", OccurredAt: at},
		},
		{
			"what is redacted names nobody", `{"event_type":"t","id":"a","time":1785315688,"user":{"user_id":"[REDACTED]","external_user_id":"[REDACTED]"}}`,
			event.Engagement{ID: "a", Type: "t", OccurredAt: at},
		},
		{
			"a hash is an id like any other", `{"event_type":"t","id":"a","time":1785315688,"user":{"external_user_id":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}`,
			event.Engagement{ID: "a", Type: "t", OccurredAt: at, User: event.User{ExternalID: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
		},
		{
			"of members that are there twice the last that is not empty counts",
			`{"id":"a","id":"b","id":null,"event_type":"s","event_type":"t","time":1,"time":1785315688,"user":{"user_id":"u"},"user":{"user_id":"v","external_user_id":"x"},"user":{}}`,
			event.Engagement{ID: "b", Type: "t", OccurredAt: at, User: event.User{BrazeID: "v", ExternalID: "x"}},
		},
		{
			"names and values with escapes are read", `{"\u0065vent_type":"us\u0065rs.messages.sms.Send","\u0069d":"\u00e4\/\ud83d\ude00","time":1785315688}`,
			event.Engagement{ID: "ä/😀", Type: "users.messages.sms.Send", Channel: "sms", OccurredAt: at},
		},
		{
			"an id longer than any limit passes", `{"event_type":"t","id":"` + long + `","time":1785315688}`,
			event.Engagement{ID: long, Type: "t", OccurredAt: at},
		},
		{
			"a new type of a known channel has that channel", `{"event_type":"users.messages.pushnotification.Snooze","id":"a","time":1785315688}`,
			event.Engagement{ID: "a", Type: "users.messages.pushnotification.Snooze", Channel: "push", OccurredAt: at},
		},
		{
			"a new channel has Braze's word", `{"event_type":"users.messages.telegram.Send","id":"a","time":1785315688}`,
			event.Engagement{ID: "a", Type: "users.messages.telegram.Send", Channel: "telegram", OccurredAt: at},
		},
		{
			"a change of subscription has the channel that it says",
			`{"properties":{"channel":"sms"},"event_type":"users.behaviors.subscriptiongroup.StateChange","id":"a","time":1785315688}`,
			event.Engagement{ID: "a", Type: "users.behaviors.subscriptiongroup.StateChange", Channel: "sms", OccurredAt: at},
		},
		{
			"a message's channel is not what a property says", `{"event_type":"users.messages.email.Send","id":"a","time":1785315688,"properties":{"channel":"sms"}}`,
			event.Engagement{ID: "a", Type: "users.messages.email.Send", Channel: "email", OccurredAt: at},
		},
		{
			"a device among the properties is found, the user's comes first",
			`{"event_type":"t","id":"a","time":1785315688,"properties":{"device_id":"p"},"user":{"device_id":"u"}}`,
			event.Engagement{ID: "a", Type: "t", OccurredAt: at, DeviceID: "u"},
		},
		{
			"spaces around everything do not matter", " \n{ \"event_type\" : \"t\" ,\n \"id\" : \"a\" , \"time\" : 1785315688 , \"user\" : { } }\r\n",
			event.Engagement{ID: "a", Type: "t", OccurredAt: at},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := currents.Read([]byte(c.raw), "", arrival)
			if err != nil {
				t.Fatal(err)
			}
			if string(got.JSON) != strings.TrimSpace(c.raw) {
				t.Errorf("the event is not kept as it came: %.200s", got.JSON)
			}
			if got.ReceivedAt != now {
				t.Errorf("received at %s", got.ReceivedAt)
			}
			got.JSON, got.ReceivedAt = nil, time.Time{}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhatIsNotUnicodeIsMended(t *testing.T) {
	raw := "{\"id\":\"a\xffb\",\"event_type\":\"t\",\"x\":\"\\ud800\",\"n\":1.50}"
	got, err := currents.Read([]byte(raw), "", arrival)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"a�b","event_type":"t","x":"�","n":1.50}`; string(got.JSON) != want || got.ID != "a�b" {
		t.Errorf("got %s with the id %q", got.JSON, got.ID)
	}
}

func TestReadRefusesWhatIsNoObject(t *testing.T) {
	for _, raw := range []string{``, `null`, `5`, `"text"`, `[]`, `true`} {
		if _, err := currents.Read([]byte(raw), "", arrival); err == nil || raw != "" && !errors.Is(err, currents.ErrNotObject) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	for _, raw := range []string{`{`, `{"id":"a"`, `{"id":"a",}`, `{"id":nul}`, `{"id":"a"}}`, `{'id':1}`, `{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`} {
		if _, err := currents.Read([]byte(raw), "", arrival); err == nil || errors.Is(err, currents.ErrNotObject) {
			t.Errorf("%.40q: %v", raw, err)
		}
	}
}

func TestTimesOfAllSorts(t *testing.T) {
	now := arrival.Truncate(time.Millisecond)
	at := time.Unix(1785315688, 0).UTC()
	for _, c := range []struct {
		name, value, properties string
		want                    time.Time
	}{
		{"whole seconds", `1785315688`, ``, at},
		{"seconds with a fraction", `1785315688.4567`, ``, at.Add(456 * time.Millisecond)},
		{"seconds as text", `"1785315688"`, ``, at},
		{"a number with an exponent", `1.785315688e9`, ``, at},
		{"milliseconds", `1785315688456`, ``, at.Add(456 * time.Millisecond)},
		{"microseconds", `1785315688456789`, ``, at.Add(456 * time.Millisecond)},
		{"nanoseconds", `1785315688456789012`, ``, at.Add(456 * time.Millisecond)},
		{"RFC 3339 with an offset", `"2026-07-29T11:01:28.5+02:00"`, ``, at.Add(500 * time.Millisecond)},
		{"a date and time with spaces", `"2026-07-29 09:01:28 UTC"`, ``, at},
		{"a date and time without a zone are UTC", `"2026-07-29 09:01:28"`, ``, at},
		{"the first second of all", `0`, ``, time.Unix(0, 0).UTC()},
		{"a test event's nonsense in the future", `2033802504`, ``, time.Unix(2033802504, 0).UTC()},
		{"no time at all is now", ``, ``, now},
		{"a text that is none is now", `"yesterday"`, ``, now},
		{"a time before 1970 is now", `-5`, ``, now},
		{"a time too far away is now", `99999999999999999999999`, ``, now},
		{"the largest number is a nanosecond", `9223372036854775807`, ``, time.UnixMilli(9223372036854).UTC()},
		{"an absurd exponent is now", `1e999999999`, ``, now},
		{"milliseconds of the properties refine it", `1785315688`, `{"time_ms":1785315688123}`, at.Add(123 * time.Millisecond)},
		{"milliseconds of another second do not", `1785315688`, `{"time_ms":1785315000123}`, at},
		{"milliseconds stand in for it", ``, `{"time_ms":1785315688123}`, at.Add(123 * time.Millisecond)},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := `{"id":"a"`
			if c.value != "" {
				raw += `,"time":` + c.value
			}
			if c.properties != "" {
				raw += `,"properties":` + c.properties
			}
			got, err := currents.Read([]byte(raw+`}`), "", arrival)
			if err != nil {
				t.Fatal(err)
			}
			if !got.OccurredAt.Equal(c.want) || got.OccurredAt.Location() != time.UTC {
				t.Errorf("happened at %s, want %s", got.OccurredAt, c.want)
			}
		})
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	raw := []byte(click)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := currents.Read(raw, "eu", arrival); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations for one event", n)
	}
}

// Another zone's abbreviation means what the machine's own zone makes of it, so it says no time.
func TestTheNameOfAZoneOtherThanUTCSaysNoTime(t *testing.T) {
	now := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	for said, want := range map[string]time.Time{
		"2026-01-01 10:00:00 UTC": time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC),
		"2026-01-01 10:00:00 EST": now,
		"2026-01-01 10:00:00 CET": now,
	} {
		e, err := currents.Read([]byte(`{"id":"1","time":"`+said+`"}`), "", now)
		if err != nil || !e.OccurredAt.Equal(want) {
			t.Errorf("%s is %v (%v), want %v", said, e.OccurredAt, err, want)
		}
	}
}
