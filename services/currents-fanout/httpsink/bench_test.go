package httpsink

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// discard takes requests without a network, so that what is measured is ours.
type discard struct{}

func (discard) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, err
}

// What a batch of 500 costs beside the network.
func BenchmarkWrite(b *testing.B) {
	batch := engagements(500)
	size := 0
	for _, e := range batch {
		size += len(e.JSON)
	}
	for _, bench := range []struct {
		name    string
		options Options
	}{
		{"array", Options{}},
		{"array with an id", Options{IDHeader: "Idempotency-Key"}},
		{"array signed", Options{Sign: Sign{Secrets: []config.Secret{goodSecret}}}},
		{"array gzip", Options{Compress: "gzip"}},
		{"single", Options{Format: "single"}},
		{"template", Options{Template: `{id: $id, campaign: .properties.campaign_id}`}},
		{"clickhouse", Options{Preset: "clickhouse", Table: "t"}},
		{"segment", Options{Preset: "segment", Key: "k"}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			bench.options.URL = "http://collector.example/in"
			s, err := Open(b.Context(), bench.options, sink.Deps{Name: "bench", HTTP: &http.Client{Transport: discard{}}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if a := s.Write(b.Context(), batch); a.All.Kind != outcome.Delivered {
					b.Fatal(a)
				}
			}
		})
	}
}

// The same over loopback, beside a forwarder that has its body ready and does nothing else.
func BenchmarkForward(b *testing.B) {
	batch := engagements(500)
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	b.Cleanup(far.Close)
	b.Run("bare", func(b *testing.B) {
		var body bytes.Buffer
		for _, e := range batch {
			body.Write(e.JSON)
			body.WriteByte('\n')
		}
		b.ReportAllocs()
		b.SetBytes(int64(body.Len()))
		for b.Loop() {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, far.URL, bytes.NewReader(body.Bytes()))
			if err != nil {
				b.Fatal(err)
			}
			resp, err := far.Client().Do(r)
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	b.Run("sink", func(b *testing.B) {
		s, err := Open(b.Context(), Options{URL: far.URL, Format: "ndjson"}, sink.Deps{Name: "bench", HTTP: far.Client()})
		if err != nil {
			b.Fatal(err)
		}
		size := 0
		for _, e := range batch {
			size += len(e.JSON) + 1
		}
		b.ReportAllocs()
		b.SetBytes(int64(size))
		for b.Loop() {
			if a := s.Write(b.Context(), batch); a.All.Kind != outcome.Delivered {
				b.Fatal(a)
			}
		}
	})
}
