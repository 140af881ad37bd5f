package brazesender

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// metrics state the law: accepted = delivered + skipped + refused + held, where accepted and held
// count from the moment the process got its partitions.
type metrics struct {
	registry prometheus.Registerer
	accepted prometheus.Counter
	ended    *prometheus.CounterVec // outcome, reason
	delayed  *prometheus.CounterVec // reason
	calls    *prometheus.CounterVec // endpoint, verdict
	objects  prometheus.Histogram
	latency  prometheus.Histogram
	closing  *prometheus.CounterVec // why
	again    *prometheus.CounterVec // outcome
	plainly  *prometheus.CounterVec // type
	plain    prometheus.Counter     // ended with delivered and no reason: the hot one
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_sender_" + name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	m := &metrics{
		registry: reg,
		accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_sender_accepted_total", Help: "Records taken from the topic."}),
		ended:    counter("settled_total", "Records done with, by outcome (delivered, skipped, refused) and reason.", "outcome", "reason"),
		delayed:  counter("deferred_total", "Times that a record has to be sent again, by reason.", "reason"),
		calls:    counter("requests_total", "Calls to Braze, by endpoint and what the answer means.", "endpoint", "verdict"),
		closing:  counter("batches_total", "Requests by why they were closed: full or linger.", "why"),
		again:    counter("recalled_total", "Records that an earlier owner had settled beyond its last commit, by outcome.", "outcome"),
		plainly:  counter("plain_commerce_total", "Commerce events sent as custom events, since they lack what Braze requires of a recommended one, by type.", "type"),
		objects: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_sender_request_objects", Help: "Objects in a request.", Buckets: []float64{1, 5, 10, 25, 50, 75, 150, 225},
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "sluice_sender_request_seconds", Help: "Time from sending a request to its answer.",
			Buckets:                     prometheus.DefBuckets,
			NativeHistogramBucketFactor: 1.1,
		}),
	}
	reg.MustRegister(m.accepted, m.objects, m.latency)
	m.plain = m.ended.WithLabelValues(outcome.Delivered.String(), "")
	return m
}

// watch exports what the consumer holds.
func (m *metrics) watch(stats func() stream.Stats) {
	gauge := func(name, help string, value func(stream.Stats) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "sluice_sender_" + name, Help: help},
			func() float64 { return value(stats()) },
		))
	}
	gauge("held", "Records taken and not settled.", func(s stream.Stats) float64 { return float64(s.Held) })
	gauge("ahead", "Records beyond the commits: those held, and those settled behind them.", func(s stream.Stats) float64 { return float64(s.Ahead) })
	gauge("held_bytes", "Bytes of records taken and not settled.", func(s stream.Stats) float64 { return float64(s.HeldBytes) })
	gauge("partitions", "Partitions assigned.", func(s stream.Stats) float64 { return float64(s.Partitions) })
	gauge("partitions_paused", "Partitions that have run too far ahead of their commit.", func(s stream.Stats) float64 { return float64(s.Paused) })
	gauge("oldest_unsettled_seconds", "Age of the oldest record that is not settled; 0 when all are.", func(s stream.Stats) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return time.Since(s.Oldest).Seconds()
	})
}

// watchWindow exports what is known of what was delivered.
func (m *metrics) watchWindow(stats func() table.ViewStats, r *restore) {
	gauge := func(name, help string, value func() float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_sender_dedup_" + name, Help: help}, value))
	}
	gauge("entries", "Delivered records of which a repeat would be known.", func() float64 { return float64(stats().Entries) })
	gauge("filter_bytes", "Memory for knowing at once that a record is no repeat.", func() float64 { return float64(stats().FilterBytes) })
	gauge("restore_seconds", "Time that reading the receipts took when partitions came last.", func() float64 {
		return time.Duration(r.took.Load()).Seconds()
	})
	gauge("restoring", "1 while partitions wait for their receipts to be read.", func() float64 {
		if r.waiting.Load() {
			return 1
		}
		return 0
	})
}

func (m *metrics) settled(o outcome.Outcome) {
	if o.Kind == outcome.Delivered {
		m.plain.Inc()
		return
	}
	m.ended.WithLabelValues(o.Kind.String(), o.Reason).Inc()
}

func (m *metrics) deferred(v braze.Verdict, n int) {
	m.delayed.WithLabelValues(v.String()).Add(float64(n))
}

func (m *metrics) closed(why string) { m.closing.WithLabelValues(why).Inc() }

// lacking counts a commerce event that is no recommended one.
func (m *metrics) lacking(t event.CommerceType) { m.plainly.WithLabelValues(string(t)).Inc() }

func (m *metrics) recalled(k outcome.Kind) { m.again.WithLabelValues(k.String()).Inc() }

func (m *metrics) called(e *braze.Endpoint, a braze.Answer, objects int) {
	m.calls.WithLabelValues(e.Path, a.Verdict.String()).Inc()
	m.objects.Observe(float64(objects))
	m.latency.Observe(a.Latency.Seconds())
}
