package ingest

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// brazeDoor is a front door that knows the shipped actions, and those of a file.
func brazeDoor(t testing.TB, actions string, change func(*Options)) *door {
	t.Helper()
	sources, err := webhook.Parse([]byte(actions), webhook.Options{Presets: shippedSources})
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions()
	o.CurrentsTokens = Tokens{"t0k3n", "0ld.t0k3n"}
	if change != nil {
		change(&o)
	}
	d := &door{shelf: &shelf{inline: true}, metrics: prometheus.NewRegistry()}
	d.Service = New(o, Deps{
		Producer: d.shelf, Letters: d.shelf, Kafka: stream.Config{TopicPrefix: "eu."}, Sources: sources,
		IDs: topics.IDs{
			schema.CustomerEvents: 7, schema.CustomerProfiles: 8, schema.CommerceEvents: 9, schema.SupportCases: 10, schema.CRMChanges: 14,
			schema.BrazeEngagements: 11, schema.BrazeActions: 12, schema.ContentItems: 13,
		},
		ContentPartitions: 12,
		Metrics:           d.metrics, Log: zerolog.Nop(),
	})
	d.handler = d.Handler()
	return d
}

func action(t *testing.T, d *door, i int) map[string]any {
	t.Helper()
	if len(d.shelf.records) <= i {
		t.Fatalf("there are %d records, and %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	return decode(t, schema.BrazeActions, d.shelf.records[i].value)
}

const writeBack = `{"schema": "crm-writeback/1", "idempotency_key": "41f7:7d3b:66a8:66a1", "external_id": "crm-0048213",
 "braze_id": "66a1f0c2b7e4d90012ab34cd", "time": 1785315720, "change": {"field": "email_optin", "value": "unsubscribed", "n": 12345678901234567890}}`

func TestAWebhookBecomesAnAction(t *testing.T) {
	d := brazeDoor(t, "", nil)
	w := d.ask("POST", "/v1/braze/webhooks/crm-writeback?ws=eu-retail", writeBack, "Authorization", "Bearer k1", "Content-Type", "application/json",
		"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if w.Code != 200 || w.Body.String() != `{"status":"accepted","id":"41f7:7d3b:66a8:66a1"}` {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	got := action(t, d, 0)
	if at, ok := got["received_at"].(time.Time); !ok || time.Since(at) > time.Minute {
		t.Errorf("received at %v", got["received_at"])
	}
	delete(got, "received_at")
	want := map[string]any{
		"event_id": "41f7:7d3b:66a8:66a1", "user_id": "crm-0048213", "external_id": "crm-0048213", "braze_id": "66a1f0c2b7e4d90012ab34cd",
		"alias_label": nil, "alias_name": nil, "email": nil, "phone": nil, "action_name": "crm-writeback",
		"occurred_at": time.Unix(1785315720, 0).UTC(), "source": "shop", "workspace": "eu-retail", "content_type": "application/json",
		"payload_json": writeBack, "payload": nil,
	}
	if at := want["occurred_at"].(time.Time); at.After(time.Now()) { // a clock that runs ahead does not become the truth
		delete(want, "occurred_at")
		delete(got, "occurred_at")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the action (-want +got)\n%s", diff)
	}
	r := d.shelf.records[0]
	wantHeaders := map[string]string{
		"event-id": "41f7:7d3b:66a8:66a1", "source": "shop", "origin": "ingest", "hops": "0",
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	if diff := cmp.Diff(wantHeaders, r.headers); diff != "" || r.topic != "eu.braze.actions" || r.key != "crm-0048213" {
		t.Errorf("topic %s, key %s, headers (-want +got)\n%s", r.topic, r.key, diff)
	}
}

func TestWhomAnActionIsAbout(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       event.User
		key        string
	}{
		{"ids at the top go before those of the user", `{"external_id":"a","user":{"external_id":"b","email":"x@y.z"}}`, event.User{ExternalID: "a", Email: "x@y.z"}, "a"},
		{"Currents' word for the external id", `{"user":{"external_user_id":"b"}}`, event.User{ExternalID: "b"}, "b"},
		{"user_id means two things in Braze, and so none", `{"user_id":"u"}`, event.User{}, ""},
		{"a number is its digits, all of them", `{"external_id":12345678901234567890}`, event.User{ExternalID: "12345678901234567890"}, "12345678901234567890"},
		{"what Liquid left empty is left out", `{"external_id":"","braze_id":" ","email":"a@b.at"}`, event.User{Email: "a@b.at"}, "email:a@b.at"},
		{"blanks around an id are the template's", `{"external_id":" crm-1\n"}`, event.User{ExternalID: "crm-1"}, "crm-1"},
		{"an alias in our form", `{"alias":{"label":"l","name":"n"}}`, event.User{AliasLabel: "l", AliasName: "n"}, "alias:l:n"},
		{"an alias in Braze's", `{"user":{"user_alias":{"alias_label":"l","alias_name":"n"}}}`, event.User{AliasLabel: "l", AliasName: "n"}, "alias:l:n"},
		{"half an alias is none", `{"alias":{"name":"n"},"phone":"+431234567"}`, event.User{Phone: "+431234567"}, "phone:+431234567"},
		{"what is no address and no number is left out", `{"email":"none","phone":"0664 1"}`, event.User{}, ""},
		{"an id too long to be one", `{"external_id":"` + strings.Repeat("x", MaxExternalID+1) + `"}`, event.User{}, ""},
		{"a name that stands twice: the last counts", `{"external_id":"a","external_id":"b"}`, event.User{ExternalID: "b"}, "b"},
		{"a user that is no object", `{"user":"a"}`, event.User{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			if w := d.ask("POST", "/v1/braze/webhooks/a", c.body, "X-Api-Key", "k1"); w.Code != 200 {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			got := action(t, d, 0)
			text := func(name string) string { s, _ := got[name].(string); return s }
			user := event.User{
				ExternalID: text("external_id"), BrazeID: text("braze_id"), AliasLabel: text("alias_label"),
				AliasName: text("alias_name"), Email: text("email"), Phone: text("phone"),
			}
			if diff := cmp.Diff(c.want, user); diff != "" {
				t.Errorf("the user (-want +got)\n%s", diff)
			}
			if c.key == "" {
				c.key = "action:a:" + text("event_id")
			}
			if key := d.shelf.records[0].key; key != c.key || text("user_id") != c.key {
				t.Errorf("key %q, user_id %q, want %q", key, text("user_id"), c.key)
			}
			if text("payload_json") != c.body {
				t.Errorf("the body is %s", text("payload_json"))
			}
		})
	}
}

func TestWhatAnActionIsKnownBy(t *testing.T) {
	long := strings.Repeat("k", MaxID+1)
	for _, c := range []struct{ name, body, header, want string }{
		{"the surest word goes first", `{"id":"1","event_id":"2","idempotency_key":"3"}`, "4", "3"},
		{"then event_id", `{"id":"1","event_id":"2"}`, "4", "2"},
		{"then id", `{"id":7001}`, "4", "7001"},
		{"then the header", `{"id":""}`, "4", "4"},
		{"an id that is too long is passed over", `{"id":"` + long + `"}`, "4", "4"},
		{"and so is a header", `{}`, long, "sha256:"},
		{"else a hash of what came", `{}`, "", "sha256:"},
		{"an id below the top is of something else", `{"user":{"id":"1"}}`, "", "sha256:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			d.ask("POST", "/v1/braze/webhooks/a", c.body, "X-Api-Key", "k1", "Idempotency-Key", c.header)
			got, _ := action(t, d, 0)["event_id"].(string)
			if got != c.want && !(strings.HasSuffix(c.want, ":") && strings.HasPrefix(got, c.want)) {
				t.Errorf("it is known by %q, want %q", got, c.want)
			}
			if again := d.ask("POST", "/v1/braze/webhooks/a", c.body, "X-Api-Key", "k1", "Idempotency-Key", c.header); again.Code != 200 || !strings.Contains(again.Body.String(), "duplicate") {
				t.Errorf("a repeat is answered %d %s", again.Code, again.Body)
			}
			if n := len(d.shelf.records); n != 1 {
				t.Errorf("%d records", n)
			}
			d.ask("POST", "/v1/braze/webhooks/b", c.body, "X-Api-Key", "k1", "Idempotency-Key", c.header)
			if n := len(d.shelf.records); n != 2 {
				t.Errorf("another action of the same id makes %d records", n)
			}
		})
	}
}

func TestAnyBodyIsKept(t *testing.T) {
	for _, c := range []struct{ name, contentType, body, json string }{
		{"JSON, to the byte", "application/json; charset=utf-8", " {\"a\" : 1.50}\n", " {\"a\" : 1.50}\n"},
		{"JSON under another name", "text/plain", `[1]`, `[1]`},
		{"JSON that a quote in a name has broken", "application/json", `{"name": "the "best""}`, ""},
		{"a form", "application/x-www-form-urlencoded", "external_id=crm-7&answer=42", ""},
		{"XML", "application/xml", "<a/>", ""},
		{"bytes that are no text", "", "\xff\x00\xfe", ""},
		{"JSON that is not UTF-8", "application/json", "{\"a\":\"\xe4\"}", ""},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			if w := d.ask("POST", "/v1/braze/webhooks/any", c.body, "Authorization", basicOf("braze:k2"), "Content-Type", c.contentType); w.Code != 200 {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			got := action(t, d, 0)
			gotJSON, _ := got["payload_json"].(string)
			payload, _ := got["payload"].([]byte)
			if c.json != "" {
				c.body = ""
			}
			if gotJSON != c.json || string(payload) != c.body || got["source"] != "crm" {
				t.Errorf("JSON %q, else %q, from %v", gotJSON, payload, got["source"])
			}
			if c.name == "a form" && got["external_id"] != "crm-7" {
				t.Errorf("its user is %v", got["external_id"])
			}
		})
	}
}

func TestTheSameBytesAreOneActionForAWhile(t *testing.T) {
	for _, c := range []struct {
		name    string
		repeats string
		after   time.Duration // between the two
		want    int
	}{
		{"a retry of Braze's", "", 20 * time.Minute, 1},
		{"the same said again later is meant", "", 40 * time.Minute, 2},
		{"for as long as the file says", "{repeats: 2h}", 40 * time.Minute, 1},
		{"not at all where the file says so", "{repeats: 0s}", 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, edge := range []time.Duration{0, 7 * time.Minute, 29 * time.Minute, 30*time.Minute - time.Second} {
				d := brazeDoor(t, "actions: {leave: "+c.repeats+"}", nil)
				how := d.sources.Action("leave")
				ids := map[string]bool{}
				for _, at := range []time.Duration{edge, edge + c.after} {
					rq := d.newRequest()
					rq.holder, rq.counts, rq.body = d.ring[0], &d.ring[0].counts[routeActions], []byte(`{"said":"leave"}`)
					rq.received = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).Add(at)
					it := item{action: &event.Action{Name: "leave"}}
					if how.Repeats() > 0 {
						it.action.ID = rq.sameBytes(&it, nil, how.Repeats())
					}
					rq.items = append(rq.items, it)
					rq.accept()
					ids[rq.items[0].id()] = true
				}
				if len(d.shelf.records) != c.want || len(ids) != c.want {
					t.Errorf("from %v on: %d records, %d ids, want %d", edge, len(d.shelf.records), len(ids), c.want)
				}
			}
		})
	}
}

