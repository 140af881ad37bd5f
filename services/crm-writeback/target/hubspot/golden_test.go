package hubspot

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// The requests as HubSpot gets them, call by call.
func TestRequestsAreAsTheyWere(t *testing.T) {
	answers := map[string]string{
		"/crm/v3/objects/contacts/batch/upsert": `{"status":"COMPLETE","results":[{"id":"501","objectWriteTraceId":"w-000000"},{"id":"502","objectWriteTraceId":"w-000001"}]}`,
		"/crm/v3/objects/contacts/batch/read":   `{"status":"COMPLETE","results":[{"id":"501","properties":{"braze_external_id":"crm-0000"}},{"id":"502","properties":{"braze_external_id":"crm-0001"}}]}`,
		"/crm/v3/objects/contacts/batch/update": `{"status":"COMPLETE","results":[{"id":"501"},{"id":"502"}]}`,
		"/crm/v3/objects/notes/batch/upsert":    `{"status":"COMPLETE","results":[{"id":"901","objectWriteTraceId":"w-000000"},{"id":"902","objectWriteTraceId":"w-000001"}]}`,
	}
	for _, mode := range []string{upsert, update, note} {
		t.Run(mode, func(t *testing.T) {
			var got bytes.Buffer
			far := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(&got, "%s %s\nAuthorization: %s\nContent-Type: %s\n\n%s\n\n", r.Method, r.URL, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), body)
				answer := answers[r.URL.Path]
				if answer == "" {
					answer = `{"status":"COMPLETE","results":[]}`
				}
				_, _ = io.WriteString(w, answer)
			})
			batch := []*target.Row{
				row("w-000000", "crm-0000", mode, `{"firstname":"Zoë \"Z\"","hs_email_optout":false,"loyalty_points":12.50,"city":null,"topics":["a","b"]}`),
				row("w-000001", "crm-0001", mode, `{"braze_external_id":"another","hs_timestamp":"2026-01-01T00:00:00Z"}`),
			}
			if a := against(t, far, Options{}, nil).Write(t.Context(), batch); a.Of(0).Kind.String() != "delivered" || a.Of(1).ID != "502" {
				t.Errorf("%+v", a)
			}
			file := filepath.Join("testdata", "requests_"+mode+".txt")
			if os.Getenv("GOLDEN") == "write" {
				if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}
