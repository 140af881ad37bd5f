package ingest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/sluicehq/sluice/pkg/quota"
)

// withID is an event that has an id, or none.
func withID(id string) string {
	if id == "" {
		return `{"user":{"external_id":"c"},"name":"n"}`
	}
	return fmt.Sprintf(`{"id":%q,"user":{"external_id":"c"},"name":"n"}`, id)
}

func TestPostEventsAnswersWithAVerdictPerItem(t *testing.T) {
	for _, c := range []struct {
		name, body string
		code       int
		statuses   string
		accepted   int
		rejected   int
	}{
		{"one event", withID("a"), 202, "accepted", 1, 0},
		{"an array", `[` + withID("a") + `,` + withID("b") + `]`, 202, "accepted accepted", 2, 0},
		{"an item that is wrong does not spoil the others", `[` + withID("a") + `,{"name":"n"},` + withID("b") + `]`, 202, "accepted rejected accepted", 2, 1},
		{"nothing acceptable", `[{},{"name":"n"}]`, 422, "rejected rejected", 0, 2},
		{"one event that is wrong", `{"name":"n"}`, 422, "rejected", 0, 1},
		{"an id twice in one request", `[` + withID("a") + `,` + withID("a") + `]`, 202, "accepted duplicate", 2, 0},
		{"no ids at all are no duplicates", `[` + withID("") + `,` + withID("") + `]`, 202, "accepted accepted", 2, 0},
		{"nothing at all", `[]`, 422, "", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(nil)
			w := d.post(c.body)
			a := readAnswer(t, w.Body)
			if w.Code != c.code || a.statuses() != c.statuses || a.Accepted != c.accepted || a.Rejected != c.rejected {
				t.Errorf("got %d %q, accepted %d, rejected %d", w.Code, a.statuses(), a.Accepted, a.Rejected)
			}
			checkLaw(t, d.metrics, len(a.Results), len(d.shelf.records))
		})
	}
}

func TestPostEventsAnswersExactly(t *testing.T) {
	d := newDoor(nil)
	w := d.post(`[{"id":"ä\"1","user":{"email":"A@b.at"},"name":"n"},{"id":"2","user":{},"name":"n"},{"oops":1}]`)
	want := `{"accepted":1,"rejected":2,"results":[` +
		`{"index":0,"id":"ä\"1","status":"accepted"},` +
		`{"index":1,"id":"2","status":"rejected","field":"user","reason":"needs one of external_id, braze_id, alias, email, phone"},` +
		`{"index":2,"id":"","status":"rejected","field":"oops","reason":"is not a known field"}]}`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Errorf("the answer (-want +got):\n%s", diff)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
}

func TestPostEventsWritesTheRecord(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	d := newDoor(nil)
	d.ask("POST", "/v1/events", `{"id":"a","user":{"email":"A@b.at"},"name":"n"}`, "X-Api-Key", "k2", "Traceparent", trace)
	d.ask("POST", "/v1/events", withID(""), "X-Api-Key", "k2", "Traceparent", "00-nonsense")
	if len(d.shelf.records) != 2 {
		t.Fatalf("%d records", len(d.shelf.records))
	}
	first, second := d.shelf.records[0], d.shelf.records[1]
	if first.topic != "eu.customer.events" || first.key != "email:a@b.at" {
		t.Errorf("topic %q, key %q", first.topic, first.key)
	}
	want := map[string]string{"event-id": "a", "source": "crm", "origin": "ingest", "hops": "0", "traceparent": trace}
	if diff := cmp.Diff(want, first.headers); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if id := second.headers["event-id"]; len(id) != 36 || id[14] != '7' {
		t.Errorf("the id that was made up: %q", id)
	}
	if _, there := second.headers["traceparent"]; there {
		t.Error("a traceparent that is none was passed on")
	}
}