func TestTheQueryBelongsToWhatCame(t *testing.T) {
	d := brazeDoor(t, "", nil)
	for _, query := range []string{"user=1", "user=2", "user=1"} {
		d.ask("POST", "/v1/braze/webhooks/ping?"+query, "", "X-Api-Key", "k1")
	}
	if n := len(d.shelf.records); n != 2 {
		t.Errorf("%d records", n)
	}
}

func TestAPostbackIsKnownByItsSendAndStatus(t *testing.T) {
	d := brazeDoor(t, "", nil)
	post := func(status, at string) int {
		body := `{"dispatch_id":"9c1e5b7f","status":"` + status + `","metadata":{"` + status + `_at":"` + at + `","campaign_api_id":"2b7d","external_send_id":"order-77120"}}`
		return d.ask("POST", "/v1/braze/webhooks/transactional-postback?key=k1", body).Code
	}
	for range 2 {
		if got := [...]int{post("sent", "2024-09-14T06:31:01.000+00:00"), post("bounced", "2024-09-14T06:31:08.250+00:00")}; got != [...]int{200, 200} {
			t.Errorf("answered %v", got)
		}
	}
	var got []string
	for i := range d.shelf.records {
		a := action(t, d, i)
		got = append(got, a["event_id"].(string), a["occurred_at"].(time.Time).Format(time.RFC3339Nano))
	}
	want := []string{"9c1e5b7f/sent", "2024-09-14T06:31:01Z", "9c1e5b7f/bounced", "2024-09-14T06:31:08.25Z"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the actions (-want +got)\n%s", diff)
	}
}

