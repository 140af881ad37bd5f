package watch

import (
	"cmp"
	"slices"
	"time"
)

// Snapshot is what the books say at a moment.
type Snapshot struct {
	At         time.Time   `json:"at"`
	Since      time.Time   `json:"since"` // what was received from then on is counted
	Connectors []Connector `json:"connectors"`
	Types      []Type      `json:"types"`
	// Steps are the campaigns and steps of Canvases, the busiest first.
	Steps  []Step  `json:"campaigns"`
	Alarms []Alarm `json:"alarms"`
	// Repeats are events that came more than once; they are not in Events.
	Repeats uint64 `json:"repeats"`
	// Forgotten is how many types, campaigns and connectors there was no room for.
	Forgotten uint64 `json:"forgotten"`
}

// Verdict is what a connector or a type is found to be.
type Verdict string

// The verdicts.
const (
	Fine      Verdict = "fine"
	Silent    Verdict = "silent"
	Dropped   Verdict = "dropped"
	Irregular Verdict = "irregular"  // it comes so seldom or so unevenly that its silence means nothing
	Unheard   Verdict = "not_judged" // its connector is silent
)

// Flow is how events come.
type Flow struct {
	Verdict Verdict `json:"verdict"`
	Events  uint64  `json:"events"` // since the books were opened
	Repeats uint64  `json:"repeats"`
	Late    uint64  `json:"late"` // of Events, those that had happened two days before they came
	// LastHour is how many came within the last whole hour, and UsualHour the smaller one of the same hour
	// a day before and that day's median hour.
	LastHour   int        `json:"last_hour"`
	UsualHour  int        `json:"usual_hour"`
	Newest     time.Time  `json:"newest_received"`
	Occurred   *time.Time `json:"newest_occurred,omitempty"` // by Braze's clock
	AgeSeconds float64    `json:"age_seconds"`               // since Newest
	// AllowedSeconds is how long its silence may last; missing where that means nothing.
	AllowedSeconds float64 `json:"allowed_silence_seconds,omitempty"`
}

// Connector is what is known of a workspace's connector.
type Connector struct {
	Workspace string `json:"workspace"`
	Flow
	// CutOff is when Braze gives it up, five days after it was heard last; only where it is silent.
	CutOff *time.Time `json:"cut_off,omitempty"`
}

// Type is what is known of a type of a connector.
type Type struct {
	Workspace string `json:"workspace"`
	Type      string `json:"event_type"`
	Flow
}

// Snapshot returns what the books say; call Check first.
func (b *Book) Snapshot(now time.Time) Snapshot { return b.snapshot(now, b.rules.Steps) }

// snapshot is Snapshot with so many steps at most.
func (b *Book) snapshot(now time.Time, steps int) Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Snapshot{
		At: now, Since: b.since, Repeats: b.repeats, Forgotten: b.forgotten,
		Connectors: []Connector{}, Types: []Type{}, Alarms: []Alarm{}, Steps: b.busiest(now, steps),
	}
	for _, c := range b.connectors {
		limit, judged := b.rules.allowedConnector(c.series.rhythm(b.since), c.past)
		out := Connector{Workspace: c.workspace, Flow: c.series.flow(now, limit, judged)}
		out.Verdict = verdict(judged, &c.silent, &c.dropped)
		if out.Verdict == Silent {
			at := c.series.newest.Add(CutOff)
			out.CutOff = &at
		}
		s.Connectors = append(s.Connectors, out)
		s.Alarms = append(s.Alarms, c.alarms()...)
	}
	for at := b.byAge.Front(); at != nil; at = at.Next() {
		t := at.Value.(*typeSeries)
		limit, judged := b.rules.allowed(t.series.rhythm(b.since))
		out := Type{Workspace: t.workspace, Type: t.event, Flow: t.series.flow(now, limit, judged)}
		out.Verdict = verdict(judged, &t.silent, &t.dropped)
		if c := b.connectors[t.workspace]; c != nil && !c.speaks(now, b.rules) && out.Verdict != Silent {
			out.Verdict = Unheard
		}
		s.Types = append(s.Types, out)
		s.Alarms = append(s.Alarms, t.alarms()...)
	}
	slices.SortFunc(s.Connectors, func(x, y Connector) int { return cmp.Compare(x.Workspace, y.Workspace) })
	slices.SortFunc(s.Types, func(x, y Type) int {
		return cmp.Or(cmp.Compare(x.Workspace, y.Workspace), cmp.Compare(x.Type, y.Type))
	})
	slices.SortFunc(s.Alarms, func(x, y Alarm) int {
		return cmp.Or(cmp.Compare(x.Workspace, y.Workspace), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Kind, y.Kind))
	})
	return s
}

func verdict(judged bool, silent, dropped *alarm) Verdict {
	switch {
	case silent.on():
		return Silent
	case dropped.on():
		return Dropped
	case !judged:
		return Irregular
	}
	return Fine
}

func (s *series) flow(now time.Time, limit time.Duration, judged bool) Flow {
	h := s.hours(now)
	f := Flow{
		Events: s.total, Repeats: s.repeats, Late: s.late, LastHour: h.last, UsualHour: h.usual(),
		Newest: s.newest, AgeSeconds: now.Sub(s.newest).Seconds(),
	}
	if !s.occurred.IsZero() {
		occurred := s.occurred
		f.Occurred = &occurred
	}
	if judged {
		f.AllowedSeconds = limit.Seconds()
	}
	return f
}