func TestRequestsAreRefusedWhole(t *testing.T) {
	zip := func(text string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
		return b.String()
	}
	ok := withID("a")
	key := []string{"Authorization", "Bearer k1", "Content-Type", "application/json"}
	with := func(more ...string) []string { return append(append([]string{}, key...), more...) }
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code                     string
	}{
		{"no key", "POST", "/v1/events", ok, nil, 401, "unauthorized"},
		{"a wrong key", "POST", "/v1/events", ok, []string{"X-Api-Key", "k9"}, 401, "unauthorized"},
		{"Basic is for the tracking API", "POST", "/v1/events", ok, []string{"Authorization", "Basic azE6"}, 401, "unauthorized"},
		{"a form", "POST", "/v1/events", ok, with("Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported_type"},
		{"JSON in another character set", "POST", "/v1/events", ok, with("Content-Type", "application/json; charset=latin1"), 415, "unsupported_type"},
		{"an encoding nobody knows", "POST", "/v1/events", ok, with("Content-Encoding", "br"), 415, "unsupported_encoding"},
		{"not gzip", "POST", "/v1/events", ok, with("Content-Encoding", "gzip"), 400, "bad_gzip"},
		{"gzip that breaks off", "POST", "/v1/events", zip(ok)[:20], with("Content-Encoding", "gzip"), 400, "bad_gzip"},
		{"not JSON", "POST", "/v1/events", `{"user"`, key, 400, "bad_json"},
		{"a text", "POST", "/v1/events", `"x"`, key, 400, "bad_json"},
		{"nothing", "POST", "/v1/events", ``, key, 400, "bad_json"},
		{"a body that is too large", "POST", "/v1/events", `"` + strings.Repeat("x", 5000) + `"`, key, 413, "too_large"},
		{"a body that is too large once decompressed", "POST", "/v1/events", zip(strings.Repeat(" ", 1_000_000)), with("Content-Encoding", "gzip"), 413, "too_large"},
		{"too many items", "POST", "/v1/events", "[" + strings.Repeat("1,", MaxItems) + "1]", key, 413, "too_many_items"},
		{"a path that leads nowhere", "GET", "/v1/nothing", "", key, 404, "not_found"},
		{"a method nobody knows", "DELETE", "/v1/events", "", key, 405, "method_not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(func(o *Options) { o.MaxBody = 5001 })
			if c.code == "too_many_items" {
				d = newDoor(nil)
			}
			w := d.ask(c.method, c.path, c.body, c.header...)
			a := readAnswer(t, w.Body)
			if w.Code != c.status || a.Error.Code != c.code || a.Error.Message == "" {
				t.Errorf("got %d %+v, want %d %s", w.Code, a.Error, c.status, c.code)
			}
			if n := d.shelf.offered; n != 0 {
				t.Errorf("%d records were written all the same", n)
			}
			if held := d.held.Load(); held != 0 {
				t.Errorf("%d bytes are still held", held)
			}
		})
	}
}

