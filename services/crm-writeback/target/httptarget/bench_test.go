package httptarget

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// canned answers without a network, so that what is measured is ours.
type canned struct{ body []byte }

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(c.body)), Request: r}, err
}

// What a call costs beside the network.
func BenchmarkWrite(b *testing.B) {
	const fields = `{"first_name":"Mira","email_opt_in":true,"tier":"gold","points":1250}`
	answer := []byte(`{"results":[`)
	for i, r := range rows(50, upsert, fields) {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = fmt.Appendf(answer, `{"id":%q,"status":"ok","version":%d}`, r.Key, i)
	}
	answer = append(answer, `]}`...)
	for _, bench := range []struct {
		name, preset string
		rows         int
		answer       []byte
	}{
		{"a row by chargebee.yaml", "chargebee.yaml", 1, []byte(`{"customer":{"id":"m-0000","resource_version":1772442900101}}`)},
		{"fifty rows by loyalty_batch.yaml", "loyalty_batch.yaml", 50, answer},
	} {
		b.Run(bench.name, func(b *testing.B) {
			made, err := Open(b.Context(), preset(b, bench.preset, "http://crm.example/v1"), target.Deps{HTTP: &http.Client{Transport: canned{bench.answer}}})
			if err != nil {
				b.Fatal(err)
			}
			batch := rows(bench.rows, upsert, fields)
			b.ReportAllocs()
			for b.Loop() {
				if a := made.Write(b.Context(), batch); a.Of(bench.rows-1).Kind != outcome.Delivered {
					b.Fatal(a)
				}
			}
			b.ReportMetric(float64(b.N*bench.rows)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
