package httpsink

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// engagement is an event as Braze sends it, of one of three customers.
func engagement(n int) *sink.Event {
	id := fmt.Sprintf("0f6c1d2a-3b4e-4f70-8a9b-%012d", n)
	customer := fmt.Sprintf("crm-%04d", n%3)
	document := fmt.Sprintf(`{"event_type":"users.messages.email.Click","id":%q,"time":1785315688,`+
		`"user":{"user_id":"66a1f0c2b7e4d90012ab34cd","external_user_id":%q},`+
		`"properties":{"campaign_id":"41f7c2ab-0d9e-4e63-b1a4-5c6d7e8f9012","message_variation_id":"7d3b9f10-5a2c-4b8e-9c77-0e1f2a3b4c5d",`+
		`"dispatch_id":"66a8d5e1f2c3b4a5968778695a4b3c2d","number":820982911946154508,"url":"https://shop.example/autumn?c=41f7",`+
		`"user_agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"}}`, id, customer)
	return &sink.Event{
		ID: id, Type: "users.messages.email.Click", Key: customer,
		OccurredAt: time.Unix(1785315688, 0), ReceivedAt: time.Unix(1785315690, 500_000_000),
		Engagement: &event.Engagement{ID: id, User: event.User{ExternalID: customer, BrazeID: "66a1f0c2b7e4d90012ab34cd"}},
		JSON:       []byte(document),
		Topic:      "braze.engagements", Offset: int64(n),
	}
}

func engagements(n int) []*sink.Event {
	batch := make([]*sink.Event, n)
	for i := range batch {
		batch[i] = engagement(i)
	}
	return batch
}

// request is one that a server got.
type request struct {
	method, address string
	header          http.Header
	body            []byte
}

// server remembers what it was sent.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []request
}

// serve answers with what answer does; it is given how many requests came before.
func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		n := len(s.requests)
		s.requests = append(s.requests, request{r.Method, r.URL.String(), r.Header.Clone(), body})
		s.mu.Unlock()
		answer(w, r, n)
	}))
	t.Cleanup(s.Close)
	return s
}

// always answers with a status and a body.
func always(status int, body string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func (s *server) got() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func open(t testing.TB, o Options) sink.Sink {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	s, err := Open(t.Context(), o, sink.Deps{Name: "test", HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
	})
	return s
}

// fates are what became of n events, in short: the kind and the reason.
func fates(a sink.Answer, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		o := a.Of(i)
		texts[i] = o.Kind.String()
		if o.Reason != "" {
			texts[i] += " " + o.Reason
		}
	}
	return texts
}

func times(n int, text string) []string { return slices.Repeat([]string{text}, n) }

// show is a request as a golden file has it.
func (r request) show() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", r.method, r.address)
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		if name != "Accept-Encoding" {
			fmt.Fprintf(&b, "%s: %s\n", name, r.header.Get(name))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.body)
	return b.Bytes()
}

// golden compares with a file under testdata, or writes it when GOLDEN=write is in the environment.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("GOLDEN") == "write" {
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
