package ingest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehq/sluice/pkg/quota"
)

func basicOf(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// track sends a body to the tracking API as the holder of the first key.
func (d *door) track(path, body string) *httptest.ResponseRecorder {
	return d.ask("POST", path, body, "Authorization", basicOf("k1:"))
}

const seen = `{"userId":"u","event":"Seen","messageId":"m1"}`

func TestTrackingPathsLeadToTheirTopics(t *testing.T) {
	for _, c := range []struct{ path, body, topic string }{
		{"/v1/track", seen, "eu.customer.events"},
		{"/v1/t", seen, "eu.customer.events"},
		{"/v1/track/", seen, "eu.customer.events"},
		{"/v1/t/?b=1&c=2", seen, "eu.customer.events"},
		{"/v1/page", `{"userId":"u","name":"Home"}`, "eu.customer.events"},
		{"/v1/p", `{"userId":"u"}`, "eu.customer.events"},
		{"/v1/screen", `{"userId":"u"}`, "eu.customer.events"},
		{"/v1/s", `{"userId":"u"}`, "eu.customer.events"},
		{"/v1/identify", `{"userId":"u","traits":{"a":1}}`, "eu.customer.profiles"},
		{"/v1/i", `{"userId":"u"}`, "eu.customer.profiles"},
		{"/v1/group", `{"userId":"u","groupId":"g"}`, "eu.customer.profiles"},
		{"/v1/g", `{"userId":"u","groupId":"g"}`, "eu.customer.profiles"},
		{"/v1/batch", `{"batch":[{"type":"track","userId":"u","event":"Seen"}]}`, "eu.customer.events"},
		{"/v1/b/", `{"batch":[{"type":"identify","userId":"u"}]}`, "eu.customer.profiles"},
	} {
		t.Run(c.path, func(t *testing.T) {
			d := newDoor(nil)
			w := d.track(c.path, c.body)
			if w.Code != 200 || w.Body.String() != `{"success":true}` {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if len(d.shelf.records) != 1 || d.shelf.records[0].topic != c.topic || d.shelf.records[0].key != "u" {
				t.Errorf("on the shelf: %+v", d.shelf.records)
			}
			checkLaw(t, d.metrics, 1, 1)
		})
	}
}

func TestWhoeverTurnsOutToBeSomebodyLeavesALink(t *testing.T) {
	for _, c := range []struct{ path, body, id string }{
		{"/v1/alias", `{"userId":"u","previousId":"a","messageId":"m"}`, "m:link"},
		{"/v1/a", `{"userId":"u","previousId":"a","messageId":"m"}`, "m:link"},
		{"/v1/identify", `{"userId":"u","anonymousId":"a","traits":{"b":1},"messageId":"m"}`, "m:link"},
	} {
		t.Run(c.path, func(t *testing.T) {
			d := newDoor(nil)
			if w := d.track(c.path, c.body); w.Code != 200 {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			if len(d.shelf.records) != 2 {
				t.Fatalf("%d records", len(d.shelf.records))
			}
			profile, link := d.shelf.records[0], d.shelf.records[1]
			if profile.topic != "eu.customer.profiles" {
				profile, link = link, profile // the order of two topics is nobody's
			}
			if profile.topic != "eu.customer.profiles" || profile.key != "u" {
				t.Errorf("the change of the profile stands on %s for %s", profile.topic, profile.key)
			}
			if link.topic != "eu.customer.events" || link.key != "alias:anonymous_id:a" || link.headers["event-id"] != c.id {
				t.Errorf("the link stands on %s for %s with id %s, not behind what they did before", link.topic, link.key, link.headers["event-id"])
			}
			checkLaw(t, d.metrics, 2, 2)
		})
	}
}

func TestWriteKeysAreFoundWhereClientsPutThem(t *testing.T) {
	inBody := `{"writeKey":"k1",` + seen[1:]
	for _, c := range []struct {
		name, path, body string
		header           []string
		code             int
	}{
		{"Basic", "/v1/t", seen, []string{"Authorization", basicOf("k1:")}, 200},
		{"Basic without the colon", "/v1/t", seen, []string{"Authorization", basicOf("k1")}, 200},
		{"Basic with some password", "/v1/t", seen, []string{"Authorization", basicOf("k1:x")}, 200},
		{"the body", "/v1/t", inBody, nil, 200},
		{"the body, sent as text", "/v1/t", inBody, []string{"Content-Type", "text/plain"}, 200},
		{"the body, behind a token that we do not check", "/v1/t", inBody, []string{"Authorization", "Bearer eyJ"}, 200},
		{"the body, behind a key that nobody knows", "/v1/t", inBody, []string{"Authorization", basicOf("k9:")}, 200},
		{"Bearer alone", "/v1/t", seen, []string{"Authorization", "Bearer k1"}, 200},
		{"the envelope of a batch", "/v1/b", `{"batch":[{"type":"track","userId":"u","event":"Seen"}],"writeKey":"k1"}`, nil, 200},
		{"each message of a batch", "/v1/b", `{"batch":[{"type":"track","userId":"u","event":"Seen","writeKey":"k1"}]}`, nil, 200},
		{"nowhere", "/v1/t", seen, nil, 401},
		{"a key nobody knows", "/v1/t", `{"writeKey":"k9",` + seen[1:], nil, 401},
		{"Basic that cannot be decoded", "/v1/t", seen, []string{"Authorization", "Basic !!!"}, 401},
		{"in the query, where logs would show it", "/v1/t?writeKey=k1", seen, nil, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(nil)
			w := d.ask("POST", c.path, c.body, c.header...)
			if w.Code != c.code {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			if want := map[int]int{200: 1}[c.code]; len(d.shelf.records) != want {
				t.Errorf("%d records", len(d.shelf.records))
			}
		})
	}
}

func TestABadMessageDoesNotSinkItsBatch(t *testing.T) {
	d := newDoor(nil)
	bad := `{ "type":"track", "userId":"u", "messageId":"m2" }`
	w := d.track("/v1/batch", `{"batch":[`+`{"type":"track",`+seen[1:]+`,`+bad+`,{"type":"identify","userId":"u","integrations":{"All":false}},7]}`)
	if w.Code != 200 || w.Body.String() != `{"success":true}` {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if len(d.shelf.records) != 1 || len(d.shelf.letters) != 2 {
		t.Fatalf("%d records, %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
	letters := map[string]string{}
	for _, l := range d.shelf.letters {
		if l.OriginTopic != "/v1/batch" || l.OriginPartition != -1 || l.OriginOffset != -1 || string(l.Headers[0].Value) != "shop" {
			t.Errorf("origin: %+v", l)
		}
		letters[l.Reason+": "+l.Detail] = string(l.Value)
	}
	want := map[string]string{"missing_field: event is required": bad, "not_an_object: must be an object": "7"}
	if diff := cmp.Diff(want, letters); diff != "" {
		t.Errorf("letters (-want +got):\n%s", diff)
	}
	if rejected, skipped := d.count(t, "rejected"), d.count(t, "skipped"); rejected != 2 || skipped != 1 {
		t.Errorf("rejected %d, skipped %d", rejected, skipped)
	}
	checkLaw(t, d.metrics, 4, 1)

	d.track("/v1/batch", `{"batch":[`+bad+`]}`)
	if len(d.shelf.letters) != 2 || d.count(t, "duplicate") != 1 {
		t.Errorf("the same message again: %d letters, %d duplicates", len(d.shelf.letters), d.count(t, "duplicate"))
	}
}

func TestRepeatedMessagesAreWrittenOnce(t *testing.T) {
	d := newDoor(nil)
	for range 3 {
		if w := d.track("/v1/t", seen); w.Code != 200 {
			t.Fatalf("got %d", w.Code)
		}
	}
	checkLaw(t, d.metrics, 3, 1)
	if n := len(d.shelf.records); n != 1 {
		t.Errorf("%d records", n)
	}
}

func TestTrackingClientsAreAnsweredAsTheyKnowIt(t *testing.T) {
	for _, c := range []struct {
		name, body string
		header     []string
		change     func(*door)
		code       int
		retry      string
	}{
		{"JSON that breaks off", `{"event"`, nil, nil, 400, ""},
		{"a body that is too large", `{"event":"` + strings.Repeat("x", 5000) + `"}`, nil, nil, 400, ""},
		{"an encoding nobody knows", seen, []string{"Content-Encoding", "br"}, nil, 400, ""},
		{"no batch", `[]`, nil, nil, 400, ""},
		{"Kafka is away", seen, nil, func(d *door) { d.shelf.fail = func(int) error { return errors.New("no broker") } }, 503, "2"},
		{"Kafka is away for a dead letter", `{"userId":"u"}`, nil, func(d *door) { d.shelf.fail = func(int) error { return errors.New("no broker") } }, 503, "2"},
		{"Kafka takes no such record", seen, nil, func(d *door) { d.shelf.fail = func(int) error { return kerr.MessageTooLarge } }, 503, "2"},
		{"too many requests", seen, nil, func(d *door) { d.track("/v1/t", seen) }, 429, "30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(func(o *Options) {
				o.MaxBody = 5001
				if c.code == 429 {
					o.Rate = quota.Rate{Count: 1, Per: 30 * time.Second}
				}
			})
			if c.change != nil {
				c.change(d)
			}
			w := d.ask("POST", "/v1/t", c.body, append([]string{"Authorization", basicOf("k1:")}, c.header...)...)
			if w.Code != c.code || w.Header().Get("Retry-After") != c.retry {
				t.Errorf("got %d, Retry-After %q, %s", w.Code, w.Header().Get("Retry-After"), w.Body)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Errorf("not JSON: %s", w.Body)
			}
			if w.Header().Get("Access-Control-Allow-Origin") != "*" {
				t.Error("a page may not read the answer")
			}
		})
	}
}

func TestClientMetricsAreThrownAway(t *testing.T) {
	d := newDoor(nil)
	w := d.ask("POST", "/v1/m", `{"series":[]}`, "Content-Type", "text/plain")
	if w.Code != 200 || w.Body.String() != `{"success":true}` || d.shelf.offered != 0 {
		t.Errorf("got %d %s, %d records", w.Code, w.Body, d.shelf.offered)
	}
}

func TestSettingsLeadClientsHere(t *testing.T) {
	d := newDoor(nil)
	w := d.ask("GET", "http://front.door:8080/v1/projects/k1/settings", "")
	want := `{"integrations":{"Segment.io":{"apiKey":"k1","apiHost":"front.door:8080/v1"}}}`
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := d.ask("GET", "/v1/projects/k9/settings", ""); w.Code != 404 {
		t.Errorf("a key nobody knows: got %d", w.Code)
	}
}

func TestBrowsersMayAskFirst(t *testing.T) {
	some := func(o *Options) { o.CORSOrigins = []string{"https://shop.example.com"} }
	for _, c := range []struct {
		name, path, origin string
		change             func(*Options)
		allowed            string
	}{
		{"any page by default", "/v1/t", "https://a.example.com", nil, "*"},
		{"any path of the tracking API", "/v1/batch/", "https://a.example.com", nil, "*"},
		{"a page of a configured origin", "/v1/t", "https://shop.example.com", some, "https://shop.example.com"},
		{"a page of another", "/v1/t", "https://a.example.com", some, ""},
		{"the rest of the door is not for pages", "/v1/events", "https://a.example.com", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(c.change)
			w := d.ask("OPTIONS", c.path, "", "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,x-retry-count")
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != c.allowed {
				t.Errorf("origin %q, want %q", got, c.allowed)
			}
			if c.allowed == "" {
				return
			}
			if w.Code != 204 || w.Header().Get("Access-Control-Allow-Headers") != "Authorization, Content-Type, X-Retry-Count" || !strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "POST") {
				t.Errorf("got %d %v", w.Code, w.Header())
			}
		})
	}
}
