package ingest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// golden compares with a file under testdata, or writes it when GOLDEN=write is in the environment.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is different; rewrite it with GOLDEN=write\n%s", path, cmp.Diff(string(want), string(got)))
	}
}

// TestRecordsAreGolden holds the bytes of records, which others read, to files: the value as it is, and
// as goavro, which did not write it, shows it.
func TestRecordsAreGolden(t *testing.T) {
	for _, c := range []struct{ name, topic, kind, body string }{
		{"event", schema.CustomerEvents, "events", `{"id":"ord-1","user":{"external_id":"cus-48213","email":"Mira.Osei@example.com"},"name":"Order Completed",` +
			`"time":"2026-03-02T10:15:03.48+01:00","properties":{ "order_id": 820982911946154508, "total": 84.90 },"attributes":{"vip":true}}`},
		{"event_alias", schema.CustomerEvents, "events", `{"id":"seen-1","user":{"alias":{"label":"anonymous_id","name":"a-1"}},"name":"Gesehen äöü","time":"2126-01-01T00:00:00Z"}`},
		{"page", schema.CustomerEvents, "page", `{"messageId":"p-1","userId":4711,"name":"Home","properties":{"path":"/"},"integrations":{"Braze":false},` +
			`"timestamp":"2026-03-02T09:15:01Z","sentAt":"2026-03-02T09:15:02Z"}`},
		{"identify", schema.CustomerProfiles, "identify", `{"messageId":"i-1","userId":"cus-48213","anonymousId":"a-1","traits":{"email":"mira.osei@example.com","firstName":"Mira",` +
			`"birthday":"1990-04-03","gender":"female","plan":"gold","score":1.50,"lost":null},"timestamp":"2026-03-02T09:15:01Z"}`},
		{"group", schema.CustomerProfiles, "group", `{"messageId":"g-1","userId":"cus-48213","groupId":77,"traits":{"name":"Acme"}}`},
		{"alias", schema.CustomerProfiles, "alias", `{"messageId":"a-1","userId":"cus-48213","previousId":"a-1"}`},
		{"commerce", schema.CommerceEvents, "commerce", anOrder},
		{"profile", schema.CustomerProfiles, "profiles", aChange},
		{"case", schema.SupportCases, "cases", aCase},
		{"content", schema.ContentItems, "content", aBanner},
		{"content_of_a_locale", schema.ContentItems, "content", `{"event_id":"spring-de-1","collection":"banners","id":"spring","locale":"de-AT","body":{"headline":"Frühling"}}`},
		{"content_withdrawn", schema.ContentItems, "withdrawal", `{"event_id":"spring-gone","collection":"banners","id":"spring","body":{}}`},
		{"crm_change", schema.CRMChanges, "changes", aCRMChange},
		{"crm_change_of_nobody", schema.CRMChanges, "changes", said("chg-8", "")},
		{"engagement", schema.BrazeEngagements, "currents", batchOf(aClick)},
		{"engagement_of_nobody", schema.BrazeEngagements, "currents", `{"events":[{"event_type":"agentconsole.ToolInvocation","id":"0d0c","time":1700000000,"user":{},"properties":{"n":9007199254740993}}]}`},
		{"action", schema.BrazeActions, "actions", writeBack},
		{"action_of_nobody", schema.BrazeActions, "actions", "said=äöü\xff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := brazeDoor(t, "", nil)
			rq := &request{service: d.Service, window: d.window, holder: d.ring[0], received: arrival, body: []byte(c.body)}
			var err error
			switch c.kind {
			case "currents":
				rq.holder = d.currents.holder
				err = rq.readBatch("eu-retail")
			case "actions":
				r := httptest.NewRequest(http.MethodPost, "/v1/braze/webhooks/crm-writeback?ws=eu-retail", nil)
				r.Header.Set("Content-Type", "text/plain; charset=utf-8")
				rq.readAction("crm-writeback", d.sources.Action("crm-writeback"), r)
			case "events":
				err = rq.parse(parseEvents)
			case "commerce":
				err = rq.parse(parseCommerce)
			case "profiles":
				err = rq.parse(parseProfiles)
			case "cases":
				err = rq.parse(parseCases)
			case "content":
				err = rq.parse(parseContent)
			case "changes":
				err = rq.parse(parseChanges)
			case "withdrawal":
				if err = rq.parse(parseContent); err == nil {
					rq.items = withdrawal(rq.items[0].content)
				}
			default:
				rq.items = translated(t, c.kind, c.body)
			}
			if err != nil {
				t.Fatal(err)
			}
			rq.makeSlots()
			rq.makeRoom()
			if err := rq.encode(&rq.items[0], &rq.slots[0]); err != nil {
				t.Fatal(err)
			}
			r := rq.slots[0].record
			golden(t, c.name+".avro", r.Value)
			golden(t, c.name+".json", asJSON(t, c.topic, &r))
		})
	}
}

// asJSON shows a record to a person.
func asJSON(t *testing.T, topic string, r *stream.Record) []byte {
	t.Helper()
	headers := map[string]string{}
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(map[string]any{"topic": r.Topic, "key": string(r.Key), "headers": headers, "value": decode(t, topic, r.Value)}); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}
