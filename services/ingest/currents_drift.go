package ingest

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/currents"
)

// maxDriftLabels is how many drifts are told apart. Braze's releases bring a dozen.
const maxDriftLabels = 500

// Looking for drifts is a quarter of the work that a batch makes. So many events a second are all looked at; of
// those beyond, every eighth: what is new comes often, or soon again.
const (
	lookedAtEach   = 2_000
	lookedAtEighth = 8
)

// driftBook counts where events differ from the catalogue, and tells of each once. Braze adds types and fields
// whenever it likes: none of it is an error, and all of it somebody may want to know.
type driftBook struct {
	counters *prometheus.CounterVec
	log      zerolog.Logger

	mu     sync.Mutex
	seen   map[currents.Drift]prometheus.Counter
	second int64 // of Unix time, and how many events it has had
	events int
}

func newDriftBook(reg prometheus.Registerer, log zerolog.Logger) *driftBook {
	b := &driftBook{
		counters: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "sluice", Subsystem: "ingest", Name: "currents_drift_total",
			Help: "Places where events of Currents differ from what is known of their type, by what: unknown_type, unknown_field or other_kind. Beyond 2,000 events a second only every eighth is looked at.",
		}, []string{"event_type", "field", "what"}),
		log: log, seen: map[currents.Drift]prometheus.Counter{},
	}
	reg.MustRegister(b.counters)
	return b
}

// read looks at the events of a batch that are new, or at some of them where there are many.
func (b *driftBook) read(rq *request) {
	busy := b.busy(rq.received, len(rq.items))
	for i := range rq.items {
		e := rq.items[i].engagement
		if e == nil || busy && (i+int(rq.received.UnixNano()))%lookedAtEighth != 0 || rq.verdictOf(i) != accepted {
			continue
		}
		for _, d := range currents.Drifts(e) {
			b.counter(d).Inc()
		}
	}
}

// busy reports whether a second that has so many more events has had more than can all be looked at.
func (b *driftBook) busy(now time.Time, events int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if second := now.Unix(); second != b.second {
		b.second, b.events = second, 0
	}
	b.events += events
	return b.events > lookedAtEach
}

func (b *driftBook) counter(d currents.Drift) prometheus.Counter {
	b.mu.Lock()
	defer b.mu.Unlock()
	counter := b.seen[d]
	switch {
	case counter != nil:
	case len(b.seen) >= maxDriftLabels || !printable(d.Type) || !printable(d.Field):
		return b.counters.WithLabelValues(otherLabel, otherLabel, d.What)
	default:
		counter = b.counters.WithLabelValues(d.Type, d.Field, d.What)
		b.seen[d] = counter
		b.log.Info().Str("event_type", d.Type).Str("field", d.Field).Str("what", d.What).
			Msg("Currents reports something that is new here; it is taken as it is")
	}
	return counter
}
