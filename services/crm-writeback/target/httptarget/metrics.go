package httptarget

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// metrics are what is counted of calls. Rows are the writer's to count.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds prometheus.Observer
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const namespace, subsystem = "sluice", "writeback"
	return &metrics{
		calls: wire.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "http_calls_total",
			Help: "Calls to a system by HTTP, by the status of the answer; none without one.",
		}, []string{"status"})),
		seconds: wire.Registered(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "http_call_seconds",
			Help: "Time from a call to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 10),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		})),
	}
}

func (m *metrics) call(status int, took time.Duration) {
	word := "none"
	if status != 0 {
		word = strconv.Itoa(status)
	}
	m.calls.WithLabelValues(word).Inc()
	m.seconds.Observe(took.Seconds())
}
