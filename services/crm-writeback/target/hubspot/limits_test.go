package hubspot

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// direct hands requests to a handler without a network, so that time may be made.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil { // http.ErrAbortHandler: it hung up
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestCallsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := hubspotfake.New(hubspotfake.Options{PerInterval: 5, Daily: 1000})
		registry := prometheus.NewRegistry()
		made, err := Open(t.Context(), Options{Token: hubspotfake.DefaultToken}, target.Deps{HTTP: &http.Client{Transport: direct{s}}, Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i := range 20 {
			if a := made.Write(t.Context(), rows(3, upsert, `{"city":"Graz"}`)); a.Of(0).Kind != outcome.Delivered {
				t.Fatalf("call %d: %+v", i, a)
			}
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("20 calls at 5 in 10 s took %v", took)
		}
		want := "# HELP sluice_writeback_hubspot_daily_remaining Of these, left.\n# TYPE sluice_writeback_hubspot_daily_remaining gauge\nsluice_writeback_hubspot_daily_remaining 980\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "sluice_writeback_hubspot_daily_remaining"); err != nil {
			t.Error(err)
		}
	})
}

func TestADayThatIsOverIsNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := hubspotfake.New(hubspotfake.Options{Daily: 2})
		made, err := Open(t.Context(), Options{Token: hubspotfake.DefaultToken}, target.Deps{HTTP: &http.Client{Transport: direct{s}}})
		if err != nil {
			t.Fatal(err)
		}
		one := rows(1, upsert, `{"city":"Graz"}`)
		for range 2 {
			made.Write(t.Context(), one)
		}
		for range 5 {
			if a := made.Write(t.Context(), one); a.All.Reason != "daily_limit" || a.RetryAfter != dailyPause || a.Halt {
				t.Fatalf("%+v", a)
			}
		}
		if n := s.Calls()["contacts/batch/upsert"]; n != 3 {
			t.Errorf("%d calls", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		for made.Write(ctx, one).Of(0).Kind != outcome.Delivered {
			pause := time.NewTimer(dailyPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				t.Fatal("the next day did not come")
			}
		}
	})
}
