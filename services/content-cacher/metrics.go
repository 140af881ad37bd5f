package contentcacher

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// metrics count what is served and what comes in.
type metrics struct {
	requests *prometheus.CounterVec // collection as the rules name it, answer
	records  *prometheus.CounterVec // outcome, reason
	accepted prometheus.Counter
	behind   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, size func() shelf.Size, age func() float64) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_content_requests_total",
			Help: "Requests by the rule of their collection and answer: item, not_modified, list, default, missing, shed.",
		}, []string{"collection", "answer"}),
		accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_content_accepted_total", Help: "Records of content that were read."}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sluice_content_settled_total", Help: "Records done with, by outcome (delivered, skipped, refused) and reason.",
		}, []string{"outcome", "reason"}),
		behind: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_content_behind", Help: "Records of the topic that are not read yet."}),
	}
	reg.MustRegister(m.requests, m.accepted, m.records, m.behind,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_content_items", Help: "Items that are kept, also those that may not be shown."},
			func() float64 { return float64(size().Items) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_content_age_seconds", Help: "How long Kafka has not been heard; 0 while it is."}, age))
	return m
}

// served counts a request. The label is the rule's name, not the collection's, which anybody may make up.
func (m *metrics) served(c *Collection, answer string) {
	m.requests.WithLabelValues(c.Name, answer).Inc()
}
