package httpsink

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestDocumentsGoAsTheyAre(t *testing.T) {
	batch := engagements(3)
	a, b, c := string(batch[0].JSON), string(batch[1].JSON), string(batch[2].JSON)
	for _, test := range []struct {
		name    string
		options Options
		want    []string
		kind    string
	}{
		{"as an array", Options{}, []string{"[" + a + "," + b + "," + c + "]"}, "application/json"},
		{"as lines", Options{Format: "ndjson"}, []string{a + "\n" + b + "\n" + c + "\n"}, "application/x-ndjson"},
		{"one by one", Options{Format: "single"}, []string{a, b, c}, "application/json"},
		{"in an envelope", Options{Envelope: `{"v": 1, "batch": [...], "of": "sluice"}`}, []string{`{"v": 1, "batch": [` + a + "," + b + "," + c + `], "of": "sluice"}`}, "application/json"},
		{"with a content type of its own", Options{Headers: map[string]config.Secret{"content-type": "application/cloudevents-batch+json"}}, []string{"[" + a + "," + b + "," + c + "]"}, "application/cloudevents-batch+json"},
		{"two at most at once", Options{MaxEvents: 2}, []string{"[" + a + "," + b + "]", "[" + c + "]"}, "application/json"},
		{"as many as there is room for", Options{MaxBytes: len(a) + len(b) + 3}, []string{"[" + a + "," + b + "]", "[" + c + "]"}, "application/json"},
		{"as many lines as there is room for", Options{Format: "ndjson", MaxBytes: len(a) + len(b) + 2}, []string{a + "\n" + b + "\n", c + "\n"}, "application/x-ndjson"},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, always(200, "ok"))
			test.options.URL = far.URL
			if test.options.MaxBytes != 0 && test.options.MaxBytes < 1024 {
				t.Fatal("the sample has become too small")
			}
			answer := open(t, test.options).Write(t.Context(), batch)
			if diff := cmp.Diff(sink.Delivered(), answer); diff != "" {
				t.Error(diff)
			}
			var got []string
			for _, r := range far.got() {
				got = append(got, string(r.body))
				if kind := r.header.Get("Content-Type"); kind != test.kind {
					t.Errorf("content type %q, want %q", kind, test.kind)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACompressedBodyIsTheSameBody(t *testing.T) {
	far := serve(t, always(200, ""))
	s := open(t, Options{URL: far.URL, Compress: "gzip"})
	for range 3 { // the compressor is used again
		if a := s.Write(t.Context(), engagements(50)); a.All.Kind != outcome.Delivered {
			t.Fatal(a)
		}
	}
	for _, r := range far.got() {
		z, err := gzip.NewReader(bytes.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		var events []json.RawMessage
		if err := json.Unmarshal(text, &events); err != nil || len(events) != 50 || r.header.Get("Content-Encoding") != "gzip" {
			t.Error(err, len(events), r.header)
		}
	}
}

func TestTemplates(t *testing.T) {
	batch := engagements(4)
	for _, test := range []struct {
		name     string
		template string
		want     string
		fates    []string
	}{
		{
			"numbers stay exact", `{id: $id[-1:], number: .properties.number}`,
			`[{"id":"0","number":820982911946154508},{"id":"1","number":820982911946154508},{"id":"2","number":820982911946154508},{"id":"3","number":820982911946154508}]`,
			times(4, "delivered"),
		},
		{
			"what is known beside the document", `select($id | endswith("1")) | [$type, $occurred_at, $received_at, $external_id, $braze_id, ($json | fromjson | .id == $id)]`,
			`[["users.messages.email.Click","2026-07-29T09:01:28Z","2026-07-29T09:01:30.5Z","crm-0001","66a1f0c2b7e4d90012ab34cd",true]]`,
			[]string{"skipped left_out", "delivered", "skipped left_out", "skipped left_out"},
		},
		{"null leaves out as nothing does", `if $id | endswith("2") then null else 1 end`, `[1,1,1]`, []string{"delivered", "delivered", "skipped left_out", "delivered"}},
		{"nothing is sent where all is left out", `empty`, "", times(4, "skipped left_out")},
		{"an event that the program fails for is refused alone", `if $id | endswith("2") then error("no") else 1 end`, `[1,1,1]`, []string{"delivered", "delivered", "refused template_error", "delivered"}},
		{"two values for one event are an error", `1, 2`, "", times(4, "refused template_error")},
		{"values without an end are an error", `range(infinite)`, "", times(4, "refused template_error")},
		{"an item without measure is refused", `if $id | endswith("0") then "x" * 2000000 else 1 end`, `[1,1,1]`, []string{"refused event_too_large", "delivered", "delivered", "delivered"}},
		{"the environment is empty", `env | length`, `[0,0,0,0]`, times(4, "delivered")},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, always(200, ""))
			a := open(t, Options{URL: far.URL, Template: test.template}).Write(t.Context(), batch)
			if diff := cmp.Diff(test.fates, fates(a, 4)); diff != "" {
				t.Error(diff)
			}
			got := ""
			for _, r := range far.got() {
				got += string(r.body)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestATemplateThatDoesNotEndIsStopped(t *testing.T) {
	far := serve(t, always(200, ""))
	s := open(t, Options{URL: far.URL, Template: `def f: f; f`})
	if a := s.Write(t.Context(), engagements(1)); a.Of(0).Kind != outcome.Refused || a.Of(0).Reason != reasonTemplate {
		t.Error(a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	// Whose time is up says nothing about the event.
	if diff := cmp.Diff(times(2, "deferred interrupted"), fates(s.Write(ctx, engagements(2)), 2)); diff != "" {
		t.Error(diff)
	}
}

func TestADocumentThatCannotBeReadIsRefusedAlone(t *testing.T) {
	far := serve(t, always(200, ""))
	batch := engagements(3)
	batch[1].JSON = []byte(`{"id":`)
	s := open(t, Options{URL: far.URL, Template: `1`})
	if diff := cmp.Diff([]string{"delivered", "refused template_error", "delivered"}, fates(s.Write(t.Context(), batch), 3)); diff != "" {
		t.Error(diff)
	}
}

// broken are far ends that misbehave.
func TestFarEndsThatMisbehave(t *testing.T) {
	hijack := func(text string) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	endless := func(status int) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.WriteHeader(status)
			for piece := bytes.Repeat([]byte("error \x1b[2J\n"), 1000); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
	}
	const rows = `.errors[]? | {index, retry}`
	for _, test := range []struct {
		name    string
		options Options
		answer  func(http.ResponseWriter, *http.Request, int)
		want    sink.Answer
		detail  string // how it begins
	}{
		{"a yes without an end is a yes", Options{}, endless(200), sink.Delivered(), ""},
		{
			"an error without an end is cut, and nothing in it that a terminal obeys",
			Options{},
			endless(500),
			sink.Deferred("unavailable", "", 0), "answered 500 Internal Server Error: error [2J error [2J",
		},
		{"a yes without an end that has to be read is no yes", Options{Verdicts: rows}, endless(200), sink.Deferred("unreadable_answer", "", 0), "answered 200 OK, but what became"},
		{"a connection that is cut", Options{}, hijack(""), sink.Deferred("unreachable", "", 0), ""},
		{"an answer that is no HTTP", Options{}, hijack("SSH-2.0-OpenSSH_9.6\r\n"), sink.Deferred("unreachable", "", 0), ""},
		{"a yes that is cut is a yes", Options{}, hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), sink.Delivered(), ""},
		{"a yes that is cut, and has to be read, is no yes", Options{Verdicts: rows}, hijack("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), sink.Deferred("unreadable_answer", "", 0), ""},
		{"a status that is none", Options{}, hijack("HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n"), sink.Deferred("unexpected_status", "", 0), "answered 999"},
		{
			"an answer that does not come",
			Options{Timeout: 100 * time.Millisecond},
			func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() },
			sink.Deferred("timeout", "", 0), "no answer within 100ms",
		},
		{
			"an answer whose end does not come is cut",
			Options{Timeout: 100 * time.Millisecond},
			func(w http.ResponseWriter, r *http.Request, _ int) {
				w.WriteHeader(503)
				_, _ = io.WriteString(w, "later")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			},
			sink.Deferred("unavailable", "", 0), "answered 503 Service Unavailable: later",
		},
		{"too large", Options{}, always(413, ""), sink.Answer{All: outcome.Outcome{Kind: outcome.Deferred, Reason: "too_large"}, Split: true}, ""},
		{"one bad apple", Options{}, always(400, `{"error":"no"}`), sink.Answer{All: outcome.Outcome{Kind: outcome.Deferred, Reason: "rejected"}, Split: true}, `answered 400 Bad Request: {"error":"no"}`},
		{"a key that is not good", Options{}, always(401, "bad key"), sink.Answer{All: outcome.Outcome{Kind: outcome.Deferred, Reason: "unauthorized"}, Halt: true}, "answered 401 Unauthorized: bad key"},
		{
			"an answer compressed to nearly nothing is not blown up",
			Options{},
			func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Content-Encoding", "gzip")
				w.WriteHeader(500)
				z := gzip.NewWriter(w)
				for range 128 {
					_, _ = z.Write(make([]byte, 1<<20))
				}
			},
			sink.Deferred("unavailable", "", 0), "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, test.answer)
			test.options.URL = far.URL
			a := open(t, test.options).Write(t.Context(), engagements(3))
			if !strings.HasPrefix(a.All.Detail, test.detail) || len(a.All.Detail) > 3000 || strings.ContainsAny(a.All.Detail, "\n\x1b\x00") {
				t.Errorf("detail %q, want %q", a.All.Detail, test.detail)
			}
			a.All.Detail = ""
			if diff := cmp.Diff(test.want, a); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNobodyIsThere(t *testing.T) {
	far := httptest.NewServer(nil)
	far.Close()
	a := open(t, Options{URL: far.URL + "/in?key=hidden"}).Write(t.Context(), engagements(2))
	if a.All.Kind != outcome.Deferred || a.All.Reason != reasonUnreachable || strings.Contains(a.All.Detail, "hidden") || a.Each != nil {
		t.Error(a)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		elsewhere := serve(t, always(200, ""))
		far := serve(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, elsewhere.URL+"/steal?token=abc", status)
		})
		a := open(t, Options{URL: far.URL, Auth: Auth{Scheme: "bearer", Secret: "s3cret"}}).Write(t.Context(), engagements(2))
		if !a.Halt || a.All.Reason != reasonRedirected || !strings.Contains(a.All.Detail, elsewhere.URL) || strings.Contains(a.All.Detail, "abc") {
			t.Errorf("%d: %+v", status, a)
		}
		if n := len(elsewhere.got()); n != 0 {
			t.Errorf("%d: %d requests went elsewhere", status, n)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	for _, status := range []int{200, 429, 500} {
		var opened atomic.Int32
		far := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, strings.Repeat("x", 60_000))
		}))
		far.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				opened.Add(1)
			}
		}
		far.Start()
		s := open(t, Options{URL: far.URL})
		for range 5 {
			s.Write(t.Context(), engagements(2))
		}
		far.Close()
		if n := opened.Load(); n != 1 {
			t.Errorf("after %d: %d connections", status, n)
		}
	}
}

func TestSeveralRequestsOfOneBatch(t *testing.T) {
	status := func(codes ...int) func(http.ResponseWriter, *http.Request, int) {
		return func(w http.ResponseWriter, _ *http.Request, n int) {
			if codes[n] == 429 {
				w.Header().Set("Retry-After", "9")
			}
			w.WriteHeader(codes[n])
		}
	}
	delivered, refused := "delivered", "refused rejected"
	down, behind, limited := "deferred unavailable", "deferred behind_deferred", "deferred rate_limited"
	// Of six events in a row the customers are a b c a b c.
	for _, test := range []struct {
		name    string
		options Options
		answers []int
		want    []string
		after   time.Duration
		split   bool
		halt    bool
	}{
		{"what follows a request that failed waits with it", Options{MaxEvents: 2}, []int{200, 503}, slices.Concat(times(2, delivered), times(4, down)), 0, false, false},
		{"a limit is told", Options{MaxEvents: 2}, []int{200, 200, 429}, slices.Concat(times(4, delivered), times(2, limited)), 9 * time.Second, false, false},
		{"a first request that is malformed halves the batch", Options{MaxEvents: 2}, []int{400}, times(6, "deferred rejected"), 0, true, false},
		{"a later one comes again without those before it", Options{MaxEvents: 2}, []int{200, 400}, slices.Concat(times(2, delivered), times(4, "deferred rejected")), 0, false, false},
		{"a request of one is refused, and the rest goes on", Options{MaxEvents: 5}, []int{200, 422}, slices.Concat(times(5, delivered), times(1, refused)), 0, false, false},
		{"credentials that expire midway", Options{MaxEvents: 3}, []int{200, 401}, slices.Concat(times(3, delivered), times(3, "deferred unauthorized")), 0, false, true},
		{"single: one that is refused holds nobody up", Options{Format: "single"}, []int{200, 400, 200, 200, 200, 200}, []string{delivered, refused, delivered, delivered, delivered, delivered}, 0, false, false},
		{"single: one that breaks the server holds its customer up, and nobody else", Options{Format: "single"}, []int{200, 500, 200, 200, 200}, []string{delivered, down, delivered, delivered, behind, delivered}, 0, false, false},
		{"single: a server that breaks every time is left alone", Options{Format: "single"}, []int{500, 500, 500}, times(6, down), 0, false, false},
		{"single: a limit is for everybody", Options{Format: "single"}, []int{200, 429}, slices.Concat(times(1, delivered), times(5, limited)), 9 * time.Second, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, status(test.answers...))
			test.options.URL = far.URL
			a := open(t, test.options).Write(t.Context(), engagements(6))
			if diff := cmp.Diff(test.want, fates(a, 6)); diff != "" {
				t.Error(diff)
			}
			if a.RetryAfter != test.after || a.Split != test.split || a.Halt != test.halt {
				t.Errorf("%+v", a)
			}
			if a.Split && a.Each != nil {
				t.Error("a batch that is to be split has one outcome")
			}
			if n := len(far.got()); n != len(test.answers) {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestRowsThatAreNotTaken(t *testing.T) {
	far := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		_, _ = io.WriteString(w, []string{`{"errors":[{"index":1,"retry":true},{"index":2}]}`, `{}`}[n])
	})
	a := open(t, Options{
		URL: far.URL, MaxEvents: 3, Verdicts: `.errors[]? | {index, retry}`,
		Template: `if $id | endswith("1") then empty else $id[-1:] end`,
	}).Write(t.Context(), engagements(6))
	// Items are counted as they stand in the request: it holds 0, 2 and 3; then 4 and 5, of which 5 is of
	// the customer whose event 2 has to come first.
	want := []string{"delivered", "skipped left_out", "deferred item_deferred", "refused item_rejected", "delivered", "deferred behind_deferred"}
	if diff := cmp.Diff(want, fates(a, 6)); diff != "" {
		t.Error(diff)
	}
	if got := string(far.got()[1].body); got != `["4"]` {
		t.Error(got)
	}
}

// A server that fails half the time gets each customer's events in order, and in the end all of them.
func TestHalfTheTimeAServerBreaks(t *testing.T) {
	var taken []string
	far := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n%2 == 1 || n%7 == 0 {
			w.WriteHeader(500)
		}
	})
	s := open(t, Options{URL: far.URL, Format: "single", Template: `$external_id + $id[-4:]`})
	left := engagements(40)
	for rounds := 0; len(left) > 0; rounds++ {
		if rounds > 100 {
			t.Fatalf("%d are left", len(left))
		}
		a := s.Write(t.Context(), left)
		var again []*sink.Event
		for i, e := range left {
			switch a.Of(i).Kind {
			case outcome.Delivered:
				taken = append(taken, e.Key+e.ID[len(e.ID)-4:])
			case outcome.Deferred:
				again = append(again, e)
			default:
				t.Fatal(a.Of(i))
			}
		}
		left = again
	}
	last := map[string]string{}
	for _, one := range taken {
		customer := one[:len("crm-0000")]
		if one <= last[customer] {
			t.Errorf("%s after %s", one, last[customer])
		}
		last[customer] = one
	}
	if len(taken) != 40 {
		t.Errorf("%d events", len(taken))
	}
}

func TestAWriteEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	far := serve(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		cancel()
		<-r.Context().Done()
	})
	a := open(t, Options{URL: far.URL, MaxEvents: 1}).Write(ctx, engagements(3))
	if diff := cmp.Diff(times(3, "deferred interrupted"), fates(a, 3)); diff != "" {
		t.Error(diff)
	}
}

