package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

const currentsPath = "/v1/braze/currents?ws=eu-retail"

// report sends a batch as Braze does.
func (d *door) report(body string, header ...string) *httptest.ResponseRecorder {
	return d.ask("POST", currentsPath, body, append([]string{
		"Authorization", "Bearer t0k3n", "Braze-Currents-Version", "1", "Content-Type", "application/json",
	}, header...)...)
}

// opened is an event of somebody's.
func opened(id, user string) string {
	return `{"event_type":"users.messages.email.Open","id":"` + id + `","time":1700000000,"user":{"user_id":"66a1f0c2b7e4d90012ab34cd","external_user_id":"` +
		user + `"},"properties":{"campaign_id":"41f7","dispatch_id":"66a8"}}`
}

// aClick has every column.
const aClick = `{"event_type": "users.messages.email.Click", "id": "0f6c1d2a-3b4e-4f70-8a9b-c1d2e3f4a5b6", "time": 1700000000,
 "user": {"user_id": "66a1f0c2b7e4d90012ab34cd", "external_user_id": "crm-0048213", "device_id": "dev-1"},
 "properties": {"app_id": "app-1", "campaign_id": "41f7", "campaign_name": "Herbst äöü", "message_variation_id": "7d3b", "canvas_id": "c-1",
  "canvas_name": "Welcome", "canvas_variation_id": "cv-1", "canvas_step_id": "cs-1", "canvas_step_message_variation_id": "csm-1", "send_id": "s-1",
  "dispatch_id": "66a8", "email_address": "[REDACTED]", "url": "https://shop.example/a?b=c", "price": 1.50}}`

func batchOf(events ...string) string { return `{"events":[` + strings.Join(events, ",") + `]}` }

func (d *door) ids() (ids []string) {
	for _, r := range d.shelf.records {
		ids = append(ids, r.headers["event-id"])
	}
	return ids
}

