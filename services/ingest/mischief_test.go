package ingest

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// What a hostile reading found. Each of these once went another way.

func TestOnlyWhoIsNamedIsErased(t *testing.T) {
	for path, want := range map[string]string{
		"a%2541": "a%41", "100%25": "100%", "eu%2Fa%2541": "eu/a%41", "eu%2Fcrm-1": "eu/crm-1", "x%252Fy": "x%2Fy", "a+b": "a+b", "%FF": "",
	} {
		d := newDoor(func(o *Options) { o.Keys = Keys{{Name: "ops", Key: "k", Erase: true}} })
		w := d.ask("DELETE", "/v1/users/"+path, "", "X-Api-Key", "k")
		got := ""
		if len(d.shelf.records) > 0 {
			got = d.shelf.records[0].key
		}
		if got != want {
			t.Errorf("%s: erased %q, want %q (%d %s)", path, got, want, w.Code, w.Body)
		}
	}
}

func TestTheWellKnownKeyErasesNobodyOnADoorThatIsOpenToAll(t *testing.T) {
	d := newDoor(func(o *Options) { o.Addr, o.Keys = ":8080", Keys{{Name: "default", Key: "dev"}} })
	if w := d.ask("DELETE", "/v1/users/crm-1", "", "X-Api-Key", "dev"); w.Code != 403 {
		t.Errorf("answered %d", w.Code)
	}
}

func TestIdsOfTwoSourcesAreNeverOne(t *testing.T) {
	d := newDoor(nil)
	for _, c := range []struct{ id, source string }{{"b", "a"}, {"a", "b"}, {"x", "x"}, {"y", "y"}} {
		w := d.ask("POST", "/v1/commerce", delivered(c.id, `,"source":"`+c.source+`"`), "X-Api-Key", "k1")
		if got := readAnswer(t, w.Body).statuses(); got != "accepted" {
			t.Errorf("id %s of source %s: %s", c.id, c.source, got)
		}
	}
}

func TestALinkIsOfWhomTheMessageKnewBefore(t *testing.T) {
	d := newDoor(nil)
	body := `{"userId":"u","anonymousId":"anon","previousId":"bad\u0000` + strings.Repeat("x", 3000) + `","messageId":"` + strings.Repeat("m", 255) + `"}`
	if w := d.track("/v1/identify", body); w.Code != 200 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	var keys []string
	for _, r := range d.shelf.records {
		keys = append(keys, r.key)
		if n := len(r.headers["event-id"]); n > MaxID {
			t.Errorf("an id of %d bytes", n)
		}
	}
	if !strings.Contains(strings.Join(keys, " "), "alias:anonymous_id:anon") {
		t.Errorf("the records are of %q", keys)
	}
}

