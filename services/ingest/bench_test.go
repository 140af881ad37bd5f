package ingest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

// void takes every record at once and keeps none: what is measured is ours alone.
type void struct{}

func (void) Produce(_ context.Context, r *stream.Record, done func(*stream.Record, error)) {
	done(r, nil)
}
func (void) Write(_ context.Context, _ deadletter.Letter, done func(error)) { done(nil) }

func voidService() *Service {
	return New(testOptions(), Deps{
		Producer: void{}, Letters: void{}, IDs: topics.IDs{schema.CustomerEvents: 7, schema.CustomerProfiles: 8, schema.CommerceEvents: 9},
		Metrics: prometheus.NewRegistry(), Log: zerolog.Nop(),
	})
}

// tracks is a batch of n messages as the Go client sends them.
func tracks(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"messageId":"envelope","sentAt":"2026-03-02T09:15:05.123456789Z","context":{"library":{"name":"analytics-go","version":"3.1.0"}},"batch":`)
	for i := range n {
		b.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(&b, `{"type":"track","messageId":"8d1c%032d","userId":"cus-%06d","event":"Order Completed","timestamp":"2026-03-02T09:15:03.480123456Z",`+
			`"properties":{"order_id":"A-%06d","total":84.90,"currency":"EUR","coupon":"SPRING","items":3,"express":true,"product":{"product_id":"P-77","name":"Trail Runner","price":70.00}}}`, i, i%97, i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func identifies(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"batch":`)
	for i := range n {
		b.WriteByte("[,"[min(i, 1)])
		fmt.Fprintf(&b, `{"type":"identify","messageId":"8d1c%032d","userId":"cus-%06d","anonymousId":"a-%d","traits":{"email":"mira.osei@example.com","firstName":"Mira",`+
			`"plan":"gold","createdAt":"2024-11-05T10:00:00Z","address":{"city":"Graz","country":"AT"}}}`, i, i, i)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkSegmentBatch(b *testing.B) {
	for _, c := range []struct {
		name string
		body []byte
	}{{"50 tracks", tracks(50)}, {"50 identifies", identifies(50)}} {
		b.Run(c.name, func(b *testing.B) {
			var env envelope
			var s, inner scanner
			var items []item
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				env = envelope{messages: env.messages[:0]}
				s.reset(c.body)
				if err := parseBatch(&s, &env); err != nil {
					b.Fatal(err)
				}
				items = items[:0]
				for i := range env.messages {
					items = append(items, translate(&env.messages[i], &env, arrival, &inner))
				}
			}
			perEvent(b, 50)
		})
	}
}

func perEvent(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
}

// BenchmarkAppendRecords encodes parsed events into records.
func BenchmarkAppendRecords(b *testing.B) {
	s := voidService()
	rq := &request{service: s, holder: s.ring[0], received: arrival, body: events(50)}
	if err := rq.parse(parseEvents); err != nil {
		b.Fatal(err)
	}
	rq.makeSlots()
	b.ReportAllocs()
	for b.Loop() {
		rq.makeRoom()
		for i := range rq.items {
			rq.encode(&rq.items[i], &rq.slots[i])
		}
	}
	perEvent(b, 50)
}

// BenchmarkHandler answers whole requests, Kafka and the network aside. Every id is new.
func BenchmarkHandler(b *testing.B) {
	for _, c := range []struct {
		name, path string
		n          int
		body       []byte
	}{
		{"one event", "/v1/events", 1, []byte(oneEvent(0))},
		{"50 events", "/v1/events", 50, events(50)},
		{"50 tracks", "/v1/batch", 50, tracks(50)},
	} {
		b.Run(c.name, func(b *testing.B) {
			handler := voidService().Handler()
			// Ids end in digits that are counted up, so that none is a repeat.
			var places [][]byte
			for rest := c.body; ; {
				i := bytes.Index(rest, []byte(`d":"`)) // id, or messageId
				if i < 0 || len(places) == c.n {
					break
				}
				rest = rest[i+4:]
				if digits := bytes.IndexByte(rest, '0'); digits >= 0 && (bytes.HasPrefix(rest, []byte("ord-")) || bytes.HasPrefix(rest, []byte("8d1c"))) {
					places = append(places, rest[4:10])
				}
			}
			n := 0
			r := httptest.NewRequest(http.MethodPost, c.path, nil)
			r.Header.Set("Authorization", basicOf("k1:"))
			r.Header.Set("X-Api-Key", "k1")
			r.Header.Set("Content-Type", "application/json")
			r.ContentLength = int64(len(c.body))
			body := bytes.NewReader(nil)
			r.Body = nopCloser{body}
			w := &discard{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range places {
					n++
					for i, v := 5, n; i >= 0; i, v = i-1, v/10 {
						p[i] = byte('0' + v%10)
					}
				}
				body.Reset(c.body)
				clear(w.header)
				handler.ServeHTTP(w, r)
				if w.code != 200 && w.code != 202 {
					b.Fatal(w.code)
				}
			}
			perEvent(b, c.n)
		})
	}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

// discard is a response that is not looked at.
type discard struct {
	header http.Header
	code   int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(code int)        { d.code = code }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkWindow(b *testing.B) {
	w := newWindow(1_000_000, 24*60*60*1e9)
	sl := heldSlot()
	b.ReportAllocs()
	var n uint64
	for b.Loop() {
		n++
		sl.claim = 0
		if w.claim(fingerprint{n * 0x9E3779B97F4A7C15, n}, arrival, sl) {
			w.settle(sl.claim, true, accepted)
		}
	}
}