func TestABatchBecomesEngagements(t *testing.T) {
	d := brazeDoor(t, "", nil)
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test's
	var sent [][]byte
	for n, kind := range currents.Types() {
		sent = append(sent, sample.Event(rng, kind.Name, n))
	}
	w := d.ask("POST", currentsPath, string(sample.Batch(sent...)), "Authorization", "Bearer t0k3n",
		"Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if want := fmt.Sprintf(`{"accepted":%d,"duplicate":0,"deadletter":0}`, len(sent)); w.Code != 200 || w.Body.String() != want {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	if len(d.shelf.records) != len(sent) {
		t.Fatalf("%d records of %d events", len(d.shelf.records), len(sent))
	}
	for i, r := range d.shelf.records {
		got := decode(t, schema.BrazeEngagements, r.value)
		want, err := currents.Read(sent[i], "eu-retail", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if r.topic != "eu.braze.engagements" || r.key != want.Key() || got["user_id"] != want.Key() || got["event_id"] != want.ID || got["event_type"] != want.Type ||
			got["workspace"] != "eu-retail" || got["event_json"] != string(sent[i]) {
			t.Errorf("%s became, with key %s,\n%v", sent[i], r.key, got)
		}
		wantHeaders := map[string]string{
			"event-id": want.ID, "source": "braze-currents", "origin": "ingest", "hops": "0",
			"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		}
		if diff := cmp.Diff(wantHeaders, r.headers); diff != "" {
			t.Errorf("headers (-want +got)\n%s", diff)
		}
	}
	checkLaw(t, d.metrics, len(sent), len(sent))
}

func TestWhatBrazeMaySendIsNeverRefused(t *testing.T) {
	for _, c := range []struct {
		name, body       string
		records, letters int
		reason           string
	}{
		{"an empty body", "", 0, 0, ""},
		{"blanks", " \r\n", 0, 0, ""},
		{"no events", `{"events":[]}`, 0, 0, ""},
		{"events that are null", `{"events": null}`, 0, 0, ""},
		{"an empty object", `{}`, 0, 0, ""},
		{"a type that nobody has heard of", `{"events":[{"event_type":"agentconsole.Thought","id":"1","time":1,"user":{},"properties":{"new":[1,{"a":null}]}}]}`, 1, 0, ""},
		{"fields of other kinds, redacted, hashed, null", `{"events":[{"event_type":"users.messages.email.Click","id":"1","time":1,"user":{"external_user_id":"[REDACTED]","user_id":null,"timezone":"5d0c3c0e-8d6d"},` +
			`"properties":{"email_address":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","campaign_id":7,"url":null}}]}`, 1, 0, ""},
		{"an event without id, time and type", `{"events":[{"user":{},"properties":{}}]}`, 1, 0, ""},
		{"a version that is none of ours", `{"version":2,"events":[` + opened("1", "u") + `]}`, 1, 0, ""},
		{"text that is not UTF-8", "{\"events\":[{\"id\":\"1\",\"event_type\":\"x\",\"time\":1,\"properties\":{\"name\":\"\xff\"}}]}", 1, 0, ""},
		{"an event that is a number between two", batchOf(opened("1", "u"), "17", opened("2", "u")), 2, 1, "not_an_event"},
		{"what is no JSON", `<html>Bad Gateway</html>`, 0, 1, "not_a_batch"},
		{"a batch that is cut off", `{"events":[` + opened("1", "u"), 0, 1, "not_a_batch"},
		{"events that are no list", `{"events":"none"}`, 0, 1, "not_a_batch"},
		{"an object of something else", `{"data":[1]}`, 0, 1, "not_a_batch"},
		{"bytes", "\x00\xff\xfe", 0, 1, "not_a_batch"},
	} {
		for _, packed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, compressed %v", c.name, packed), func(t *testing.T) {
				d := brazeDoor(t, "", nil)
				var w *httptest.ResponseRecorder
				if packed {
					w = d.report(zipped(c.body), "Content-Encoding", "gzip")
				} else {
					w = d.report(c.body)
				}
				if w.Code != 200 {
					t.Fatalf("answered %d %s", w.Code, w.Body)
				}
				if len(d.shelf.records) != c.records || len(d.shelf.letters) != c.letters {
					t.Fatalf("%d records and %d letters, want %d and %d", len(d.shelf.records), len(d.shelf.letters), c.records, c.letters)
				}
				for _, l := range d.shelf.letters {
					want := c.body
					if c.records > 0 {
						want = "17"
					}
					if l.Reason != c.reason || string(l.Value) != want || l.OriginTopic != "/v1/braze/currents" || l.OriginPartition != -1 {
						t.Errorf("a letter %s (%s) from %s of %q", l.Reason, l.Detail, l.OriginTopic, l.Value)
					}
				}
				checkLaw(t, d.metrics, c.records+c.letters, c.records)
			})
		}
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func TestOnlyATokenOpensAlsoForNothing(t *testing.T) {
	for _, c := range []struct {
		name, path, header, value string
		want                      int
	}{
		{"the token", currentsPath, "Authorization", "Bearer t0k3n", 200},
		{"the one before, while it is replaced", currentsPath, "Authorization", "bearer  0ld.t0k3n ", 200},
		{"a slash behind the path", "/v1/braze/currents/", "Authorization", "Bearer t0k3n", 200},
		{"none", currentsPath, "X-Nothing", "", 401},
		{"an empty one", currentsPath, "Authorization", "Bearer ", 401},
		{"another", currentsPath, "Authorization", "Bearer t0k3", 401},
		{"another scheme", currentsPath, "Authorization", basicOf("t0k3n:t0k3n"), 401},
		{"an API key", currentsPath, "Authorization", "Bearer k1", 401},
		{"the header of API keys", currentsPath, "X-Api-Key", "t0k3n", 401},
	} {
		for _, body := range []string{"", `{"events":[]}`, batchOf(opened("1", "u")), "no JSON"} {
			d := brazeDoor(t, "", nil)
			w := d.ask("POST", c.path, body, c.header, c.value)
			if w.Code != c.want || c.want == 401 && d.shelf.offered > 0 {
				t.Errorf("%s, with %q: answered %d", c.name, body, w.Code)
			}
		}
	}
	d := brazeDoor(t, "", nil)
	if w := d.report(batchOf(opened("1", "u")), "X-Api-Key", "a gateway's"); w.Code != 200 {
		t.Errorf("a gateway's key in between: answered %d", w.Code)
	}
}

func TestWithoutTokensWhatComesIsToComeAgain(t *testing.T) {
	d := brazeDoor(t, "", func(o *Options) { o.CurrentsTokens = nil })
	if w := d.report(batchOf(opened("1", "u"))); w.Code != 503 || w.Header().Get("Retry-After") != "30" {
		t.Errorf("answered %d", w.Code)
	}
	for addr, want := range map[string]int{"127.0.0.1:8080": 200, ":8080": 503} {
		d := brazeDoor(t, "", func(o *Options) {
			o.CurrentsTokens, o.Addr, o.Keys = nil, addr, Keys{{Name: "dev", Key: wellKnownKey}}
		})
		if w := d.report("", "Authorization", "Bearer dev"); w.Code != want {
			t.Errorf("at %s the token that everybody knows is answered %d", addr, w.Code)
		}
	}
}

// TestKafkaAwayInTheMiddle lets Kafka fail for some events of a batch, in every place. The batch is refused as
// a whole, and after its repeat every event is there once, those of one user in order.
func TestKafkaAwayInTheMiddle(t *testing.T) {
	const n = 100
	var events []string
	for i := range n {
		events = append(events, opened(fmt.Sprintf("e-%03d", i), fmt.Sprintf("u-%d", i%7)))
	}
	for _, bad := range [][]int{{0}, {n - 1}, {50}, {3, 4, 70}} {
		for _, inline := range []bool{true, false} {
			d := brazeDoor(t, "", nil)
			d.shelf.inline = inline
			d.shelf.fail = func(i int) error {
				if slices.Contains(bad, i) {
					return errors.New("away")
				}
				return nil
			}
			w := d.report(batchOf(events...))
			if w.Code != 503 || w.Header().Get("Retry-After") == "" {
				t.Fatalf("%v: answered %d", bad, w.Code)
			}
			d.shelf.fail = nil
			if w := d.report(batchOf(events...)); w.Code != 200 {
				t.Fatalf("%v: the repeat is answered %d %s", bad, w.Code, w.Body)
			}
			seen, last := map[string]int{}, map[string]string{}
			for _, r := range d.shelf.records {
				id := r.headers["event-id"]
				seen[id]++
				if inline && id < last[r.key] {
					t.Errorf("%v: %s stands behind %s", bad, id, last[r.key])
				}
				last[r.key] = id
			}
			if len(seen) != n || len(d.shelf.records) != n {
				t.Errorf("%v: %d records of %d events", bad, len(d.shelf.records), len(seen))
			}
			checkLaw(t, d.metrics, 2*n, n)
		}
	}
}

func TestALateAnswerOfKafkaIsNoSecondRecord(t *testing.T) {
	d := brazeDoor(t, "", func(o *Options) { o.DeliveryTimeout = time.Millisecond })
	d.shelf.waiting = make(chan func(), 10)
	if w := d.report(batchOf(opened("1", "u"), opened("2", "u"))); w.Code != 503 {
		t.Fatalf("answered %d", w.Code)
	}
	for range 2 {
		(<-d.shelf.waiting)()
	}
	d.shelf.waiting = nil
	if w := d.report(batchOf(opened("1", "u"), opened("2", "u"))); w.Code != 200 || w.Body.String() != `{"accepted":0,"duplicate":2,"deadletter":0}` {
		t.Errorf("the repeat is answered %d %s", w.Code, w.Body)
	}
	if diff := cmp.Diff([]string{"1", "2"}, d.ids()); diff != "" {
		t.Errorf("records (-want +got)\n%s", diff)
	}
}

func TestAnEventThatFitsNoRecordIsADeadLetter(t *testing.T) {
	for _, inline := range []bool{true, false} {
		d := brazeDoor(t, "", nil)
		d.shelf.inline = inline
		d.shelf.fail = func(n int) error { return map[int]error{1: kerr.MessageTooLarge}[n] }
		large := strings.Replace(opened("2", "u"), `"properties":{`, `"properties":{"x":"`+strings.Repeat("y", 1_200_000)+`",`, 1)
		w := d.report(batchOf(opened("1", "u"), large, opened("3", "u")))
		if w.Code != 200 || w.Body.String() != `{"accepted":2,"duplicate":0,"deadletter":1}` {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
		if len(d.shelf.letters) != 1 || string(d.shelf.letters[0].Value) != large || d.shelf.letters[0].EventID != "2" || d.shelf.letters[0].Reason != "refused_by_kafka" {
			t.Errorf("letters: %d", len(d.shelf.letters))
		}
		if w := d.report(batchOf(large)); w.Code != 200 || len(d.shelf.letters) != 1 {
			t.Errorf("a repeat is answered %d, and there are %d letters", w.Code, len(d.shelf.letters))
		}
		checkLaw(t, d.metrics, 4, 2)
	}
}

func TestADeadLetterThatIsNotDurableIsNoYes(t *testing.T) {
	for _, body := range []string{"no JSON", batchOf(opened("1", "u"), "17")} {
		d := brazeDoor(t, "", nil)
		failing := true
		d.shelf.fail = func(n int) error {
			if failing && n == strings.Count(body, "event_type") {
				return errors.New("away")
			}
			return nil
		}
		if w := d.report(body); w.Code != 503 {
			t.Errorf("answered %d", w.Code)
		}
		failing = false
		if w := d.report(body); w.Code != 200 || len(d.shelf.letters) != 1 {
			t.Errorf("the repeat is answered %d, and there are %d letters", w.Code, len(d.shelf.letters))
		}
	}
}

func TestWhatIsTooLargeComesInParts(t *testing.T) {
	limit := func(o *Options) { o.CurrentsMaxBody = 1_000_000 }
	big := batchOf(opened("1", "u")) + strings.Repeat(" ", 1_000_000)
	var many bytes.Buffer
	many.WriteString(`{"events":[{}`)
	for range currents.MaxEvents {
		many.WriteString(`,{}`)
	}
	many.WriteString("]}")
	for _, c := range []struct {
		name, body, encoding string
		change               func(*Options)
	}{
		{"a long body", big, "", limit},
		{"a bomb", zipped(strings.Repeat("[", 50_000_000)), "gzip", limit},
		{"a long compressed body", zipped("{}") + strings.Repeat("\x00", 1_000_000), "gzip", limit},
		{"far too many events", many.String(), "", nil},
		{"what no dead letter can hold", strings.Repeat("x", longestLetter+1), "", nil},
	} {
		d := brazeDoor(t, "", c.change)
		if w := d.report(c.body, "Content-Encoding", c.encoding); w.Code != 413 || d.shelf.offered > 0 {
			t.Errorf("%s: answered %d %s, and %d records were offered", c.name, w.Code, w.Body, d.shelf.offered)
		}
		if held := d.held.Load(); held != 0 {
			t.Errorf("%s: %d bytes count as held", c.name, held)
		}
	}
}

func TestBrokenGzipIsKeptAsItCame(t *testing.T) {
	whole := zipped(batchOf(opened("1", "u")))
	for _, body := range []string{"no gzip at all", whole[:len(whole)-9], whole[:len(whole)-1] + "x"} {
		d := brazeDoor(t, "", nil)
		if w := d.report(body, "Content-Encoding", "gzip"); w.Code != 200 || len(d.shelf.letters) != 1 || len(d.shelf.records) != 0 {
			t.Fatalf("answered %d, %d letters, %d records", w.Code, len(d.shelf.letters), len(d.shelf.records))
		}
		l := d.shelf.letters[0]
		headers := map[string]string{}
		for _, h := range l.Headers {
			headers[h.Key] = string(h.Value)
		}
		want := map[string]string{"source": "braze-currents", "http-content-encoding": "gzip", "http-content-type": "application/json", "http-query": "ws=eu-retail"}
		if diff := cmp.Diff(want, headers); diff != "" || string(l.Value) != body {
			t.Errorf("kept %q, headers (-want +got)\n%s", l.Value, diff)
		}
	}
}

func TestOverloadIsToComeAgain(t *testing.T) {
	d := brazeDoor(t, "", func(o *Options) { o.MaxHeld = 3000 })
	body := batchOf(opened("1", "u"), opened("2", "u"), opened("3", strings.Repeat("u", 3000)))
	for _, encoding := range []string{"", "gzip"} {
		sent := body
		if encoding != "" {
			sent = zipped(body)
		}
		if w := d.report(sent, "Content-Encoding", encoding); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
		if held := d.held.Load(); held != 0 {
			t.Errorf("%d bytes count as held", held)
		}
	}
}

func TestWhatIsCompressedIsHeldTwice(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test's
	noise := make([]byte, 40_000)
	for i := range noise {
		noise[i] = "0123456789abcdef"[rng.IntN(16)]
	}
	body := batchOf(opened("1", string(noise)))
	packed := zipped(body)
	for most, want := range map[int64]int{64 << 10: 503, 64<<10 + int64(len(packed)): 200} { // room is made in powers of two
		d := brazeDoor(t, "", func(o *Options) { o.MaxHeld = most })
		if w := d.report(packed, "Content-Encoding", "gzip"); w.Code != want {
			t.Errorf("with room for %d bytes: answered %d", most, w.Code)
		}
		if held := d.held.Load(); held != 0 {
			t.Errorf("%d bytes count as held", held)
		}
	}
}

// cutOffBody ends before it should.
type cutOffBody struct{ *strings.Reader }

func (b cutOffBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		err = errors.New("connection reset by peer")
	}
	return n, err
}

func TestABodyThatDoesNotArriveIsNo400(t *testing.T) {
	d := brazeDoor(t, "", nil)
	for _, encoding := range []string{"", "gzip"} {
		r := httptest.NewRequest("POST", currentsPath, cutOffBody{strings.NewReader(zipped("{}"))})
		r.Header.Set("Authorization", "Bearer t0k3n")
		r.Header.Set("Content-Encoding", encoding)
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, r)
		if w.Code != 503 || len(d.shelf.letters) > 0 {
			t.Errorf("answered %d, %d letters", w.Code, len(d.shelf.letters))
		}
	}
	if w := d.report("", "Content-Encoding", "br"); w.Code != 415 { // which Braze takes for a 500
		t.Errorf("an unknown encoding: answered %d", w.Code)
	}
}

