package httpsink

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestRequestsAreCountedBySinkAndStatus(t *testing.T) {
	far := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		w.WriteHeader([]int{200, 503, 200, 200}[n])
	})
	reg := prometheus.NewRegistry()
	for _, name := range []string{"a", "b", "a"} { // a sink that is opened again counts on
		s, err := Open(t.Context(), Options{URL: far.URL}, sink.Deps{
			Name: name, Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"sink": name}, reg),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Write(t.Context(), engagements(1))
	}
	far.Close()
	dead, err := Open(t.Context(), Options{URL: far.URL}, sink.Deps{Name: "c", Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"sink": "c"}, reg)})
	if err != nil {
		t.Fatal(err)
	}
	dead.Write(t.Context(), engagements(1))

	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "sluice_currents_fanout_http_requests_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			key := ""
			for _, l := range m.GetLabel() {
				key += l.GetName() + "=" + l.GetValue() + " "
			}
			got[key] = m.GetCounter().GetValue()
		}
	}
	want := map[string]float64{"sink=a status=200 ": 2, "sink=b status=503 ": 1, "sink=c status=none ": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// ClickHouse may have begun to answer 200 when an INSERT fails.
func TestAYesOfClickHouseWithAnExceptionIsNone(t *testing.T) {
	far := serve(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 0 {
			w.Header().Set("X-ClickHouse-Exception-Code", "241")
		}
	})
	s := open(t, Options{Preset: "clickhouse", URL: far.URL, Table: "t"})
	if a := s.Write(t.Context(), engagements(1)); a.All.Kind != outcome.Deferred || a.All.Reason != reasonUnavailable {
		t.Errorf("%+v", a)
	}
	if a := s.Write(t.Context(), engagements(1)); a.All.Kind != outcome.Delivered {
		t.Errorf("%+v", a)
	}
}