func TestAnEventThatIsTooLargeIsRefusedAlone(t *testing.T) {
	far := serve(t, always(200, ""))
	batch := engagements(3)
	batch[1].JSON = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 2000))
	batch[2].JSON = nil
	for _, o := range []Options{{MaxEventBytes: 1999}, {MaxBytes: 1024}} {
		o.URL = far.URL
		want := []string{"delivered", "refused event_too_large", "refused empty_document"}
		if diff := cmp.Diff(want, fates(open(t, o).Write(t.Context(), batch), 3)); diff != "" {
			t.Error(diff)
		}
	}
}

// late is a transport that has not read the body when the answer is there, as happens when a server does not
// wait for all of it.
type late struct{ body io.ReadCloser }

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	l.body = r.Body
	_, err := io.CopyN(io.Discard, r.Body, 10)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

func TestABodyIsNotReadWhenTheCallIsOver(t *testing.T) {
	transport := &late{}
	s, err := Open(t.Context(), Options{URL: "http://collector.example"}, sink.Deps{Name: "test", HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Write(t.Context(), engagements(2)); a.All.Kind != outcome.Delivered {
		t.Fatal(a)
	}
	// Its memory may hold another batch by now.
	if rest, err := io.ReadAll(transport.body); len(rest) != 0 || err == nil {
		t.Errorf("%d bytes, %v", len(rest), err)
	}
}
