package ingest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/currents"
)

// cutOff is after how long of nothing but failures Braze switches a connector off (braze-docs:
// custom_http_connector). What it then has not delivered is gone.
const cutOff = 5 * 24 * time.Hour

// Bounds on labels: what stands in a URL or an event is not ours.
const (
	maxSpaces       = 50
	maxUnknownTypes = 50
	maxTypeLabel    = 128
)

// Labels of what has none of its own.
const (
	noWorkspace = "none"
	otherLabel  = "other"
)

// currentsWatch says from the receiver's side how Currents is doing, for each workspace. It is this process's
// own: it forgets everything when it ends, and sees only what comes to it.
type currentsWatch struct {
	events, batches *prometheus.CounterVec
	log             zerolog.Logger

	mu      sync.Mutex
	spaces  map[string]*currentsSpace
	unknown map[string]bool // types that are not in the catalogue and have a label
}

// currentsSpace is one workspace.
type currentsSpace struct {
	watch *currentsWatch
	label string

	mu            sync.Mutex
	types         map[string]prometheus.Counter
	batches       map[string]prometheus.Counter // by answer
	received      time.Time                     // when the newest event came
	happened      time.Time                     // when that event happened which happened last
	refusingSince time.Time                     // zero while it takes what comes
}

func newCurrentsWatch(reg prometheus.Registerer, log zerolog.Logger) *currentsWatch {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sluice", Subsystem: "ingest", Name: name, Help: help}, labels)
	}
	w := &currentsWatch{
		events:  counter("currents_events_total", "Events of Currents that became records, repeats not counted.", "workspace", "event_type"),
		batches: counter("currents_batches_total", "Batches of Currents by how they were answered.", "workspace", "answer"),
		log:     log, spaces: map[string]*currentsSpace{}, unknown: map[string]bool{},
	}
	reg.MustRegister(w.events, w.batches, w)
	return w
}

// space is the one of a workspace, "none" where the URL says none; beyond the first few, one for all others.
func (w *currentsWatch) space(workspace string) *currentsSpace {
	name := cmp.Or(workspace, noWorkspace)
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.spaces[name]
	if s == nil && len(w.spaces) >= maxSpaces {
		name = otherLabel
		s = w.spaces[name]
	}
	if s == nil {
		name = strings.Clone(name)
		s = &currentsSpace{watch: w, label: name, types: map[string]prometheus.Counter{}, batches: map[string]prometheus.Counter{}}
		w.spaces[name] = s
	}
	return s
}

// turnedAway counts a call by somebody unknown, who has not proved which workspace they speak for.
func (w *currentsWatch) turnedAway() {
	w.batches.WithLabelValues("unknown", "unauthorized").Inc()
}

// took notes the events of a batch that is durable.
func (w *currentsWatch) took(s *currentsSpace, rq *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range rq.items {
		e := rq.items[i].engagement
		if e == nil || rq.verdictOf(i) != accepted {
			continue
		}
		counter := s.types[e.Type]
		if counter == nil {
			counter = s.counterOf(e.Type)
		}
		counter.Inc()
		s.received = rq.received
		if at := rq.when(e.OccurredAt); at.After(s.happened) { // a date in the future says nothing
			s.happened = at
		}
	}
}

// counterOf is the counter of a type that the workspace has not had yet, or had no room for.
func (s *currentsSpace) counterOf(eventType string) prometheus.Counter {
	name := strings.Clone(eventType)
	if !s.watch.labels(name) {
		return s.watch.events.WithLabelValues(s.label, otherLabel)
	}
	counter := s.watch.events.WithLabelValues(s.label, name)
	s.types[name] = counter
	return counter
}

// labels reports whether a type is a label of its own.
func (w *currentsWatch) labels(eventType string) bool {
	if _, known := currents.Lookup(eventType); known || eventType == currents.Unknown {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.unknown[eventType]:
	case len(w.unknown) >= maxUnknownTypes || len(eventType) > maxTypeLabel || !printable(eventType):
		return false
	default:
		w.unknown[eventType] = true
	}
	return true
}

