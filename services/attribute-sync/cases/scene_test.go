package cases

import (
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// start is a Monday morning, on which every scene opens.
var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	hour = time.Hour
	day  = 24 * time.Hour
)

// report is what a helpdesk says happened to case zendesk/1, so long after start.
func report(word event.CaseEvent, after time.Duration, more ...func(*event.Case)) *event.Case {
	at := start.Add(after)
	c := &event.Case{
		ID: "e", User: event.User{ExternalID: "u"}, Source: "zendesk", CaseID: "1", Event: word,
		OccurredAt: at, ReceivedAt: at.Add(time.Second),
	}
	for _, change := range more {
		change(c)
	}
	return c
}

func of(id string) func(*event.Case) { return func(c *event.Case) { c.CaseID = id } }

func severe(s event.Severity) func(*event.Case) { return func(c *event.Case) { c.Severity = s } }

func rate(n int64) func(*event.Case) { return func(c *event.Case) { c.Rating = &n } }

func saying(metadata string) func(*event.Case) {
	return func(c *event.Case) { c.Metadata = []byte(metadata) }
}

func from(source string) func(*event.Case) { return func(c *event.Case) { c.Source = source } }

func through(channel string) func(*event.Case) { return func(c *event.Case) { c.Channel = channel } }

func arriving(after time.Duration) func(*event.Case) {
	return func(c *event.Case) { c.ReceivedAt = start.Add(after) }
}

// scene is one user's life under some rules, with a restart between any two steps.
type scene struct {
	t        *testing.T
	rules    Rules
	state    State
	triggers []Trigger
}

func newScene(t *testing.T, change func(*Rules)) *scene {
	t.Helper()
	s := &scene{t: t, rules: Defaults()}
	if change != nil {
		change(&s.rules)
	}
	if err := s.rules.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

// takes delivers reports, each at the moment when it arrives.
func (s *scene) takes(reports ...*event.Case) *scene {
	s.t.Helper()
	for _, c := range reports {
		s.applies(c, c.ReceivedAt)
	}
	return s
}

func (s *scene) applies(c *event.Case, now time.Time) Result {
	s.t.Helper()
	s.until(now)
	result, problem := s.rules.Apply(&s.state, c, now)
	if problem != nil {
		s.t.Fatalf("%s: %v", c.Event, problem)
	}
	s.advance(now)
	return result
}

// until lets time pass, with every timer at its time.
func (s *scene) until(now time.Time) *scene {
	s.t.Helper()
	for {
		due := s.rules.Due(&s.state)
		if due.IsZero() || due.After(now) {
			break
		}
		s.advance(due)
	}
	s.advance(now)
	return s
}

func (s *scene) after(d time.Duration) *scene { s.t.Helper(); return s.until(start.Add(d)) }

func (s *scene) advance(now time.Time) {
	s.t.Helper()
	s.triggers = append(s.triggers, s.rules.Advance(&s.state, now).Triggers...)
	if due := s.rules.Due(&s.state); !due.IsZero() && due.UnixMilli() <= now.UnixMilli() {
		s.t.Fatalf("after time has passed up to %v something is due at %v", now, due)
	}
	b := s.state.Append(nil)
	var again State
	if err := again.Decode(b); err != nil {
		s.t.Fatalf("state %x: %v", b, err)
	}
	s.state = again
}

// profile is what the profile ought to have, in one line.
func (s *scene) profile(after time.Duration) string {
	var parts []string
	for _, a := range s.rules.Attributes(&s.state, start.Add(after)) {
		name := strings.NewReplacer("promotions_suppressed_until", "until", "last_case_", "", "open_cases", "open").Replace(a.Name)
		parts = append(parts, name+"="+strings.Trim(string(a.Value), `"`))
	}
	return strings.Join(parts, " ")
}

// sent are the triggers so far, each with when it came due.
func (s *scene) sent() []string {
	list := []string{}
	for _, t := range s.triggers {
		list = append(list, t.Name+" "+t.CaseID+" "+t.OccurredAt.Sub(start).String())
	}
	return list
}