func TestAnActionIsReadAsItsEntrySays(t *testing.T) {
	const file = `
actions:
  form:
    functions: 'def member: .body.answers.member;'
    dedup: '[.headers["x-form"], .query.page, .body.answers.n]'
    identity: '{external_id: member, email: .body.contact}'
    time: .body.at * 1000
`
	d := brazeDoor(t, file, nil)
	const body = `{"id":"campaign-1","external_id":"nobody","contact":"a@b.at","at":1700000000,"answers":{"member":7045678901234567891,"n":3}}`
	d.ask("POST", "/v1/braze/webhooks/form?page=2", body, "X-Api-Key", "k1", "X-Form", "survey")
	a := action(t, d, 0)
	got := []any{a["event_id"], a["external_id"], a["email"], a["occurred_at"]}
	want := []any{"survey/2/3", "7045678901234567891", "a@b.at", time.Unix(1700000000, 0).UTC()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the action (-want +got)\n%s", diff)
	}
	// What a program cannot make anything of is kept without what it should have said, and convention does
	// not say it instead.
	if w := d.ask("POST", "/v1/braze/webhooks/form", `external_id: x`, "X-Api-Key", "k1", "Idempotency-Key", "h"); w.Code != 200 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if a := action(t, d, 1); !strings.HasPrefix(a["event_id"].(string), "sha256:") || a["external_id"] != nil || string(a["payload"].([]byte)) != "external_id: x" {
		t.Errorf("kept as %v", a)
	}
}

