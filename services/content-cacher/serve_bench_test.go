package contentcacher

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// nobody takes an answer and does nothing with it.
type nobody struct{ h http.Header }

func (n nobody) Header() http.Header         { return n.h }
func (n nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n nobody) WriteHeader(int)             {}

// BenchmarkGetItem is what our own part of a request costs, beside a handler that writes constant bytes.
func BenchmarkGetItem(b *testing.B) {
	body := append(append([]byte(`{"text":"`), bytes.Repeat([]byte("lorem ipsum "), 160)...), `"}`...)
	s := serving(b, `collections: [{name: "*"}]`)
	s.shelf.Load().Put(&event.Content{Collection: "banners", ItemID: "spring", Approved: true, Body: body, ReceivedAt: time.Now()})
	handler := s.routes()
	for _, c := range []struct {
		name string
		head http.Header
		h    http.Handler
	}{
		{"item", http.Header{}, handler},
		{"gzip", http.Header{"Accept-Encoding": {"gzip"}}, handler},
		{"bare", http.Header{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = jsonType
			_, _ = w.Write(body)
		})},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/v1/content/banners/spring?locale=de-AT", nil)
			r.Header = c.head
			w := nobody{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				c.h.ServeHTTP(w, r)
			}
		})
	}
}

// serving makes a service that neither listens nor reads.
func serving(tb testing.TB, rules string) *Service {
	tb.Helper()
	collections, err := parseCollections([]byte(rules), "content.yaml", func(string) (string, bool) { return "", false })
	if err != nil {
		tb.Fatal(err)
	}
	s := &Service{collections: collections, options: Options{MaxItems: 200, MaxBytes: 1_000_000}, heavy: make(chan struct{}, 2)}
	s.shelf.Store(new(shelf.Shelf))
	s.metrics = newMetrics(prometheus.NewRegistry(), collections, func() shelf.Size { return s.shelf.Load().Size() }, s.age)
	return s
}

// TestAnAnswerLeavesLittleBehind counts what has to be collected after each: whoever collects delays others.
func TestAnAnswerLeavesLittleBehind(t *testing.T) {
	s := serving(t, `collections: [{name: "*", locale: en}]`)
	s.shelf.Load().Put(&event.Content{Collection: "banners", ItemID: "spring", Approved: true, Body: bytes.Repeat([]byte(" "), 2000), ReceivedAt: time.Now()})
	handler := s.routes()
	w := nobody{http.Header{}}
	r := httptest.NewRequest(http.MethodGet, "/v1/content/banners/spring?locale=de-AT", nil)
	handler.ServeHTTP(w, r)
	known := r.Clone(t.Context())
	known.Header.Set("If-None-Match", w.h.Get("Etag"))
	for name, r := range map[string]*http.Request{"item": r, "known already": known} {
		if n := testing.AllocsPerRun(1000, func() {
			clear(w.h)
			handler.ServeHTTP(w, r)
		}); n > 3 { // one more than there are: the race detector empties pools
			t.Errorf("%s: %v allocations, want 2", name, n)
		}
	}
}
