package ingest

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

// mixed is a batch of n events over all types.
func mixed(n int) []byte {
	rng := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a benchmark's
	types := currents.Types()
	events := make([][]byte, n)
	for i := range events {
		events[i] = sample.Event(rng, types[i%len(types)].Name, i)
	}
	return sample.Batch(events...)
}

// BenchmarkCurrents answers whole requests of a hundred events, Kafka and the network aside, beside a bare handler
// that takes a batch apart and looks at nothing. Every id is new, as far as the window can tell: it is so small
// that it has forgotten those of the batch before.
func BenchmarkCurrents(b *testing.B) {
	const n = 100
	o := testOptions()
	o.CurrentsTokens, o.CurrentsDedupEntries = Tokens{"t0k3n"}, n/2
	handler := New(o, Deps{
		Producer: void{}, Letters: void{}, IDs: topics.IDs{schema.BrazeEngagements: 11},
		Metrics: prometheus.NewRegistry(), Log: zerolog.Nop(),
	}).Handler()
	for _, c := range []struct {
		name string
		body []byte
	}{{"of all types", mixed(n)}, {"clicks", []byte(batchOf(clicks(n)...))}} {
		b.Run(c.name, func(b *testing.B) { benchmarkReport(b, handler, c.body, n) })
		b.Run("bare, "+c.name, func(b *testing.B) { benchmarkReport(b, http.HandlerFunc(bare), c.body, n) })
	}
}

func benchmarkReport(b *testing.B, handler http.Handler, sent []byte, n int) {
	r := httptest.NewRequest(http.MethodPost, currentsPath, nil)
	r.Header.Set("Authorization", "Bearer t0k3n")
	r.ContentLength = int64(len(sent))
	body := bytes.NewReader(nil)
	r.Body = nopCloser{body}
	w := &discard{header: http.Header{}}
	b.SetBytes(int64(len(sent)))
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(sent)
		clear(w.header)
		handler.ServeHTTP(w, r)
		if w.code != 200 {
			b.Fatal(w.code)
		}
	}
	perEvent(b, n)
}

// bare is the least that a receiver can do.
func bare(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	for range 3 { // { "events" [
		if _, err := d.ReadToken(); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	for d.PeekKind() != ']' {
		raw, err := d.ReadValue()
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		void{}.Produce(r.Context(), &stream.Record{Value: raw}, func(*stream.Record, error) {})
	}
	w.WriteHeader(http.StatusOK)
}

func clicks(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"event_type":"users.messages.email.Click","id":"0f6c1d2a-3b4e-4f70-8a9b-%012d","time":1785315688,"user":{"user_id":"66a1f0c2b7e4d90012ab34cd","external_user_id":"crm-%07d"},`+
			`"properties":{"campaign_id":"41f7c2ab-0d9e-4e63-b1a4-5c6d7e8f9012","campaign_name":"Autumn","message_variation_id":"7d3b9f10-5a2c-4b8e-9c77-0e1f2a3b4c5d","dispatch_id":"66a8d5e1f2c3b4a5968778695a4b3c2d",`+
			`"email_address":"mara.lindqvist@shop.example","url":"https://shop.example/autumn?c=41f7","link_alias":"hero","is_suspected_bot_click":false,"suspected_bot_click_reason":[]}}`, i, i)
	}
	return all
}
