package attributesync

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// metrics state the law, accepted = delivered + skipped + refused + held, and what the profiles cost. They
// count what is committed, so that a batch that comes again counts once.
type metrics struct {
	registry prometheus.Registerer
	accepted prometheus.Counter
	ended    *prometheus.CounterVec // topic, outcome, reason
	points   *prometheus.CounterVec // source, field, fate
	lost     *prometheus.CounterVec // source, field, reason
	dropped  prometheus.Counter
	unread   prometheus.Counter
	lapsed   prometheus.Counter
	late     prometheus.Counter

	meters map[charge]prometheus.Counter // of points, and of declined writes
}

// maxMeters bounds how many fields of how many sources are counted each by itself: a source that makes up
// names must not fill the memory of those who collect metrics. Further ones count as the field "other".
const maxMeters = 3_000

func newMetrics(reg prometheus.Registerer) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_attributes_" + name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_attributes_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	return &metrics{
		registry: reg,
		accepted: counter("accepted_total", "Records of profiles, orders and cases that were taken and committed."),
		ended:    counters("settled_total", "Records done with, by topic, outcome (delivered, skipped, refused) and reason.", "topic", "outcome", "reason"),
		points: counters("data_points_total", "Data points by source and field: sent, or saved because nothing differed (same) or something newer came at once (folded).",
			"source", "field", "fate"),
		lost:    counters("declined_total", "Writes to a field that did not win, by source, field and reason.", "source", "field", "reason"),
		dropped: counter("batches_dropped_total", "Batches that could not be committed and come again."),
		unread:  counter("unreadable_total", "Receipts and states that could not be read."),
		lapsed:  counter("cases_lapsed_total", "Support cases that count as closed because nothing was heard of them for so long."),
		late:    counter("triggers_late_total", "Surveys and win-backs that were given up because their time had passed long ago."),
		meters:  map[charge]prometheus.Counter{},
	}
}

// watch exports what the processor holds.
func (m *metrics) watch(stats func() table.ProcessorStats) {
	gauge := func(name, help string, value func(table.ProcessorStats) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "sluice_attributes_" + name, Help: help},
			func() float64 { return value(stats()) },
		))
	}
	gauge("held", "Records taken and not committed.", func(s table.ProcessorStats) float64 { return float64(s.Held) })
	gauge("held_bytes", "Bytes of records taken and not committed.", func(s table.ProcessorStats) float64 { return float64(s.HeldBytes) })
	gauge("partitions", "Partitions whose state is here.", func(s table.ProcessorStats) float64 { return float64(s.Ready) })
	gauge("partitions_restoring", "Partitions whose state is being read from Kafka.", func(s table.ProcessorStats) float64 { return float64(s.Restoring) })
	gauge("oldest_unsettled_seconds", "Age of the oldest record that is not committed; 0 when all are.", func(s table.ProcessorStats) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return time.Since(s.Oldest).Seconds()
	})
}

// count adds what a batch has come to.
func (m *metrics) count(t *tally) {
	for e, n := range t.ended {
		m.ended.WithLabelValues(inputNames[e.kind], e.what.String(), e.reason).Add(float64(n))
		m.accepted.Add(float64(n))
	}
	for c, n := range t.points {
		m.meter(m.points, c).Add(float64(n))
	}
	for c, n := range t.losses {
		m.meter(m.lost, c).Add(float64(n))
	}
	m.unread.Add(float64(t.unread))
	m.lapsed.Add(float64(t.lapsed))
	m.late.Add(float64(t.late))
}

// meter finds the counter of a source and a field.
func (m *metrics) meter(of *prometheus.CounterVec, c charge) prometheus.Counter {
	if counter, ok := m.meters[c]; ok {
		return counter
	}
	// What the labels hold outlives the record that they stand in.
	source, field := strings.ToValidUTF8(strings.Clone(c.source), "\ufffd"), strings.ToValidUTF8(strings.Clone(c.field), "\ufffd")
	if len(m.meters) >= maxMeters {
		return of.WithLabelValues("other", "other", c.what)
	}
	counter := of.WithLabelValues(source, field, c.what)
	m.meters[charge{source, field, c.what}] = counter
	return counter
}

// write counts one write's data points.
func (t *tally) write(c profile.Count) {
	if c.Points > 0 && c.Fate != profile.Declined {
		t.points[charge{c.Source, c.Field, c.Fate.String()}] += c.Points
	}
}

// declined counts one write that did not win.
func (t *tally) declined(d *event.Declined) { t.losses[charge{d.Source, d.Field, d.Reason}]++ }
