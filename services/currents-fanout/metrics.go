package currentsfanout

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// metrics state, for each sink, the law: accepted = delivered + skipped + refused + returned + held. What is returned
// was given back unsettled, with its partition, and is accepted again by whoever has that then.
type metrics struct {
	registry prometheus.Registerer
	accepted *prometheus.CounterVec
	records  *prometheus.CounterVec // sink, outcome, reason
	returned *prometheus.CounterVec
	deferred *prometheus.CounterVec // sink, reason
	batches  *prometheus.CounterVec // sink, closed
	latency  *prometheus.HistogramVec
	budget   *prometheus.GaugeVec
	notices  *prometheus.CounterVec // sink, percent
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_fanout_" + name, Help: help}, append([]string{"sink"}, labels...))
		reg.MustRegister(v)
		return v
	}
	m := &metrics{
		registry: reg,
		accepted: counters("accepted_total", "Records taken from Kafka for a sink."),
		records:  counters("records_total", "Records done with, by outcome (delivered, skipped, refused) and reason.", "outcome", "reason"),
		returned: counters("returned_total", "Records given back unsettled when their partition went elsewhere, or the sink was paused."),
		deferred: counters("deferred_total", "Events that a sink has not taken for now, by reason; they come again.", "reason"),
		batches:  counters("batches_total", "Batches handed over, by why they were closed: events, bytes, linger, memory, split, retry, drain.", "closed"),
		notices:  counters("budget_notices_total", "Levels of the failure budget, in percent, that were used up.", "percent"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_fanout_batch_seconds", Help: "How long a sink took over a batch.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"sink"}),
		budget: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_fanout_budget_used_ratio", Help: "What part of its failure budget a sink has used up by failing without a break.",
		}, []string{"sink"}),
	}
	reg.MustRegister(m.latency, m.budget)
	return m
}

// sinkMetrics are those of one sink.
type sinkMetrics struct {
	name     string
	all      *metrics
	accepted prometheus.Counter
	returned prometheus.Counter
	budget   prometheus.Gauge
	latency  prometheus.Observer
	ended    map[[2]string]prometheus.Counter // those used often; under the runner's lock
}

func (m *metrics) of(sink string) *sinkMetrics {
	return &sinkMetrics{
		name: sink, all: m, accepted: m.accepted.WithLabelValues(sink), returned: m.returned.WithLabelValues(sink),
		budget: m.budget.WithLabelValues(sink), latency: m.latency.WithLabelValues(sink), ended: map[[2]string]prometheus.Counter{},
	}
}

// settled counts records that are done with. The runner's lock is held.
func (m *sinkMetrics) settled(kind outcome.Kind, reason string, n int) {
	key := [2]string{kind.String(), reason}
	counter := m.ended[key]
	if counter == nil {
		counter = m.all.records.WithLabelValues(m.name, key[0], key[1])
		if len(m.ended) < 100 {
			m.ended[key] = counter
		}
	}
	counter.Add(float64(n))
}

func (m *sinkMetrics) deferred(what outcome.Outcome) {
	m.all.deferred.WithLabelValues(m.name, what.Reason).Inc()
}

func (m *sinkMetrics) batch(closed why, _ int, took time.Duration) {
	m.all.batches.WithLabelValues(m.name, string(closed)).Inc()
	m.latency.Observe(took.Seconds())
}

func (m *sinkMetrics) notices(percent int) {
	m.all.notices.WithLabelValues(m.name, strconv.Itoa(percent)).Inc()
}

// watch exports what the sinks hold, whenever somebody asks.
func (m *metrics) watch(stats func() []SinkStats) { m.registry.MustRegister(&collector{stats}) }

type collector struct{ stats func() []SinkStats }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_fanout_"+name, help, append([]string{"sink"}, labels...), nil)
}

var (
	heldDesc       = gauge("held", "Records taken and not settled.")
	heldBytesDesc  = gauge("held_bytes", "Bytes of records taken and not settled.")
	behindDesc     = gauge("behind", "Records between what was taken and the ends of the topics.")
	apartDesc      = gauge("apart", "Customers of whom an event is not taken while those of others are: it comes again by and by, and theirs wait for it.")
	oldestDesc     = gauge("oldest_unsettled_seconds", "Age of the oldest record that is not settled; 0 when all are.")
	partitionsDesc = gauge("partitions", "Partitions that this process has of a sink's topics.")
	stateDesc      = gauge("sink_state", "1 for the state that a sink is in: running, failing, open, halted, paused.", "state")
)

// Describe is for Prometheus.
func (*collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{heldDesc, heldBytesDesc, behindDesc, apartDesc, oldestDesc, partitionsDesc, stateDesc} {
		ch <- d
	}
}

// Collect is for Prometheus.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.stats() {
		value := func(d *prometheus.Desc, v float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, append([]string{s.Name}, labels...)...)
		}
		value(heldDesc, float64(s.Held))
		value(heldBytesDesc, float64(s.HeldBytes))
		value(behindDesc, float64(s.Behind))
		value(apartDesc, float64(s.Apart))
		value(partitionsDesc, float64(s.Partitions))
		age := 0.0
		if !s.Oldest.IsZero() {
			age = time.Since(s.Oldest).Seconds()
		}
		value(oldestDesc, age)
		for _, is := range []state{running, failing, broken, halted, paused} {
			v := 0.0
			if s.State == string(is) {
				v = 1
			}
			value(stateDesc, v, string(is))
		}
	}
}
