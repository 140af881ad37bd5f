package watch

import (
	"cmp"
	"slices"
	"time"
)

// Kind is a kind of alarm.
type Kind string

// The kinds of alarms.
const (
	// ConnectorSilent: nothing comes from a connector that used to be busy. Braze may be unable to reach
	// us, and gives up five days after it began.
	ConnectorSilent Kind = "connector_silent"
	// TypeSilent: nothing of a type comes that came regularly, while its connector still speaks.
	TypeSilent Kind = "type_silent"
	// RateDropped: of a type, or of a connector as a whole where Type is empty, much less comes than usual.
	RateDropped Kind = "rate_dropped"
)

// Alarm is one that is on.
type Alarm struct {
	Kind      Kind      `json:"kind"`
	Workspace string    `json:"workspace"`
	Type      string    `json:"event_type,omitempty"`
	Since     time.Time `json:"since"` // when it began
}

// Change is the beginning or the end of an alarm.
type Change struct {
	Alarm
	Began bool
	// Forgotten says that it ended because nobody remembers any more what it was about.
	Forgotten bool
	// Newest is when the newest event was received, and Limit how long its silence may last.
	Newest time.Time
	Limit  time.Duration
	// Last is how many came in the last hour, and Usual how many should have.
	Last, Usual int
	// CutOff is when Braze gives the connector up, where it is silent.
	CutOff time.Time
}

// alarm is the state of one: off or on, and since when there is a reason to change that.
type alarm struct {
	since time.Time // zero while it is off
	due   time.Time // zero while there is no reason
}

func (a *alarm) on() bool { return !a.since.IsZero() }

// judge begins the alarm when there is a reason to, or ends it when there is one to do that, once the reason
// has lasted for so long. It reports a change.
func (a *alarm) judge(now time.Time, begin, end bool, lasting time.Duration) bool {
	reason := begin
	if a.on() {
		reason = end
	}
	if !reason {
		a.due = time.Time{}
		return false
	}
	if a.due.IsZero() {
		a.due = now
	}
	if now.Sub(a.due) < lasting {
		return false
	}
	if a.on() {
		*a = alarm{}
	} else {
		*a = alarm{since: now}
	}
	return true
}

// alarms are those that are on.
func (c *connector) alarms() []Alarm {
	return on(c.workspace, "", &c.silent, ConnectorSilent, &c.dropped)
}

func (t *typeSeries) alarms() []Alarm {
	return on(t.workspace, t.event, &t.silent, TypeSilent, &t.dropped)
}

func on(workspace, event string, silent *alarm, kind Kind, dropped *alarm) []Alarm {
	var all []Alarm
	if silent.on() {
		all = append(all, Alarm{kind, workspace, event, silent.since})
	}
	if dropped.on() {
		all = append(all, Alarm{RateDropped, workspace, event, dropped.since})
	}
	return all
}

// lapse takes note of an alarm that ends because what it was about is forgotten.
func (b *Book) lapse(a Alarm) { b.lapsed = append(b.lapsed, a) }

// Check judges everything as it is now, and returns what began and ended. It must only be called when the
// books are up to date: what has not been read yet is silent.
func (b *Book) Check(now time.Time) []Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetOld(now)
	var changes []Change
	for _, a := range b.lapsed {
		changes = append(changes, Change{Alarm: a, Forgotten: true})
	}
	b.lapsed = nil
	for _, c := range b.connectors {
		changes = b.checkConnector(changes, c, now)
	}
	for at := b.byAge.Front(); at != nil; at = at.Next() {
		t := at.Value.(*typeSeries)
		if c := b.connectors[t.workspace]; c != nil && c.speaks(now, b.rules) {
			changes = b.checkType(changes, t, now)
		}
	}
	slices.SortFunc(changes, func(x, y Change) int {
		return cmp.Or(cmp.Compare(x.Workspace, y.Workspace), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Kind, y.Kind))
	})
	return changes
}

// speaks reports whether a connector's types can be judged: while it is silent itself, they all are, and that
// is one alarm and not sixty.
func (c *connector) speaks(now time.Time, r Rules) bool {
	return !c.silent.on() && now.Sub(c.series.newest) < r.Floor
}

func (b *Book) checkConnector(changes []Change, c *connector, now time.Time) []Change {
	limit, regular := b.rules.allowedConnector(c.series.rhythm(b.since), c.past)
	age := now.Sub(c.series.newest)
	was := c.silent.since
	if c.silent.judge(now, regular && age > limit, age < b.rules.Floor && c.series.spoke(was), 0) {
		ch := Change{
			Alarm: Alarm{ConnectorSilent, c.workspace, "", was}, Newest: c.series.newest, Limit: limit, CutOff: c.series.newest.Add(CutOff),
		}
		changes = append(changes, ch.as(c.silent))
	}
	if c.speaks(now, b.rules) {
		changes = b.checkRate(changes, &c.dropped, &c.series, Alarm{RateDropped, c.workspace, "", c.dropped.since}, now)
	}
	return changes
}

func (b *Book) checkType(changes []Change, t *typeSeries, now time.Time) []Change {
	limit, regular := b.rules.allowed(t.series.rhythm(b.since))
	age := now.Sub(t.series.newest)
	was := t.silent.since
	if t.silent.judge(now, regular && age > limit, age < b.rules.Floor && t.series.spoke(was), 0) {
		ch := Change{Alarm: Alarm{TypeSilent, t.workspace, t.event, was}, Newest: t.series.newest, Limit: limit}
		changes = append(changes, ch.as(t.silent))
	}
	return b.checkRate(changes, &t.dropped, &t.series, Alarm{RateDropped, t.workspace, t.event, t.dropped.since}, now)
}

// checkRate judges the last hour.
func (b *Book) checkRate(changes []Change, a *alarm, s *series, said Alarm, now time.Time) []Change {
	h := s.hours(now)
	low, well := b.rules.low(h)
	if a.judge(now, low, well, b.rules.Hold) {
		ch := Change{Alarm: said, Newest: s.newest, Last: h.last, Usual: h.usual()}
		changes = append(changes, ch.as(*a))
	}
	return changes
}

// as completes a change with the alarm as it is after it.
func (c Change) as(a alarm) Change {
	if c.Began = a.on(); c.Began {
		c.Since = a.since
	}
	return c
}

// forgetOld forgets the connectors and types that are no more.
func (b *Book) forgetOld(now time.Time) {
	for workspace, c := range b.connectors {
		if now.Sub(c.series.newest) > forgetAfter {
			for _, a := range c.alarms() {
				b.lapse(a)
			}
			delete(b.connectors, workspace)
		}
	}
	for at := b.byAge.Back(); at != nil && now.Sub(at.Value.(*typeSeries).series.newest) > forgetAfter; at = b.byAge.Back() {
		b.forgetType(at)
	}
}
