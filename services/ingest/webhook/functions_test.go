package webhook_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// TestWhatProgramsTakeForAnAddressAttributeSyncTakesToo holds the functions to its rules: a change to a
// profile that it refuses is refused whole, and an unsubscribe may be in it.
func TestWhatProgramsTakeForAnAddressAttributeSyncTakesToo(t *testing.T) {
	long := strings.Repeat("x", 250)
	for _, c := range []struct{ function, value, want string }{
		{"as_email", `"mira.osei+shop@mail.example.com"`, `"mira.osei+shop@mail.example.com"`},
		{"as_email", `"mïra@exämple.org"`, `"mïra@exämple.org"`},
		{"as_email", `"mira@intranet"`, "null"},
		{"as_email", `"mira@.org"`, "null"},
		{"as_email", `"mira@example.org."`, "null"},
		{"as_email", `"mira@example..org"`, "null"},
		{"as_email", `"a,b@example.org"`, "null"},
		{"as_email", `"Mira <m@example.org>"`, "null"},
		{"as_email", `"a@b@example.org"`, "null"},
		{"as_email", `"\"m\"@example.org"`, "null"},
		{"as_email", `"@example.org"`, "null"},
		{"as_email", `"m a@example.org"`, "null"},
		{"as_email", `"` + long + `@e.org"`, "null"},
		{"as_email", `""`, "null"},
		{"as_email", "7", "null"},
		{"as_phone", `"+43 (664) 123-456"`, `"+43664123456"`},
		{"as_phone", `"+4312345"`, `"+4312345"`},
		{"as_phone", `"+43123"`, "null"},
		{"as_phone", `"0664 123456"`, "null"},
		{"as_phone", `"+0664123456"`, "null"},
		{"as_phone", `"+1234567890123456"`, "null"},
		{"as_phone", `""`, "null"},
		{"as_phone", "null", "null"},
		{"as_country", `"at"`, `"AT"`},
		{"as_country", `"XK"`, "null"},
		{"as_country", `"Austria"`, "null"},
		{"as_country", "43", "null"},
		{"as_language", `"de-AT"`, `"de"`},
		{"as_language", `"tlh"`, "null"},
		{"as_language", "null", "null"},
	} {
		text := fmt.Sprintf("sources:\n  a:\n    auth: {scheme: bearer, secret_env: S}\n    map: '{to: \"event\", name: \"e\", user: {external_id: \"u\"}, properties: {is: (.body.v | %s)}}'\n", c.function)
		sources, err := webhook.Parse([]byte(text), options(map[string]string{"S": "s"}))
		if err != nil {
			t.Fatal(err)
		}
		m := sources.Find("a").Translate(t.Context(), call(`{"v":`+c.value+`}`, arrival, "Content-Type", "application/json"))[0]
		if len(m.Outputs) != 1 || !strings.Contains(string(m.Outputs[0].JSON), `"is":`+c.want+`}`) {
			t.Errorf("%s of %s: %s; want %s", c.function, c.value, append([]webhook.Output(nil), m.Outputs...), c.want)
		}
	}
}

// TestAnUnsubscribeIsNotLostForItsNeighbours lets a shop say things of a customer that Braze does not take.
func TestAnUnsubscribeIsNotLostForItsNeighbours(t *testing.T) {
	source := shipped(t, map[string]string{"SHOPIFY_WEBHOOK_SECRETS": "s"}).Find("shopify")
	body := `{"id":7,"email":"mira@intranet","phone":"+43123","first_name":"` + strings.Repeat("x", 300) + `","last_name":"",` +
		`"default_address":{"city":"Pristina","country_code":"XK"},"email_marketing_consent":{"state":"unsubscribed"}}`
	m := source.Translate(t.Context(), call(body, arrival, "Content-Type", "application/json", "X-Shopify-Topic", "customers/update", "X-Shopify-Event-Id", "e"))[0]
	want := `"set":{"email_subscribe":"unsubscribed","first_name":"` + strings.Repeat("x", 255) + `","home_city":"Pristina"}`
	if len(m.Outputs) != 1 || !strings.Contains(string(m.Outputs[0].JSON), want) {
		t.Errorf("%s %s: %s", m.Refuse, m.Detail, m.Outputs)
	}
}
