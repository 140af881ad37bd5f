package plan

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/table"
)

// metrics state the law, accepted = delivered + skipped + refused + held, of the records that are planned, and what became
// of them. They count what is committed, so that a batch that comes again counts once. Delivered means here: it is on
// its way, as one row or several.
type metrics struct {
	registry  prometheus.Registerer
	accepted  prometheus.Counter
	ended     *prometheus.CounterVec // topic, outcome, reason
	rows      *prometheus.CounterVec // target, outcome, reason
	conflicts *prometheus.CounterVec // rule, winner
	dropped   prometheus.Counter
	unread    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_writeback_plan_" + name, Help: help}, labels)
		reg.MustRegister(v)
		return v
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_writeback_plan_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	return &metrics{
		registry:  reg,
		accepted:  counter("accepted_total", "Records of actions, engagements and changes that were planned and committed. One that waits for its user counts when the wait ends."),
		ended:     counters("settled_total", "Records planned, by topic, outcome (delivered, skipped, refused) and reason.", "topic", "outcome", "reason"),
		rows:      counters("rows_total", "Rows planned, by target, outcome (planned, or what was known at once: skipped, refused) and reason.", "target", "outcome", "reason"),
		conflicts: counters("conflicts_total", "Fields that both sides had changed, by the rule that decided and the winner.", "rule", "winner"),
		dropped:   counter("batches_dropped_total", "Batches that could not be committed and come again."),
		unread:    counter("unreadable_total", "Deliveries and states that could not be read."),
	}
}

// watch exports what the processor holds.
func (m *metrics) watch(stats func() table.ProcessorStats) {
	gauge := func(name, help string, value func(table.ProcessorStats) float64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "sluice_writeback_plan_" + name, Help: help},
			func() float64 { return value(stats()) },
		))
	}
	gauge("held", "Records taken and not committed.", func(s table.ProcessorStats) float64 { return float64(s.Held) })
	gauge("partitions", "Partitions whose state is here.", func(s table.ProcessorStats) float64 { return float64(s.Ready) })
	gauge("partitions_restoring", "Partitions whose state is being read from Kafka.", func(s table.ProcessorStats) float64 { return float64(s.Restoring) })
	gauge("oldest_unsettled_seconds", "Age of the oldest record that is not committed; 0 when all are.", func(s table.ProcessorStats) float64 {
		if s.Oldest.IsZero() {
			return 0
		}
		return time.Since(s.Oldest).Seconds()
	})
}

// tally is what a batch has come to, to be counted once it is committed.
type tally struct {
	ended     map[ending]int
	rows      map[rowEnding]int
	conflicts map[[2]string]int
	unread    int
}

// ending is how records ended.
type ending struct {
	kind   kind
	what   outcome.Kind
	reason string
}

// rowEnding is how rows are counted.
type rowEnding struct{ target, outcome, reason string }

func (t *tally) reset() {
	if t.ended == nil {
		t.ended, t.rows, t.conflicts = map[ending]int{}, map[rowEnding]int{}, map[[2]string]int{}
	}
	clear(t.ended)
	clear(t.rows)
	clear(t.conflicts)
	t.unread = 0
}

// row counts a row. Targets, reasons and rules are words of the file and of ours, and few.
func (t *tally) row(w *crm.Write) {
	e := rowEnding{target: w.Target, outcome: "planned"}
	if w.Settled != nil {
		e.outcome, e.reason = w.Settled.Outcome, w.Settled.Reason
	}
	t.rows[e]++
	for i := range w.Conflicts {
		t.conflicts[[2]string{w.Conflicts[i].Rule, w.Conflicts[i].Winner}]++
	}
}

// count adds what a batch has come to.
func (m *metrics) count(t *tally) {
	for e, n := range t.ended {
		m.ended.WithLabelValues(inputNames[e.kind], e.what.String(), e.reason).Add(float64(n))
		m.accepted.Add(float64(n))
	}
	for e, n := range t.rows {
		m.rows.WithLabelValues(e.target, e.outcome, e.reason).Add(float64(n))
	}
	for c, n := range t.conflicts {
		m.conflicts.WithLabelValues(c[0], c[1]).Add(float64(n))
	}
	m.unread.Add(float64(t.unread))
}
