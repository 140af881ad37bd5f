package httpsink

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what one sink counts of its requests. The records in them are the fan-out's to count.
type metrics struct {
	requests *prometheus.CounterVec
	bytes    prometheus.Counter
	seconds  prometheus.Observer
}

// newMetrics registers them; a registerer of nil counts for nobody. A sink that is opened again goes on
// where it was.
func newMetrics(reg prometheus.Registerer) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "sluice", Subsystem: "currents_fanout", Name: "http_" + name, Help: help}
	}
	return &metrics{
		requests: registered(reg, prometheus.NewCounterVec(
			prometheus.CounterOpts(opts("requests_total", "Requests to the sink, by the status of the answer; none without one.")), []string{"status"})),
		bytes: registered(reg, prometheus.NewCounter(prometheus.CounterOpts(opts("request_bytes_total", "Bodies of these requests as they were sent.")))),
		seconds: registered(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "sluice", Subsystem: "currents_fanout", Name: "http_request_seconds",
			Help: "Time from a request to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 12),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
		})),
	}
}

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

func (m *metrics) answered(status, size int, took time.Duration) {
	m.count(strconv.Itoa(status), size, took)
}

func (m *metrics) failed(size int, took time.Duration) { m.count("none", size, took) }

func (m *metrics) count(status string, size int, took time.Duration) {
	m.requests.WithLabelValues(status).Inc()
	m.bytes.Add(float64(size))
	m.seconds.Observe(took.Seconds())
}
