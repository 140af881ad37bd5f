package crmwriteback

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// metrics state, for each target, the law: accepted = delivered + skipped + refused + returned + held. What is returned
// was given back unsettled, with its partition, and is accepted again by whoever has that then. Target is braze for
// what the forwarder takes: changes on their way back, and rows that were settled when they were planned.
type metrics struct {
	registry prometheus.Registerer
	accepted *prometheus.CounterVec
	records  *prometheus.CounterVec // target, outcome, reason
	returned *prometheus.CounterVec
	recalled *prometheus.CounterVec
	deferred *prometheus.CounterVec // target, reason
	calls    *prometheus.CounterVec // target, closed
	notices  *prometheus.CounterVec // target, percent
	rows     *prometheus.HistogramVec
	latency  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_writeback_" + name, Help: help}, append([]string{"target"}, labels...))
		reg.MustRegister(v)
		return v
	}
	m := &metrics{
		registry: reg,
		accepted: counters("accepted_total", "Rows taken from crm-writeback.writes for a target."),
		records:  counters("records_total", "Rows done with, by outcome (delivered, skipped, refused) and reason.", "outcome", "reason"),
		returned: counters("returned_total", "Rows given back unsettled when their partition went elsewhere."),
		recalled: counters("recalled_total", "Rows that an earlier owner of their partition had settled beyond its last commit. They are not accepted again."),
		deferred: counters("deferred_total", "Rows that a target has not taken for now, by reason; they come again.", "reason"),
		calls:    counters("calls_total", "Calls to a target, by why their batch was closed: rows, bytes, linger, memory, split, probe.", "closed"),
		notices:  counters("budget_notices_total", "Levels of the failure budget, in percent, that were used up.", "percent"),
		rows: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_writeback_call_rows", Help: "How many rows a call has carried.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 75, 100, 150, 200, 500, 1000, 10000},
		}, []string{"target"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sluice_writeback_call_seconds", Help: "How long a call to a target took.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120},
		}, []string{"target"}),
	}
	reg.MustRegister(m.rows, m.latency)
	return m
}

// targetMetrics are those of one target.
type targetMetrics struct {
	name     string
	all      *metrics
	accepted prometheus.Counter
	returned prometheus.Counter
	recalled prometheus.Counter
	rows     prometheus.Observer
	latency  prometheus.Observer

	mu    sync.Mutex
	ended map[outcomeKey]prometheus.Counter // those used often
}

type outcomeKey struct {
	kind   outcome.Kind
	reason string
}

func (m *metrics) of(name string) *targetMetrics {
	return &targetMetrics{
		name: name, all: m, accepted: m.accepted.WithLabelValues(name), returned: m.returned.WithLabelValues(name),
		recalled: m.recalled.WithLabelValues(name), rows: m.rows.WithLabelValues(name), latency: m.latency.WithLabelValues(name),
		ended: map[outcomeKey]prometheus.Counter{},
	}
}

// mostReasons bounds how many words a target's answers can make series of; the others count as "other".
const mostReasons = 200

func (m *targetMetrics) settled(what outcome.Outcome) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := outcomeKey{what.Kind, what.Reason}
	counter := m.ended[key]
	if counter == nil {
		if len(m.ended) >= mostReasons {
			m.all.records.WithLabelValues(m.name, what.Kind.String(), "other").Inc()
			return
		}
		counter = m.all.records.WithLabelValues(m.name, what.Kind.String(), what.Reason)
		m.ended[key] = counter
	}
	counter.Inc()
}

func (m *targetMetrics) deferred(reason string, n int) {
	m.all.deferred.WithLabelValues(m.name, reason).Add(float64(n))
}

func (m *targetMetrics) call(closed why, rows int, took time.Duration) {
	m.all.calls.WithLabelValues(m.name, string(closed)).Inc()
	m.rows.Observe(float64(rows))
	m.latency.Observe(took.Seconds())
}

func (m *targetMetrics) notice(percent int) {
	m.all.notices.WithLabelValues(m.name, strconv.Itoa(percent)).Inc()
}

// watch exports what the targets hold, whenever somebody asks.
func (m *metrics) watch(stats func() []TargetStats) { m.registry.MustRegister(&collector{stats}) }

type collector struct{ stats func() []TargetStats }

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_writeback_"+name, help, append([]string{"target"}, labels...), nil)
}

var (
	heldDesc       = gauge("held", "Rows taken and not settled.")
	heldBytesDesc  = gauge("held_bytes", "Bytes of rows taken and not settled.")
	behindDesc     = gauge("behind", "Rows between what was taken and the end of crm-writeback.writes, those of other targets among them.")
	oldestDesc     = gauge("oldest_unsettled_seconds", "Age of the oldest row that is not settled; 0 when all are.")
	partitionsDesc = gauge("partitions", "Partitions that this process has for a target.")
	budgetDesc     = gauge("budget_used_ratio", "What part of its failure budget a target has used up by failing without a break.")
	stateDesc      = gauge("target_state", "1 for the state that a target is in: running, failing, open, halted.", "state")
)

// Describe is for Prometheus.
func (*collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{heldDesc, heldBytesDesc, behindDesc, oldestDesc, partitionsDesc, budgetDesc, stateDesc} {
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
		value(partitionsDesc, float64(s.Partitions))
		value(budgetDesc, s.Budget)
		age := 0.0
		if !s.Oldest.IsZero() {
			age = time.Since(s.Oldest).Seconds()
		}
		value(oldestDesc, age)
		for _, is := range states {
			v := 0.0
			if s.State == string(is) {
				v = 1
			}
			value(stateDesc, v, string(is))
		}
	}
}
