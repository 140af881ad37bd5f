package filesink

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestWhatIsWrittenIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	opened, err := Open(t.Context(), Options{URL: "file://" + t.TempDir()}, sink.Deps{Metrics: registry, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	misfit := engagement(t, `{"event_type":"users.messages.email.Click","id":"e","time":1788264000,"user":{},"properties":{"is_amp":"[REDACTED]","url":null}}`, 10)
	mustWrite(t, opened.(*Sink), stretch(0, 11), append(mixed(t, 0, 10), misfit))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
	}
	if got["sluice_fanout_files_bytes_total"] < 1000 {
		t.Errorf("bytes: %v", got)
	}
	delete(got, "sluice_fanout_files_bytes_total")
	want := map[string]float64{
		"sluice_fanout_files_written_total": 4, "sluice_fanout_files_rows_total": 11, "sluice_fanout_files_misfits_total": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
