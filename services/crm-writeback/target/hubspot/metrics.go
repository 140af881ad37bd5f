package hubspot

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// metrics are what is counted of calls, and what HubSpot says of its limits. Rows are the writer's to count.
type metrics struct {
	calls   *prometheus.CounterVec
	seconds prometheus.Observer
	gauges  map[string]prometheus.Gauge // by header
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const namespace, subsystem = "sluice", "writeback"
	m := &metrics{
		calls: wire.Registered(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "hubspot_calls_total",
			Help: "Calls to HubSpot, by what they do and the status of the answer; none without one.",
		}, []string{"call", "status"})),
		seconds: wire.Registered(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "hubspot_call_seconds",
			Help: "Time from a call to HubSpot to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.005, 2.5, 10),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		})),
		gauges: map[string]prometheus.Gauge{},
	}
	for header, about := range map[string][2]string{
		"X-HubSpot-RateLimit-Max":             {"hubspot_rate_limit", "Calls that HubSpot allows in its interval of some seconds, by its last answer."},
		"X-HubSpot-RateLimit-Remaining":       {"hubspot_rate_remaining", "Of these, left."},
		"X-HubSpot-RateLimit-Daily":           {"hubspot_daily_limit", "Calls that HubSpot allows in a day, by its last answer; not said of OAuth."},
		"X-HubSpot-RateLimit-Daily-Remaining": {"hubspot_daily_remaining", "Of these, left."},
	} {
		m.gauges[header] = wire.Registered(reg, prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: about[0], Help: about[1]}))
	}
	return m
}

func (m *metrics) call(name string, status int, took time.Duration) {
	text := "none"
	if status != 0 {
		text = strconv.Itoa(status)
	}
	m.calls.WithLabelValues(name, text).Inc()
	m.seconds.Observe(took.Seconds())
}

func (m *metrics) limits(h http.Header) {
	for header, gauge := range m.gauges {
		if n, said := number(h, header); said {
			gauge.Set(float64(n))
		}
	}
}