func TestIdsOfCurrentsAndOfOthersAreApart(t *testing.T) {
	d := brazeDoor(t, "", nil)
	before := d.window.size()
	if w := d.report(batchOf(opened("1", "u"), opened("1", "u"))); w.Body.String() != `{"accepted":1,"duplicate":1,"deadletter":0}` {
		t.Errorf("the same event twice in one batch: %s", w.Body)
	}
	if d.window.size() != before {
		t.Error("Currents' ids push those of others out")
	}
}

// FuzzCurrents holds the door to its promise whatever the body: no panic, never an answer that stops Braze, and
// a yes only for what is kept, which is all of it.
func FuzzCurrents(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"events":[]}`, batchOf(opened("1", "u")), batchOf("17", "null", "{}", `"x"`), `{"events":{"id":1}}`, `[` + opened("1", "u") + `]`,
		"{\"events\":[{\"id\":\"\xff\"}]}", `{"events":[{"id":{"a":[1]},"time":1e400,"user":[],"properties":7}]}`, zipped(batchOf(opened("1", "u"))),
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	o := testOptions()
	o.CurrentsTokens, o.CurrentsDedupEntries = Tokens{"t0k3n"}, 0
	d := &door{shelf: &shelf{inline: true}}
	d.Service = New(o, Deps{Producer: d.shelf, Letters: d.shelf, IDs: topics.IDs{}, Kafka: stream.Config{}, Metrics: prometheus.NewRegistry(), Log: zerolog.Nop()})
	d.handler = d.Handler()
	f.Fuzz(func(t *testing.T, body []byte, packed bool) {
		d.shelf.records, d.shelf.letters = nil, nil
		encoding := ""
		if packed {
			encoding = "gzip"
		}
		w := d.report(string(body), "Content-Encoding", encoding)
		if w.Code != 200 && w.Code != 413 {
			t.Fatalf("answered %d %s", w.Code, w.Body)
		}
		want := fmt.Sprintf(`{"accepted":%d,"duplicate":0,"deadletter":%d}`, len(d.shelf.records), len(d.shelf.letters))
		if w.Code == 200 && w.Body.String() != want {
			t.Fatalf("answered %s, kept %s", w.Body, want)
		}
		for _, r := range d.shelf.records {
			if decode(t, schema.BrazeEngagements, r.value)["event_id"] != r.headers["event-id"] || r.key == "" {
				t.Fatalf("a record with key %q and headers %v", r.key, r.headers)
			}
		}
	})
}
