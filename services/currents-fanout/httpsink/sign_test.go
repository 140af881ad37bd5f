package httpsink

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const newSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC0NjZWNyZXQ="

// Each side of a rotation verifies with the one secret it knows, by the standard's own library.
func TestSignaturesAreVerified(t *testing.T) {
	for _, secret := range []string{goodSecret, newSecret} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if err := verifier.Verify(body, r.Header); err != nil {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, err.Error())
			}
		}))
		t.Cleanup(far.Close)
		for _, format := range []string{"array", "ndjson", "single"} {
			o := Options{URL: far.URL, Format: format, Sign: Sign{Secrets: []config.Secret{goodSecret, newSecret}}}
			if a := open(t, o).Write(t.Context(), engagements(3)); a.All.Kind != outcome.Delivered {
				t.Errorf("%s: %+v", format, a)
			}
		}
		stranger := Options{URL: far.URL, Sign: Sign{Secrets: []config.Secret{config.Secret("whsec_" + strings.Repeat("AAAA", 8))}}}
		if a := open(t, stranger).Write(t.Context(), engagements(3)); !a.Halt {
			t.Errorf("a wrong secret: %+v", a)
		}
	}
}

func TestIDsOfRequests(t *testing.T) {
	far := serve(t, always(200, ""))
	ids := func(o Options, batches ...[]*sink.Event) []string {
		before := len(far.got())
		o.URL, o.IDHeader = far.URL, "Idempotency-Key"
		s := open(t, o)
		for _, batch := range batches {
			s.Write(t.Context(), batch)
		}
		var ids []string
		for _, r := range far.got()[before:] {
			ids = append(ids, r.header.Get("Idempotency-Key"))
		}
		return ids
	}
	all := engagements(6)
	again := ids(Options{}, all[:4], all[:4], all[1:5], engagements(4))
	if again[0] != again[1] || again[0] != again[3] || again[0] == again[2] || !strings.HasPrefix(again[0], "batch_") {
		t.Errorf("the same events have the same id, others another: %q", again)
	}
	swapped := []*sink.Event{all[1], all[0], all[2], all[3]}
	if other := ids(Options{}, swapped); other[0] == again[0] {
		t.Error("the order counts")
	}
	glued := func(a, b string) []*sink.Event {
		return []*sink.Event{{ID: a, JSON: []byte("1")}, {ID: b, JSON: []byte("2")}}
	}
	if got := ids(Options{}, glued("ab", "c"), glued("a", "bc")); got[0] == got[1] {
		t.Error("two batches have one id")
	}
	if got := ids(Options{Format: "single"}, all[:2]); !slices.Equal(got, []string{all[0].ID, all[1].ID}) {
		t.Error(got)
	}
	odd := &sink.Event{ID: "order\r\nX-Evil: 1", JSON: []byte("1"), Action: &event.Action{}}
	if got := ids(Options{Format: "single"}, []*sink.Event{odd}); !strings.HasPrefix(got[0], "sha256_") || len(got[0]) != 71 {
		t.Error(got)
	}
}