func TestWhoMayActNeedsAKey(t *testing.T) {
	for _, c := range []struct {
		name, path, header, value string
		want                      int
	}{
		{"bearer", "a", "Authorization", "Bearer k1", 200},
		{"X-Api-Key", "a", "X-Api-Key", "k2", 200},
		{"the password of Basic", "a", "Authorization", basicOf("anybody:k1"), 200},
		{"the user of Basic", "a", "Authorization", basicOf("k1:"), 200},
		{"none", "a", "X-Nothing", "", 401},
		{"another", "a", "Authorization", "Bearer k3", 401},
		{"one in the URL where that is not said", "a?key=k1", "X-Nothing", "", 401},
		{"a wrong one in the URL", "transactional-postback?key=k3", "X-Nothing", "", 401},
		{"the token of Currents is no key", "a", "Authorization", "Bearer t0k3n", 401},
		{"a name that is none", "a%20b", "X-Api-Key", "k1", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			w := d.ask("POST", "/v1/braze/webhooks/"+c.path, `{}`, c.header, c.value)
			if w.Code != c.want || len(d.shelf.records) != map[int]int{200: 1}[c.want] {
				t.Errorf("answered %d %s with %d records", w.Code, w.Body, len(d.shelf.records))
			}
		})
	}
}

func TestTheKeyInTheURLGoesNowhere(t *testing.T) {
	d := brazeDoor(t, "", nil)
	d.shelf.fail = func(n int) error { return map[int]error{0: kerr.MessageTooLarge}[n] }
	w := d.ask("POST", "/v1/braze/webhooks/transactional-postback?key=k1&ws=eu", `{}`)
	if w.Code != 200 || len(d.shelf.letters) != 1 {
		t.Fatalf("answered %d %s with %d letters", w.Code, w.Body, len(d.shelf.letters))
	}
	for _, h := range d.shelf.letters[0].Headers {
		if bytes.Contains(h.Value, []byte("k1")) {
			t.Errorf("%s is %s", h.Key, h.Value)
		}
	}
}

func TestAnActionIsAnsweredAsBrazeTriesAgain(t *testing.T) {
	d := brazeDoor(t, "", nil)
	d.shelf.fail = func(int) error { return errors.New("away") }
	w := d.ask("POST", "/v1/braze/webhooks/a", writeBack, "X-Api-Key", "k1")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Fatalf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	d.shelf.fail = nil
	if w := d.ask("POST", "/v1/braze/webhooks/a", writeBack, "X-Api-Key", "k1"); w.Code != 200 || len(d.shelf.records) != 1 {
		t.Errorf("the repeat is answered %d, and there are %d records", w.Code, len(d.shelf.records))
	}
}

func TestAnActionThatFitsNoRecordIsADeadLetter(t *testing.T) {
	d := brazeDoor(t, "", nil)
	d.shelf.fail = func(n int) error { return map[int]error{0: kerr.MessageTooLarge}[n] }
	body := `{"id":"big","external_id":"u","text":"` + strings.Repeat("x", 2_000_000) + `"}`
	for range 2 {
		if w := d.ask("POST", "/v1/braze/webhooks/a?ws=eu", body, "X-Api-Key", "k1", "Content-Type", "application/json"); w.Code != 200 {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
	}
	if len(d.shelf.records) != 0 || len(d.shelf.letters) != 1 {
		t.Fatalf("%d records, %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	l := d.shelf.letters[0]
	if l.Reason != "refused_by_kafka" || string(l.Value) != body || l.EventID != "big" || l.OriginTopic != "/v1/braze/webhooks/a" {
		t.Errorf("a letter %s of %d bytes, %s from %s", l.Reason, len(l.Value), l.EventID, l.OriginTopic)
	}
	checkLaw(t, d.metrics, 2, 0)
}
