package catalog

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// metrics state the law for the collections that this replica keeps in step: accepted = delivered + skipped +
// refused + held.
type metrics struct {
	accepted prometheus.Counter
	ended    *prometheus.CounterVec // outcome, reason
	changes  *prometheus.CounterVec // change
	calls    *prometheus.CounterVec // endpoint, verdict
	held     atomic.Int64
	pending  atomic.Int64
	kept     atomic.Int64
	stopped  atomic.Int64
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_catalog_" + name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	m := &metrics{
		accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_catalog_accepted_total", Help: "Records of content taken whose collections are kept as catalogs."}),
		ended:    counter("settled_total", "Records of content done with, by outcome (delivered, skipped, refused) and reason.", "outcome", "reason"),
		changes:  counter("changes_total", "Items that Braze has taken or let go, by change (put, remove).", "change"),
		calls:    counter("requests_total", "Calls to Braze about catalogs, by endpoint and what the answer means.", "endpoint", "verdict"),
	}
	reg.MustRegister(m.accepted)
	gauge := func(name, help string, value *atomic.Int64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_catalog_" + name, Help: help}, func() float64 { return float64(value.Load()) }))
	}
	gauge("held", "Records of content taken that have led to nothing yet.", &m.held)
	gauge("pending", "Items that are not known to be in step: to be sent, under way, or in doubt.", &m.pending)
	gauge("collections", "Collections that this replica keeps in step.", &m.kept)
	gauge("stopped", "1 while somebody has to act before catalogs are kept in step again.", &m.stopped)
	return m
}

func (m *metrics) took() {
	m.accepted.Inc()
	m.held.Add(1)
}

func (m *metrics) settled(o outcome.Outcome, n int) {
	m.ended.WithLabelValues(o.Kind.String(), o.Reason).Add(float64(n))
	m.held.Add(-int64(n))
}

func (m *metrics) called(e *braze.Endpoint, a braze.Answer) {
	m.calls.WithLabelValues(e.String(), a.Verdict.String()).Inc()
}

func (m *metrics) changed(f *flight) {
	words := map[kind]string{put: "put", remove: "remove"}
	n := 0
	for i := range f.loads {
		if ld := &f.loads[i]; !ld.deferred && (f.kind == remove || ld.why == nil) {
			n++
		}
	}
	if f.kind != note && n > 0 {
		m.changes.WithLabelValues(words[f.kind]).Add(float64(n))
	}
}