func TestBodiesOfEverySizeAreReadWhole(t *testing.T) {
	const limit = 300_000
	for _, size := range []int{1000, leastRoom - 1, leastRoom, leastRoom + 1, mostRoom - 1, mostRoom, mostRoom + 1, 2 * mostRoom, limit - 1, limit, limit + 1} {
		for _, declared := range []bool{true, false} {
			d := newDoor(func(o *Options) { o.MaxBody = limit })
			body := withID("a")
			body += strings.Repeat(" ", size-len(body))
			r := httptest.NewRequest("POST", "/v1/events", strings.NewReader(body))
			r.Header.Set("X-Api-Key", "k1")
			if !declared {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			d.handler.ServeHTTP(w, r)
			want := 202
			if size > limit {
				want = 413
			}
			if w.Code != want {
				t.Errorf("%d bytes, declared %v: got %d, want %d", size, declared, w.Code, want)
			}
		}
	}
}

func TestGzipIsUnpacked(t *testing.T) {
	d := newDoor(nil)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(withID("a")))
	_ = z.Close()
	for range 2 { // the second with a reader from the pool
		w := d.ask("POST", "/v1/events", b.String(), "X-Api-Key", "k1", "Content-Encoding", "gzip", "Content-Type", "application/json; charset=UTF-8")
		if w.Code != 202 {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
	}
}

func TestRepeatsOfWhatIsDurableAreDuplicates(t *testing.T) {
	d := newDoor(nil)
	d.post(withID("a"))
	if got := readAnswer(t, d.post(`[`+withID("a")+`,`+withID("b")+`]`).Body).statuses(); got != "duplicate accepted" {
		t.Errorf("from the same source: %s", got)
	}
	w := d.ask("POST", "/v1/events", withID("a"), "X-Api-Key", "k2")
	if got := readAnswer(t, w.Body).statuses(); got != "accepted" {
		t.Errorf("from another source: %s", got)
	}
	checkLaw(t, d.metrics, 4, 3)
}

func TestARepeatWaitsForTheFirst(t *testing.T) {
	for _, c := range []struct {
		name         string
		err          error
		first, again int
		statuses     string
	}{
		{"and is a duplicate when that is durable", nil, 202, 202, "duplicate"},
		{"and fails with it", errors.New("no broker"), 503, 503, "unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDoor(nil)
			d.shelf.waiting = make(chan func(), 8)
			d.shelf.fail = func(int) error { return c.err }
			answers := make(chan *httptest.ResponseRecorder, 2)
			go func() { answers <- d.post(withID("a")) }()
			first := <-d.shelf.waiting // it is on its way to Kafka now
			go func() { answers <- d.post(withID("a")) }()
			waitUntil(t, func() bool { // the repeat waits for it
				d.window.mu.Lock()
				defer d.window.mu.Unlock()
				return len(d.window.waiting) == 1
			})
			select {
			case w := <-answers:
				t.Fatalf("answered before anything was known: %d %s", w.Code, w.Body)
			default:
			}
			first()
			codes := map[string]int{}
			for range 2 {
				w := <-answers
				codes[readAnswer(t, w.Body).statuses()] += w.Code
			}
			want := map[string]int{"accepted": 202, c.statuses: c.again}
			if c.err != nil {
				want = map[string]int{"unavailable": 503 + 503}
			}
			if diff := cmp.Diff(want, codes); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
			checkLaw(t, d.metrics, 2, len(d.shelf.records))
		})
	}
}

// waitUntil waits for what another goroutine is about to do.
func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it never happened")
		}
	}
}

func TestWhatKafkaDoesNotTakeIs503AndMayBeRepeated(t *testing.T) {
	d := newDoor(nil)
	d.shelf.fail = func(n int) error {
		if n == 1 {
			return errors.New("no broker")
		}
		return nil
	}
	body := `[` + withID("a") + `,` + withID("b") + `,{}]`
	w := d.post(body)
	a := readAnswer(t, w.Body)
	if w.Code != 503 || w.Header().Get("Retry-After") != "2" || a.statuses() != "accepted unavailable rejected" || a.Error.Code != "unavailable" {
		t.Fatalf("got %d, Retry-After %q, %s, %+v", w.Code, w.Header().Get("Retry-After"), a.statuses(), a.Error)
	}
	w = d.post(body)
	if a := readAnswer(t, w.Body); w.Code != 202 || a.statuses() != "duplicate accepted rejected" {
		t.Errorf("repeated: got %d, %s", w.Code, a.statuses())
	}
	checkLaw(t, d.metrics, 6, 2)
}

func TestNothingIsOfferedBehindWhatFailed(t *testing.T) {
	d := newDoor(nil)
	d.shelf.inline = true
	d.shelf.fail = func(n int) error {
		if n == 1 {
			return errors.New("no broker")
		}
		return nil
	}
	w := d.post(`[` + withID("a") + `,` + withID("b") + `,` + withID("c") + `]`)
	if got := readAnswer(t, w.Body).statuses(); got != "accepted unavailable unavailable" {
		t.Errorf("got %s", got)
	}
	if d.shelf.offered != 2 {
		t.Errorf("%d were offered", d.shelf.offered)
	}
	if n := d.window.size(); n != 1 {
		t.Errorf("%d ids are remembered", n)
	}
}

