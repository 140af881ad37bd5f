package poll

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what polling counts, by source. Records and dead letters are counted by the front door,
// under the route polls.
type metrics struct {
	pages, unseen, repeated, suspicious, twice *prometheus.CounterVec
	errors                                     *prometheus.CounterVec // by reason too

	mu       sync.Mutex
	bySource map[string]*stats

	owned, stopped, age, cursor, roundItems, roundPages *prometheus.Desc
}

// stats are those of one source.
type stats struct {
	name    string
	metrics *metrics

	mu      sync.Mutex
	ours    bool
	stopped bool
	done    time.Time
	cursor  float64
	items   int64 // of the round under way, or the last one
	pages   int64
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "ingest", Name: "poll_" + name + "_total", Help: help,
		}, append([]string{"source"}, labels...))
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("sluice_ingest_poll_"+name, help, []string{"source"}, nil)
	}
	m := &metrics{
		pages:      counter("pages", "Pages that were fetched."),
		unseen:     counter("items", "Items on them that were new."),
		repeated:   counter("repeated_items", "Items on them that had become records before."),
		suspicious: counter("suspicious", "Rounds in which so much was missing that nothing counted as gone."),
		twice:      counter("duplicate_rows", "Rows of feeds before the last one with the same id, which counts."),
		errors:     counter("errors", "Attempts that failed.", "reason"),
		bySource:   map[string]*stats{},
		owned:      gauge("owned", "1 where this replica polls the source."),
		stopped:    gauge("stopped", "1 where the source does not know our credentials any more and is asked only now and then."),
		age:        gauge("last_success_age_seconds", "Time since a round was finished."),
		cursor:     gauge("cursor", "The last change that finished rounds have seen: seconds since 1970, or a number."),
		roundItems: gauge("round_items", "Items on the pages of the round under way, or of the last one."),
		roundPages: gauge("round_pages", "Its pages."),
	}
	reg.MustRegister(m)
	return m
}

func (m *metrics) of(source string) *stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bySource[source] == nil {
		m.bySource[source] = &stats{name: source, metrics: m}
	}
	return m.bySource[source]
}

// Describe is part of [prometheus.Collector].
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.owned, m.stopped, m.age, m.cursor, m.roundItems, m.roundPages} {
		to <- d
	}
}

// Collect is part of [prometheus.Collector]. Only the replica that polls a source speaks of it, so that
// an age which grows is an alarm and not a replica that has given it away.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.bySource {
		s.mu.Lock()
		say := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.name)
		}
		if s.ours {
			say(m.owned, 1)
			stopped := 0.0
			if s.stopped {
				stopped = 1
			}
			say(m.stopped, stopped)
			if !s.done.IsZero() {
				say(m.age, time.Since(s.done).Seconds())
			}
			say(m.cursor, s.cursor)
			say(m.roundItems, float64(s.items))
			say(m.roundPages, float64(s.pages))
		}
		s.mu.Unlock()
	}
}

func (s *stats) page() { s.metrics.pages.WithLabelValues(s.name).Inc() }

func (s *stats) doubled(rows int) { s.metrics.twice.WithLabelValues(s.name).Add(float64(rows)) }

// under takes note of how far the round is.
func (s *stats) under(r *round) { s.set(func() { s.items, s.pages = r.Items, r.Pages }) }

func (s *stats) suspect() { s.metrics.suspicious.WithLabelValues(s.name).Inc() }

func (s *stats) counted(fresh, repeated int) {
	s.metrics.unseen.WithLabelValues(s.name).Add(float64(fresh))
	s.metrics.repeated.WithLabelValues(s.name).Add(float64(repeated))
}

func (s *stats) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *stats) own(ours bool) { s.set(func() { s.ours = ours }) }

func (s *stats) fine() { s.set(func() { s.stopped = false }) }

// failed counts an attempt that failed, and has the words for it.
func (s *stats) failed(err error) string {
	reason, words := again, "a round is interrupted, and goes on where it was"
	var f *failure
	if errors.As(err, &f) {
		reason = f.kind
	}
	switch reason {
	case locked:
		words = "the source does not know our credentials any more: it is asked only now and then until somebody sees to them"
	case refused:
		words = "the source does not want what it is asked; the cursor stays"
	case broken:
		words = "the source does not answer as it ought to; the cursor stays"
	case again:
	}
	s.metrics.errors.WithLabelValues(s.name, string(reason)).Inc()
	s.set(func() { s.stopped = reason == locked })
	return words
}

// at takes note of where a checkpoint is.
func (s *stats) at(c *checkpoint, sc scale) {
	s.set(func() {
		s.done, s.cursor = c.Done, float64(c.Since.At)
		if sc.isTime() {
			s.cursor /= float64(time.Second.Microseconds())
		}
		if c.Round != nil {
			s.items, s.pages = c.Round.Items, c.Round.Pages
		}
	})
}
