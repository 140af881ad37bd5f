package ingest

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The front door's routes, as metrics call them.
const (
	routeEvents = iota
	routeSegment
	routeCommerce
	routeHooks
	routeErase
	routeProfiles
	routeCases
	routePolls
	routeCurrents
	routeActions
	routeContent
	routeChanges
)

var routeNames = [...]string{
	routeEvents: "events", routeSegment: "segment", routeCommerce: "commerce", routeHooks: "hooks", routeErase: "erase",
	routeProfiles: "profiles", routeCases: "cases", routePolls: "polls",
	routeCurrents: "currents", routeActions: "actions",
	routeContent: "content", routeChanges: "crm_changes",
}

// metrics are what the service counts. For every route and source:
//
//	received = accepted + duplicate + rejected + skipped + unavailable
//
// and a topic grows by what was accepted, plus the little that came late.
type metrics struct {
	received, accepted, duplicate, unavailable, late *prometheus.CounterVec // by route and source
	rejected, skipped                                *prometheus.CounterVec // by reason too
	seconds                                          *prometheus.HistogramVec
	observers                                        [len(routeNames)]map[int]prometheus.Observer
}

// counts are the counters of one route and source.
type counts struct {
	route, source                                    string
	received, accepted, duplicate, unavailable, late prometheus.Counter
	metrics                                          *metrics
}

// codes are the answers that there are.
var codes = []int{200, 202, 204, 400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 503}

func newMetrics(reg prometheus.Registerer, w *window, held func() float64) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "ingest", Name: name + "_total", Help: help,
		}, append([]string{"route", "source"}, labels...))
		reg.MustRegister(c)
		return c
	}
	m := &metrics{
		received:    counter("received", "Items that requests brought."),
		accepted:    counter("accepted", "Items whose record every in-sync replica has."),
		duplicate:   counter("duplicate", "Items whose id was accepted before; nothing was written."),
		rejected:    counter("rejected", "Items that can never be accepted; those of tracking clients became dead letters.", "reason"),
		skipped:     counter("skipped", "Items for which there was nothing to write.", "reason"),
		unavailable: counter("unavailable", "Items that Kafka did not take in time, answered 503."),
		late:        counter("late", "Items answered 503 that Kafka took after all, behind the deadline."),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "sluice", Subsystem: "ingest", Name: "request_seconds",
			Help:    "Time from a request's headers to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"route", "code"}),
	}
	reg.MustRegister(m.seconds,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "sluice", Subsystem: "ingest", Name: "held_bytes",
			Help: "Bytes of bodies that are being read or wait for Kafka.",
		}, held),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "sluice", Subsystem: "ingest", Name: "remembered_ids",
			Help: "Ids of which a repeat would be recognised.",
		}, func() float64 { return float64(w.size()) }),
	)
	for route := range m.observers {
		m.observers[route] = map[int]prometheus.Observer{}
		for _, code := range codes {
			m.observers[route][code] = m.seconds.WithLabelValues(routeNames[route], strconv.Itoa(code))
		}
	}
	return m
}

func (m *metrics) countsOf(route int, source string) counts {
	name := routeNames[route]
	return counts{
		route: name, source: source, metrics: m,
		received:    m.received.WithLabelValues(name, source),
		accepted:    m.accepted.WithLabelValues(name, source),
		duplicate:   m.duplicate.WithLabelValues(name, source),
		unavailable: m.unavailable.WithLabelValues(name, source),
		late:        m.late.WithLabelValues(name, source),
	}
}

// tally is how many items of a request met each verdict.
type tally [len(verdicts)]int

// add counts a request's items.
func (c *counts) add(t *tally) {
	n := 0
	for _, count := range t {
		n += count
	}
	c.received.Add(float64(n))
	c.accepted.Add(float64(t[accepted]))
	c.duplicate.Add(float64(t[duplicate]))
	c.unavailable.Add(float64(t[unavailable]))
}

// reject counts an item that can never be accepted, by the word that says why.
func (c *counts) reject(w why) {
	c.metrics.rejected.WithLabelValues(c.route, c.source, w.String()).Inc()
}

// skip counts an item for which there is nothing to write.
func (c *counts) skip(reason string) {
	c.metrics.skipped.WithLabelValues(c.route, c.source, reason).Inc()
}

// observe notes how long a request took.
func (m *metrics) observe(route, code int, took time.Duration) {
	o, known := m.observers[route][code]
	if !known {
		o = m.seconds.WithLabelValues(routeNames[route], strconv.Itoa(code))
	}
	o.Observe(took.Seconds())
}
