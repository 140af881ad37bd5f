package salesforce

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what this kind counts beyond what the writer counts of every target.
type metrics struct {
	calls  *prometheus.CounterVec
	used   prometheus.Gauge
	limit  prometheus.Gauge
	tokens prometheus.Counter
	jobs   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "sluice", Subsystem: "writeback", Name: "salesforce_" + name, Help: help}
	}
	return &metrics{
		calls: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts(
			opts("calls_total", "Calls to Salesforce, by API and by the status of the answer; none without one.")), []string{"api", "status"})),
		used: registered(reg, prometheus.NewGauge(prometheus.GaugeOpts(
			opts("api_usage", "Calls of the last 24 hours by all the org's tools, as the last answer says.")))),
		limit: registered(reg, prometheus.NewGauge(prometheus.GaugeOpts(
			opts("api_limit", "Calls that the org may make in 24 hours, as the last answer says.")))),
		tokens: registered(reg, prometheus.NewCounter(prometheus.CounterOpts(
			opts("tokens_total", "Access tokens fetched.")))),
		jobs: registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts(
			opts("bulk_jobs_total", "Bulk jobs, by the state in which we left them.")), []string{"state"})),
	}
}

// registered registers a collector. A target that is opened again goes on where it was; nil counts for nobody.
func registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := known.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic(err) // two metrics of one name: a mistake in the program
	}
	return c
}
