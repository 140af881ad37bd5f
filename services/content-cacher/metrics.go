package contentcacher

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// metrics count what is served and what comes in.
type metrics struct {
	requests map[*Collection]*[answers]prometheus.Counter
	records  *prometheus.CounterVec // outcome, reason
	accepted prometheus.Counter
	behind   prometheus.Gauge
	held     prometheus.Gauge
	copying  prometheus.Gauge       // 1 while everything is copied to the disk
	amended  *prometheus.CounterVec // what: stands, cleared
}

// answer is what a request was answered with.
type answer int

const (
	anItem answer = iota
	notModified
	aList
	aDefault
	missing
	shed
	answers
)

var answerNames = [answers]string{"item", "not_modified", "list", "default", "missing", "shed"}

func newMetrics(reg prometheus.Registerer, rules *Collections, size func() shelf.Size, age func() float64) *metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_content_requests_total",
		Help: "Requests by the rule of their collection and answer: item, not_modified, list, default, missing, shed.",
	}, []string{"collection", "answer"})
	m := &metrics{
		requests: map[*Collection]*[answers]prometheus.Counter{},
		accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_content_accepted_total", Help: "Records of content that were read."}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_content_settled_total", Help: "Records done with, by outcome (delivered, skipped, refused) and reason.",
		}, []string{"outcome", "reason"}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_content_behind", Help: "Records of the topic that are not read yet."}),
	}
	for _, c := range rules.List { // found once, since finding one takes longer than everything else of an answer
		m.requests[c] = new([answers]prometheus.Counter)
		for a, name := range answerNames {
			m.requests[c][a] = requests.WithLabelValues(c.Name, name)
		}
	}
	m.held = prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_content_held", Help: "Records that are laid down as they came, of which no page is made yet."})
	m.copying = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "sluice_content_copying",
		Help: "1 while everything is copied to the disk, until when a restart without Kafka would have nothing to serve; else 0.",
	})
	m.amended = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sluice_content_amended_total",
		Help: "Records written to the topic: what stands, behind an older version that came last (stands), and tombstones of what was withdrawn long ago (cleared).",
	}, []string{"what"})
	reg.MustRegister(requests, m.accepted, m.records, m.behind, m.held, m.copying, m.amended,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_content_items", Help: "Items that are kept, also those that may not be shown."},
			func() float64 { return float64(size().Items) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_content_age_seconds", Help: "How long Kafka has not been heard; 0 while it is."}, age))
	return m
}

// served counts a request. The label is the rule's name, not the collection's, which anybody may make up.
func (m *metrics) served(c *Collection, a answer) { m.requests[c][a].Inc() }

// taken counts a handful of records.
func (m *metrics) taken(t tally) {
	m.accepted.Add(float64(t.accepted))
	m.settled("skipped", "stale", t.stale)
	m.settled("skipped", "superseded", t.superseded)
	m.settled("delivered", "withdrawn", t.withdrawn)
	m.held.Add(float64(t.held()))
}

func (m *metrics) settled(outcome, reason string, n int) {
	if n > 0 {
		m.records.WithLabelValues(outcome, reason).Add(float64(n))
	}
}
