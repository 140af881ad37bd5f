package hubspot

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

// What a call of a hundred rows costs beside the network.
func BenchmarkUpsert(b *testing.B) {
	batch := rows(100, upsert, `{"firstname":"Mira","hs_email_optout":true,"loyalty_tier":"gold","loyalty_points":1250,"city":null}`)
	answer := []byte(`{"status":"COMPLETE","results":[`)
	for i, r := range batch {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = fmt.Appendf(answer, `{"id":"1735952%05d","new":false,"objectWriteTraceId":%q,"createdAt":"2026-03-02T09:15:01.476Z","updatedAt":"2026-03-02T09:15:01.476Z","archived":false,`+
			`"properties":{"braze_external_id":%q,"firstname":"Mira","hs_email_optout":"true","loyalty_tier":"gold","loyalty_points":"1250","hs_object_id":"1735952%05d"}}`, i, r.ID, r.Key, i)
	}
	answer = append(answer, `]}`...)
	made, err := Open(b.Context(), Options{Token: "t"}, target.Deps{HTTP: &http.Client{Transport: canned{answer}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if a := made.Write(b.Context(), batch); a.Of(99).Kind != outcome.Delivered {
			b.Fatal(a)
		}
	}
	b.ReportMetric(float64(b.N*len(batch))/b.Elapsed().Seconds(), "rows/s")
}
