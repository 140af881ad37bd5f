package watch

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the watch exports. Only the replica that keeps the books speaks of connectors, so that what it
// says is the whole truth and nothing has to be added up.
type metrics struct {
	watch      *Watch
	unreadable prometheus.Counter
	changes    *prometheus.CounterVec // kind, change

	watching, behind, forgotten, alarm, cutOff     *prometheus.Desc
	received, occurred, allowed, lastHour, usually *prometheus.Desc // workspace, event_type
	campaign                                       *prometheus.Desc
}

// noWorkspace is the label of a connector whose URL names no workspace, as ingest has it.
const noWorkspace = "none"

func newMetrics(reg prometheus.Registerer, w *Watch) *metrics {
	const prefix = "sluice_fanout_watch_"
	gauge := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, labels, nil)
	}
	m := &metrics{
		watch:      w,
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "unreadable_total", Help: "Records that are no engagement events."}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "alarms_total", Help: "Alarms that began or ended, by kind (connector_silent, type_silent, rate_dropped).",
		}, []string{"kind", "change"}),
		watching:  gauge("watching", "1 where this replica watches over Currents and is up to date, 0 where it does not yet know enough."),
		behind:    gauge("behind_records", "Records that were there at the last look and are not counted yet; while there are any, no alarm begins."),
		forgotten: gauge("forgotten", "Types, campaigns and connectors that there was no room for."),
		alarm:     gauge("alarm", "1 for each alarm that is on; event_type is empty where it concerns the connector.", "workspace", "event_type", "kind"),
		cutOff:    gauge("cutoff_seconds_left", "Of a connector that is silent, time until five days have passed since it was heard, when Braze gives it up.", "workspace"),
		received:  gauge("newest_received_timestamp_seconds", "When the newest event came.", "workspace", "event_type"),
		occurred:  gauge("newest_occurred_timestamp_seconds", "The newest time that an event carried, by Braze's clock.", "workspace", "event_type"),
		allowed:   gauge("allowed_silence_seconds", "How long a silence may last before it is an alarm; missing where it never is.", "workspace", "event_type"),
		lastHour:  gauge("last_hour_events", "Events within the last whole hour, without repeats.", "workspace", "event_type"),
		usually:   gauge("usual_hour_events", "The smaller one of the same hour a day before and of that day's median hour.", "workspace", "event_type"),
		campaign: gauge("campaign_events", "What became of the messages of the busiest campaigns and steps of Canvases within the last day.",
			"workspace", "campaign_id", "canvas_id", "canvas_step_id", "channel", "what"),
	}
	reg.MustRegister(m.unreadable, m.changes, m)
	return m
}

// changed counts a change.
func (m *metrics) changed(c Change) {
	what := "ended"
	if c.Began {
		what = "began"
	}
	m.changes.WithLabelValues(string(c.Kind), what).Inc()
}

// Describe is part of [prometheus.Collector].
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.watching, m.behind, m.forgotten, m.alarm, m.cutOff, m.received, m.occurred, m.allowed, m.lastHour, m.usually, m.campaign,
	} {
		to <- d
	}
}

// Collect is part of [prometheus.Collector].
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	on := m.watch.shift.Load()
	if on == nil {
		return
	}
	say := func(d *prometheus.Desc, value float64, labels ...string) {
		if len(labels) > 0 {
			labels[0] = cmp.Or(labels[0], noWorkspace)
		}
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	on.mu.Lock()
	behind := on.behind
	on.mu.Unlock()
	say(m.behind, float64(behind))
	if !on.judged.Load() { // half a day is not what the rest is about
		say(m.watching, 0)
		return
	}
	say(m.watching, 1)
	now := time.Now()
	s := on.book.snapshot(now, m.watch.CampaignMetrics)
	say(m.forgotten, float64(s.Forgotten))
	for _, a := range s.Alarms {
		say(m.alarm, 1, a.Workspace, a.Type, string(a.Kind))
	}
	flow := func(workspace, event string, f *Flow) {
		say(m.received, unix(f.Newest), workspace, event)
		if f.Occurred != nil {
			say(m.occurred, unix(*f.Occurred), workspace, event)
		}
		if f.AllowedSeconds > 0 {
			say(m.allowed, f.AllowedSeconds, workspace, event)
		}
		say(m.lastHour, float64(f.LastHour), workspace, event)
		say(m.usually, float64(f.UsualHour), workspace, event)
	}
	for i := range s.Connectors {
		c := &s.Connectors[i]
		flow(c.Workspace, "", &c.Flow)
		if c.CutOff != nil {
			say(m.cutOff, max(0, c.CutOff.Sub(now).Seconds()), c.Workspace)
		}
	}
	for i := range s.Types {
		flow(s.Types[i].Workspace, s.Types[i].Type, &s.Types[i].Flow)
	}
	for _, step := range s.Steps {
		for what, n := range step.counts() {
			if n > 0 {
				say(m.campaign, float64(n), step.Workspace, step.Campaign, step.Canvas, step.Step, step.Channel, What(what).String())
			}
		}
	}
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
