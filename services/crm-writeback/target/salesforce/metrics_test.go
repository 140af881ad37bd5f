package salesforce_test

import (
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func TestTheLimitIsExportedWhileSeveralWriteAtOnce(t *testing.T) {
	_, url := sandbox(t, salesforcefake.Options{DailyLimit: 5000, Knobs: salesforcefake.Knobs{ExpireAfter: 50}})
	metrics := prometheus.NewRegistry()
	to := open(t, options(url), target.Deps{Metrics: metrics})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 40 {
				rows := rowsOf(300, fields)[50*w+i:][:10]
				if a := to.Write(t.Context(), rows); count(a, 10, outcome.Delivered) != 10 {
					t.Errorf("%+v", a)
				}
			}
		})
	}
	writers.Wait()
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[f.GetName()] += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	const name = "sluice_writeback_salesforce_"
	if got[name+"api_limit"] != 5000 || got[name+"api_usage"] < 100 || got[name+"api_usage"] > 164 {
		t.Errorf("exported are %v", got)
	}
	if got[name+"tokens_total"] != 4 || got[name+"calls_total"] < 163 {
		t.Errorf("exported are %v", got)
	}
}
