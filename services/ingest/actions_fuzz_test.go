package ingest

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/schema"
)

// FuzzActions holds the door to what it promises whatever a webhook sends: no panic, a yes, and a record that
// holds all of it.
func FuzzActions(f *testing.F) {
	for _, seed := range []string{"", "{}", writeBack, `{"user":{"alias":{"label":"l","name":"n"}},"time":"1700000000","id":1e2}`, `{"a":"\ud800"}`, "a=b&external_id=%ff", "\xff", `{"id":"\u0000"}`} {
		f.Add([]byte(seed), "application/json", "k=v")
		f.Add([]byte(seed), "application/x-www-form-urlencoded", "ws=%ff")
	}
	d := brazeDoor(f, "", func(o *Options) { o.DedupEntries = 0 })
	f.Fuzz(func(t *testing.T, body []byte, contentType, query string) {
		d.shelf.records = nil
		r := httptest.NewRequest("POST", "/v1/braze/webhooks/transactional-postback", strings.NewReader(string(body)))
		r.URL.RawQuery = query
		r.Header.Set("X-Api-Key", "k1")
		r.Header["Content-Type"] = []string{contentType}
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		if w.Code != 200 || len(d.shelf.records) != 1 {
			t.Fatalf("answered %d %s with %d records", w.Code, w.Body, len(d.shelf.records))
		}
		a := decode(t, schema.BrazeActions, d.shelf.records[0].value)
		text, _ := a["payload_json"].(string)
		rest, _ := a["payload"].([]byte)
		if text+string(rest) != string(body) || a["event_id"] == "" || a["user_id"] != d.shelf.records[0].key {
			t.Fatalf("kept %q and %q of %q as %v", text, rest, body, a)
		}
		again := httptest.NewRequest("POST", "/v1/braze/webhooks/any", strings.NewReader(string(body)))
		again.Header.Set("X-Api-Key", "k1")
		w = httptest.NewRecorder()
		d.handler.ServeHTTP(w, again)
		if w.Code != 200 || len(d.shelf.records) != 2 {
			t.Fatalf("by convention: answered %d %s", w.Code, w.Body)
		}
	})
}
