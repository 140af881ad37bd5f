package currents_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
)

func TestDriftsSayWhatWasNotKnown(t *testing.T) {
	const open = "users.messages.email.Open"
	event := func(user, properties string) string {
		return `{"event_type":"` + open + `","id":"a","time":1785315688,"user":{` + user + `},"properties":{` + properties + `}}`
	}
	drift := func(field, what string) currents.Drift { return currents.Drift{Type: open, Field: field, What: what} }
	for _, c := range []struct {
		name, raw string
		want      []currents.Drift
	}{
		{"a usual event", event(`"user_id":"u","device_id":"d"`, `"email_address":"a@b.example","is_amp":false,"machine_open":"true"`), nil},
		{"null is of every kind", event(`"user_id":null`, `"is_amp":null,"email_address":null`), nil},
		{"required fields may be missing", event(``, ``), nil},
		{"a redacted value", event(``, `"email_address":"[REDACTED]"`), nil},
		{"a new field", event(``, `"mood":"good"`), []currents.Drift{drift("properties.mood", "unknown_field")}},
		{"a new member of the user", event(`"nickname":"x"`, ``), []currents.Drift{drift("user.nickname", "unknown_field")}},
		{"a field in the wrong place", event(`"email_address":"x"`, `"user_id":"u"`), []currents.Drift{
			drift("user.email_address", "unknown_field"), drift("properties.user_id", "unknown_field"),
		}},
		{"a truth where a text was", event(``, `"machine_open":true`), []currents.Drift{drift("properties.machine_open", "other_kind")}},
		{"a text where a truth was", event(``, `"is_amp":"true"`), []currents.Drift{drift("properties.is_amp", "other_kind")}},
		{"a new member beside user", `{"event_type":"` + open + `","id":"a","time":1,"batch":7}`, []currents.Drift{drift("batch", "unknown_field")}},
		{"user and properties of other kinds", `{"event_type":"` + open + `","id":"a","time":1,"user":"u","properties":[]}`, []currents.Drift{
			drift("user", "other_kind"), drift("properties", "other_kind"),
		}},
		{"an id and a time of other kinds", `{"event_type":"` + open + `","id":7,"time":1.5}`, []currents.Drift{drift("id", "other_kind"), drift("time", "other_kind")}},
		{"no id and no time", `{"event_type":"` + open + `"}`, []currents.Drift{drift("id", "other_kind"), drift("time", "other_kind")}},
		{"a type that nobody knows", `{"event_type":"users.messages.telegram.Send","id":"a","time":1,"properties":{"x":1}}`, []currents.Drift{
			{Type: "users.messages.telegram.Send", What: "unknown_type"},
		}},
		{"no type", `{"id":"a"}`, []currents.Drift{{Type: "unknown", What: "unknown_type"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := currents.Read([]byte(c.raw), "", arrival)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, currents.Drifts(&e)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestKindsOfNumbers(t *testing.T) {
	for _, c := range []struct {
		typ, field, value string
		fits              bool
	}{
		{"users.messages.webhook.Failure", "http_status_code", `2147483647`, true},
		{"users.messages.webhook.Failure", "http_status_code", `-2147483648`, true},
		{"users.messages.webhook.Failure", "http_status_code", `2147483648`, false},
		{"users.messages.webhook.Failure", "http_status_code", `500.0`, false},
		{"users.messages.webhook.Failure", "http_status_code", `"500"`, false},
		{"users.behaviors.pushnotification.TokenStateChange", "time_ms", `9223372036854775807`, true},
		{"users.behaviors.pushnotification.TokenStateChange", "time_ms", `9223372036854775808`, false},
		{"users.behaviors.Purchase", "price", `19`, true},
		{"users.behaviors.Purchase", "price", `-1.5e2`, true},
		{"users.behaviors.Purchase", "price", `true`, false},
		{"users.behaviors.Purchase", "purchase_properties", `{"a":[1]}`, true},
		{"users.behaviors.Purchase", "purchase_properties", `"{}"`, false},
		{"users.messages.sms.InboundReceive", "media_urls", `[ "a" , null ]`, true},
		{"users.messages.sms.InboundReceive", "media_urls", `["a",1]`, false},
		{"users.messages.sms.InboundReceive", "media_urls", `"a"`, false},
	} {
		e, err := currents.Read([]byte(`{"event_type":"`+c.typ+`","id":"a","time":1,"properties":{"`+c.field+`":`+c.value+`}}`), "", arrival)
		if err != nil {
			t.Fatal(err)
		}
		if drifts := currents.Drifts(&e); (drifts == nil) != c.fits {
			t.Errorf("%s of %s: %v", c.value, c.field, drifts)
		}
	}
}

func TestDriftsAreBoundedAndKeepNothingOfTheEvent(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"event_type":"users.messages.email.Open","id":"a","time":1,"properties":{"` + strings.Repeat("ä", 500) + `":1`)
	for i := range 1000 {
		fmt.Fprintf(&b, `,"f%d":1`, i)
	}
	raw := []byte(b.String() + `}}`)
	e, err := currents.Read(raw, "", arrival)
	if err != nil {
		t.Fatal(err)
	}
	drifts := currents.Drifts(&e)
	clear(raw)
	if len(drifts) != 50 || len(drifts[0].Field) > 140 || drifts[1].Field != "properties.f0" {
		t.Errorf("%d drifts, the first two %+v", len(drifts), drifts[:2])
	}
}

func TestNoDriftCostsNothing(t *testing.T) {
	e, err := currents.Read([]byte(click), "", arrival)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { currents.Drifts(&e) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