// answered notes how a batch was answered.
func (s *currentsSpace) answered(err error, items int, received time.Time) {
	answer := answerWord(err, items)
	s.mu.Lock()
	defer s.mu.Unlock()
	counter := s.batches[answer]
	if counter == nil {
		counter = s.watch.batches.WithLabelValues(s.label, answer)
		s.batches[answer] = counter
	}
	counter.Inc()
	switch {
	case answer == "accepted" && !s.refusingSince.IsZero():
		s.watch.log.Info().Str("workspace", s.label).Dur("for", received.Sub(s.refusingSince)).Msg("Currents is being taken again")
		s.refusingSince = time.Time{}
	case answer == "refused" && s.refusingSince.IsZero():
		s.refusingSince = received
		s.watch.log.Warn().Str("workspace", s.label).AnErr("why", err).Msg("Currents is being refused, and Braze will send it again for five days")
	}
}

// answerWord is the answer as a label: accepted, empty (a batch of none), too_large (Braze sends it in parts),
// refused (Braze sends it again).
func answerWord(err error, items int) string {
	var r *refusal
	switch {
	case err == nil && items == 0:
		return "empty"
	case err == nil:
		return "accepted"
	case errors.As(err, &r) && r.status == http.StatusRequestEntityTooLarge:
		return "too_large"
	}
	return "refused"
}

// What the watch shows of each workspace when it is asked.
var (
	descReceived = currentsGauge("newest_received_timestamp_seconds", "When the newest event of Currents came here, in Unix seconds; 0 for none yet.")
	descHappened = currentsGauge("newest_event_timestamp_seconds", "When that event happened, of those that came here, which happened last, in Unix seconds; 0 for none yet.")
	descRefusing = currentsGauge("refusing_since_timestamp_seconds", "Since when this process has refused every batch with events, in Unix seconds; 0 while it takes them.")
	descCutOff   = currentsGauge("cutoff_seconds_left", "Time until Braze switches the connector off, if every other process that takes Currents refuses it too; five days while this one takes it.")
)

func currentsGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("sluice_ingest_currents_"+name, help, []string{"workspace"}, nil)
}

// Describe is part of [prometheus.Collector].
func (w *currentsWatch) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descReceived, descHappened, descRefusing, descCutOff} {
		ch <- d
	}
}

// Collect is part of [prometheus.Collector].
func (w *currentsWatch) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, s := range w.all() {
		s.mu.Lock()
		received, happened, since := s.received, s.happened, s.refusingSince
		s.mu.Unlock()
		show := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, s.label)
		}
		show(descReceived, unixSeconds(received))
		show(descHappened, unixSeconds(happened))
		show(descRefusing, unixSeconds(since))
		show(descCutOff, left(since, now).Seconds())
	}
}

func (w *currentsWatch) all() []*currentsSpace {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*currentsSpace, 0, len(w.spaces))
	for _, s := range w.spaces {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *currentsSpace) int { return strings.Compare(a.label, b.label) })
	return all
}

// left is the time until the cut-off.
func left(since, now time.Time) time.Duration {
	if since.IsZero() {
		return cutOff
	}
	return max(cutOff-now.Sub(since), 0)
}

func unixSeconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

// trouble says for a person which workspaces are being refused, or is empty.
func (w *currentsWatch) trouble(now time.Time) string {
	var said []string
	for _, s := range w.all() {
		s.mu.Lock()
		since := s.refusingSince
		s.mu.Unlock()
		if !since.IsZero() {
			said = append(said, fmt.Sprintf("Currents of workspace %s refused for %s, %s until Braze switches it off",
				s.label, now.Sub(since).Round(time.Second), left(since, now).Round(time.Minute)))
		}
	}
	return strings.Join(said, "; ")
}