func TestABodyOfEmptyLinesStaysSmall(t *testing.T) {
	d := newDoor(nil)
	one := `{"lines":[` + strings.Repeat("{},", 9999) + `{}]}`
	body := "[" + strings.Repeat(one+",", 5_000_000/len(one)-1) + one + "]"
	d.ask("POST", "/v1/commerce", body, "X-Api-Key", "k1")
	rq := d.newRequest()
	rq.scan.reset([]byte(body))
	if _, err := parseCommerce(&rq.scan, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(rq.scan.pool.lines); n > maxPooled {
		t.Errorf("%d lines are kept", n)
	}
}

// hookDoorOf is a door with the sources of a file.
func hookDoorOf(t *testing.T, yaml string, env map[string]string) *door {
	t.Helper()
	sources, err := webhook.Parse([]byte(yaml), webhook.Options{Presets: shippedSources, Env: func(n string) (string, bool) { v, ok := env[n]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{shelf: &shelf{inline: true}, metrics: prometheus.NewRegistry()}
	d.Service = New(testOptions(), Deps{
		Producer: d.shelf, Letters: d.shelf, Kafka: stream.Config{}, Sources: sources,
		IDs:     topics.IDs{schema.CustomerEvents: 7, schema.CustomerProfiles: 8, schema.CommerceEvents: 9, schema.SupportCases: 10},
		Metrics: d.metrics, Log: zerolog.Nop(),
	})
	d.handler = d.Handler()
	return d
}

func TestADeadLetterKeepsNoSecretOfAProxy(t *testing.T) {
	d := hookDoorOf(t, `
sources:
  desk:
    auth: {scheme: token, query: token, secret_env: S}
    map: dead_letter("unmappable"; "x")
`, map[string]string{"S": "s3cr3t"})
	r := httptest.NewRequest("POST", "/v1/hooks/desk?token=s3cr3t", strings.NewReader(`{}`))
	for _, name := range []string{"X-Original-Url", "X-Forwarded-Uri", "X-Forwarded-Access-Token", "Cf-Access-Jwt-Assertion", "X-Amzn-Oidc-Data", "Referer"} {
		r.Header.Set(name, "/v1/hooks/desk?token=s3cr3t")
	}
	d.hook(r)
	if len(d.shelf.letters) != 1 {
		t.Fatalf("%d letters", len(d.shelf.letters))
	}
	for _, h := range d.shelf.letters[0].Headers {
		if strings.Contains(string(h.Value), "s3cr3t") {
			t.Errorf("%s is kept: %s", h.Key, h.Value)
		}
	}
}

func TestASubjectThatIsGivenTwiceIsNobodys(t *testing.T) {
	d := hookDoorOf(t, `
sources:
  s:
    auth: {scheme: mtls, header: X-Subject, subjects: ["CN=good"], and: {scheme: token, header: X-Proxy, secret_env: S}}
    map: empty
`, map[string]string{"S": "p"})
	r := httptest.NewRequest("POST", "/v1/hooks/s", strings.NewReader(`{}`))
	r.Header.Set("X-Proxy", "p")
	r.Header.Add("X-Subject", "CN=good")
	r.Header.Add("X-Subject", "CN=mallory")
	if w := d.hook(r); w.Code != 401 {
		t.Errorf("answered %d", w.Code)
	}
}

func TestWhatWasADeadLetterMayBecomeARecordWhenItIsSentAgain(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	send := func(body string) {
		r := httptest.NewRequest("POST", "/v1/hooks/stripe", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if w := d.hook(signHook(r, []byte(body))); w.Code != 200 {
			t.Fatalf("answered %d", w.Code)
		}
	}
	const subscription = `{"id":"evt_sub","object":"event","type":"customer.subscription.created","created":1772442901,"livemode":true,"data":{"object":{"id":"sub_1","object":"subscription","customer":"cus_9","status":"active"}}}`
	send(subscription) // of nobody
	send(`{"id":"evt_co","object":"event","type":"checkout.session.completed","created":1772442902,"livemode":true,"data":{"object":{"id":"cs_1","object":"checkout.session","customer":"cus_9","client_reference_id":"u-9","currency":"eur","payment_status":"paid","amount_total":100}}}`)
	d.shelf.records = nil
	send(subscription) // it is known now whose it is
	var got []string
	for _, r := range d.shelf.records {
		got = append(got, r.topic)
	}
	if diff := cmp.Diff([]string{schema.CustomerEvents, schema.CustomerProfiles}, got); diff != "" {
		t.Errorf("records (-want +got)\n%s", diff)
	}
}

func TestAControlCharacterDoesNotLoseAnOrder(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	d.hook(shopifyHook("orders/create", "e-1", `{"id":1,"currency":"EUR","total_price":"1.00","customer":{"id":7,"email":"a\u0001@b.at"},"line_items":[{"product_id":1,"variant_id":2,"title":"tab\there","quantity":1,"price":"1.00"}]}`))
	for _, l := range d.shelf.letters {
		t.Errorf("a dead letter: %s %s", l.Reason, l.Detail)
	}
	if len(d.shelf.records) != 1 {
		t.Errorf("%d records", len(d.shelf.records))
	}
}

func TestARefundInTwoCurrenciesIsNotAddedUp(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	d.hook(shopifyHook("refunds/create", "e-1", `{"order_id":1,"email":"a@b.at","transactions":[{"kind":"refund","status":"success","amount":"5.00","currency":"USD"},{"kind":"refund","status":"success","amount":"5.00","currency":"EUR"}]}`))
	if len(d.shelf.records) != 0 || len(d.shelf.letters) != 1 || !strings.Contains(d.shelf.letters[0].Detail, "currencies") {
		t.Errorf("%d records, letters %v", len(d.shelf.records), d.shelf.letters)
	}
}

func TestAShopMayHaveALongName(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	r := shopifyHook("orders/create", "e", `{"id":1,"currency":"EUR","total_price":"1.00","customer":{"id":7},"line_items":[]}`)
	r.Header.Set("X-Shopify-Shop-Domain", strings.Repeat("s", 63)+".myshopify.com")
	d.hook(r)
	if len(d.shelf.records) != 1 {
		t.Errorf("%d records, letters %v", len(d.shelf.records), d.shelf.letters)
	}
}

func TestWhoIsErasedIsForgottenByTheWebhooksToo(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	d.ring[0].mayErase = true
	refund := func(event string) (letters int) {
		d.hook(shopifyHook("refunds/create", event, `{"id":9,"order_id":1,"transactions":[{"kind":"refund","status":"success","amount":"1.00","currency":"EUR"}]}`))
		return len(d.shelf.letters)
	}
	d.hook(shopifyHook("orders/create", "e-1", `{"id":1,"currency":"EUR","total_price":"1.00","customer":{"id":7},"line_items":[]}`))
	if n := refund("e-2"); n != 0 {
		t.Fatalf("whose order it was is not known: %v", d.shelf.letters)
	}
	if w := d.ask("DELETE", "/v1/users/7", "", "X-Api-Key", "k1"); w.Code != 202 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if n := refund("e-3"); n != 1 {
		t.Error("whose order it was is still known")
	}
}
