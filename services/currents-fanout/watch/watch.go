// Package watch notices when Braze's Currents falls silent, wholly or in part, days before Braze gives a
// connector up: after five days of failure it is switched off and what happens from then on is lost.
//
// An event's way:
//
//	Watch.Run     one replica of all keeps the books: the one that has partition 0 (shift.go)
//	shift.take    reads braze.engagements from a day back, and follows it (read.go)
//	Book.Add      counts the event: of its connector, of its type (series.go), of its campaign or step of a
//	              Canvas (step.go, kind.go); a repeat only as a sign of life (recent.go)
//	Book.Check    once a minute: who is silent (silence.go), who has become rare (drop.go), and what of that
//	              began or ended (alarm.go)
//	collector     the metrics (metrics.go); Book.Snapshot, the same for people (snapshot.go)
//
// The books ([Book]) are pure: they know no clock and no Kafka, so that sluice currents judges a topic by the
// very same rules.
//
// Every count is of events received, by our clock, not by Braze's: an event may lie days back when it comes,
// and what is watched is the connector, not the customers.
//
// Rejected: each replica counts its own partitions and a query adds them up. Sums would do, but when a type is
// silent, or how rare is too rare, shows only where all of it is seen.
package watch

import (
	"container/list"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Rules say what counts as an alarm, and how much may be remembered. The zero value of a field stands for the
// default beside it.
type Rules struct {
	// MinEvents is how many events a type must have had in the day before its newest one for its silence to
	// mean anything; 20.
	MinEvents int
	// Floor is the shortest silence that is an alarm; 30 minutes: Braze lets a quiet connector's events wait
	// for so long.
	Floor time.Duration
	// Cap is the silence after which a connector is silent whatever its rhythm was; 24 hours. A type that was
	// quiet for more than half of it within a day has no rhythm, and only its connector is watched.
	Cap time.Duration
	// DropPercent is what is left of the usual rate when it counts as dropped; 50.
	DropPercent int
	// Hold is how long the last hour has to be too low, or well again, before that is a drop, or none any
	// more; 10 minutes, and negative is at once.
	Hold time.Duration

	// From is when counting for [Flow.Events] begins, where the books are shown more than that in order to
	// judge; the zero time is all of it.
	From time.Time

	Types    int           // most pairs of connector and type kept; the one not heard of for longest goes; 1,000
	Steps    int           // the same of campaigns and steps of Canvases; 1,000
	Window   time.Duration // over how long campaigns are counted, by the hour; 24 hours
	Remember int           // ids of events of which a repeat is known, twice this at most; 500,000
}

func (r Rules) orDefaults() Rules {
	fill(&r.MinEvents, 20)
	fill(&r.Floor, 30*time.Minute)
	fill(&r.Cap, 24*time.Hour)
	fill(&r.DropPercent, 50)
	fill(&r.Hold, 10*time.Minute)
	fill(&r.Types, 1_000)
	fill(&r.Steps, 1_000)
	fill(&r.Window, 24*time.Hour)
	fill(&r.Remember, 500_000)
	return r
}

func fill[T comparable](field *T, otherwise T) {
	var zero T
	if *field == zero {
		*field = otherwise
	}
}

// CutOff is how long Braze goes on trying a connector that fails before it switches it off for good
// (braze-docs: custom_http_connector).
const CutOff = 5 * 24 * time.Hour

// forgetAfter is when a connector that says nothing any more was given up by its owners.
const forgetAfter = 8 * 24 * time.Hour

// maxConnectors bounds the workspaces that are told apart; events of further ones are not counted.
const maxConnectors = 100

// late is the age at which an event that comes says nothing about the rate: a file of old events that is
// read in, or Braze's queue after an outage. It is a sign of life only.
const late = 48 * time.Hour

// Book counts the events of connectors. It may be used from several goroutines.
type Book struct {
	rules Rules
	since time.Time // what was received from then on has been shown

	mu         sync.Mutex
	connectors map[string]*connector
	types      map[typeKey]*list.Element // of *typeSeries
	byAge      list.List                 // the type heard of last in front
	steps      map[StepKey]*list.Element // of *step
	stepsByAge list.List
	recent     recent
	seed       maphash.Seed
	marks      marks

	lapsed    []Alarm // that ended with what they were about
	repeats   uint64
	forgotten uint64 // types, steps and connectors for which there was no room
}

type typeKey struct{ workspace, event string }

// connector is what is known of a workspace's connector.
type connector struct {
	workspace string
	series    series
	past      int // events known of only by samples from before since
	silent    alarm
	dropped   alarm
}

// typeSeries is what is known of a type of a connector.
type typeSeries struct {
	typeKey
	series  series
	silent  alarm
	dropped alarm
}

// NewBook opens books that will be shown everything received from since on.
func NewBook(rules Rules, since time.Time) *Book {
	rules = rules.orDefaults()
	return &Book{
		rules: rules, since: since,
		connectors: map[string]*connector{},
		types:      map[typeKey]*list.Element{},
		steps:      map[StepKey]*list.Element{},
		recent:     newRecent(rules.Remember),
		seed:       maphash.MakeSeed(),
	}
}

// Add counts an event, and reports whether it did: a repeat is a sign of life and nothing more. The event is
// the caller's again afterwards.
func (b *Book) Add(e *event.Engagement, now time.Time) (counted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	received := e.ReceivedAt
	if received.After(now) { // another machine's clock
		received = now
	}
	workspace := bounded(e.Workspace)
	c := b.connector(workspace)
	if c == nil {
		b.forgotten++
		return false
	}
	if received.Before(b.since) { // a topic is read from a batch on, which may begin earlier
		c.spoke(received)
		return false
	}
	t := b.typeSeries(typeKey{workspace, bounded(e.Type)})
	c.series.heard(received, e.OccurredAt)
	t.series.heard(received, e.OccurredAt)
	if !b.recent.first(maphash.String(b.seed, e.ID)) {
		b.repeats++
		c.series.repeats++
		t.series.repeats++
		return false
	}
	if !received.Before(b.rules.From) {
		c.series.total++
		t.series.total++
	}
	if received.Sub(e.OccurredAt) < late {
		c.series.count(received)
		t.series.count(received)
	} else {
		c.series.late++
		t.series.late++
	}
	b.step(workspace, e, received)
	return true
}

// Past takes note that a connector spoke at a time before the one from which on everything is shown.
func (b *Book) Past(workspace string, received time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.connector(bounded(workspace)); c != nil {
		c.spoke(received)
	}
}

func (c *connector) spoke(received time.Time) {
	c.past++
	c.series.heard(received, time.Time{})
}

// connector finds a connector or makes it; nil where there are too many.
func (b *Book) connector(workspace string) *connector {
	c := b.connectors[workspace]
	if c == nil && len(b.connectors) < maxConnectors {
		workspace = strings.Clone(workspace)
		c = &connector{workspace: workspace}
		b.connectors[workspace] = c
	}
	return c
}

// typeSeries finds a type or makes it, in the place of the one that was not heard of for longest where there
// are too many.
func (b *Book) typeSeries(key typeKey) *typeSeries {
	if at, ok := b.types[key]; ok {
		b.byAge.MoveToFront(at)
		return at.Value.(*typeSeries)
	}
	if len(b.types) >= b.rules.Types {
		b.forgetType(b.byAge.Back())
		b.forgotten++
	}
	t := &typeSeries{typeKey: typeKey{strings.Clone(key.workspace), strings.Clone(key.event)}}
	b.types[t.typeKey] = b.byAge.PushFront(t)
	return t
}

// forgetType takes a type out of the books, and its alarms with it.
func (b *Book) forgetType(at *list.Element) {
	t := b.byAge.Remove(at).(*typeSeries)
	delete(b.types, t.typeKey)
	for _, a := range t.alarms() {
		b.lapse(a)
	}
}

// maxText is the longest name that is kept whole.
const maxText = 200

// bounded makes of a name what can be a label and what a stranger cannot fill the memory with.
func bounded(name string) string {
	if len(name) > maxText {
		name = name[:maxText]
	}
	return strings.ToValidUTF8(name, "\ufffd") // which copies only what is not
}