func TestWhatKafkaRefusesForGoodIsRejected(t *testing.T) {
	d := newDoor(nil)
	d.shelf.fail = func(int) error { return kerr.MessageTooLarge }
	w := d.post(withID("a"))
	if a := readAnswer(t, w.Body); w.Code != 422 || a.Results[0].Reason != "was refused by Kafka" {
		t.Errorf("got %d %+v", w.Code, a)
	}
	checkLaw(t, d.metrics, 1, 0)
}

func TestARequestThatGaveUpWaitingLeavesItsMemoryAlone(t *testing.T) {
	d := newDoor(func(o *Options) { o.DeliveryTimeout = 10 * time.Millisecond })
	d.shelf.waiting = make(chan func(), 8)
	w := d.post(`[` + withID("a") + `,` + withID("b") + `]`)
	if a := readAnswer(t, w.Body); w.Code != 503 || a.statuses() != "unavailable unavailable" {
		t.Fatalf("got %d %s", w.Code, a.statuses())
	}
	// Other requests come and go before Kafka calls back after all.
	late := []func(){<-d.shelf.waiting, <-d.shelf.waiting}
	for i := range 50 {
		d.shelf.waiting = nil
		d.post(`[` + withID(fmt.Sprint("x", i)) + `,` + withID(fmt.Sprint("y", i)) + `]`)
	}
	for _, call := range late {
		call()
	}
	if got := readAnswer(t, d.post(withID("a")).Body).statuses(); got != "duplicate" {
		t.Errorf("the repeat of what came late: %s", got)
	}
	ids := map[string]bool{}
	for _, r := range d.shelf.records {
		ids[r.headers["event-id"]] = true
		if !bytes.Contains(r.value, []byte(r.headers["event-id"])) {
			t.Errorf("record %s holds something else", r.headers["event-id"])
		}
	}
	if len(ids) != 102 || !ids["a"] || !ids["b"] {
		t.Errorf("%d different records", len(ids))
	}
	if n := d.count(t, "late"); n != 2 {
		t.Errorf("%d counted as late", n)
	}
	checkLaw(t, d.metrics, 2+100+1, 102)
}

func TestARateIsEachKeysOwn(t *testing.T) {
	d := newDoor(func(o *Options) { o.Rate = quota.Rate{Count: 2, Per: time.Minute} })
	for range 2 {
		if w := d.post(withID("")); w.Code != 202 {
			t.Fatalf("got %d", w.Code)
		}
	}
	w := d.post(withID(""))
	if w.Code != 429 || w.Header().Get("Retry-After") != "30" || readAnswer(t, w.Body).Error.Code != "rate_limited" {
		t.Errorf("got %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if w := d.ask("POST", "/v1/events", withID(""), "X-Api-Key", "k2"); w.Code != 202 {
		t.Errorf("the other key: got %d", w.Code)
	}
}

func TestTooMuchAtOnceIs503(t *testing.T) {
	d := newDoor(func(o *Options) { o.MaxHeld = 20_000 })
	d.shelf.waiting = make(chan func(), 1)
	answer := make(chan *httptest.ResponseRecorder)
	go func() { answer <- d.post(withID("a") + strings.Repeat(" ", 15_000)) }()
	first := <-d.shelf.waiting
	w := d.post(withID("b") + strings.Repeat(" ", 15_000))
	if a := readAnswer(t, w.Body); w.Code != 503 || w.Header().Get("Retry-After") == "" || a.Error.Code != "busy" {
		t.Errorf("got %d %+v", w.Code, a.Error)
	}
	first()
	if w := <-answer; w.Code != 202 {
		t.Errorf("the first: got %d", w.Code)
	}
	if held := d.held.Load(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

func TestARequestKeepsItsID(t *testing.T) {
	d := newDoor(nil)
	w := d.ask("POST", "/v1/events", withID(""), "X-Api-Key", "k1", "X-Request-Id", "abc-1")
	if got := w.Header().Get("X-Request-Id"); got != "abc-1" {
		t.Errorf("got %q", got)
	}
	w = d.ask("POST", "/v1/events", withID(""), "X-Api-Key", "k1", "X-Request-Id", "a b")
	if got := w.Header().Get("X-Request-Id"); len(got) != 36 {
		t.Errorf("one that cannot stand in a log: %q", got)
	}
}
