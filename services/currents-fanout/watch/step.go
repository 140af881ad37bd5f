package watch

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// StepKey says which messages are counted together: those of a campaign, or of a step of a Canvas, by one channel.
// A campaign may have several, and of one that reports no deliveries a ratio with another's would mean nothing.
type StepKey struct {
	Workspace string `json:"workspace"`
	Campaign  string `json:"campaign_id,omitempty"`
	Canvas    string `json:"canvas_id,omitempty"`
	Step      string `json:"canvas_step_id,omitempty"`
	Channel   string `json:"channel,omitempty"`
}

// step is what is known of a campaign or a step, by the hour.
type step struct {
	StepKey
	name  string // the newest, of the campaign or the Canvas
	head  int64  // number of the newest hour, counted since 1970
	hours [][whats]uint32
}

// step counts what an event says about a message.
func (b *Book) step(workspace string, e *event.Engagement, received time.Time) {
	if e.CampaignID == "" && e.CanvasID == "" {
		return
	}
	what := b.marks.whatOf(e)
	if what == nothing {
		return
	}
	key := StepKey{Workspace: workspace, Channel: bounded(e.Channel)}
	name := e.CanvasName
	if e.CanvasID != "" {
		key.Canvas, key.Step = bounded(e.CanvasID), bounded(e.CanvasStepID)
	} else {
		key.Campaign, name = bounded(e.CampaignID), e.CampaignName
	}
	s := b.stepOf(key)
	if name != "" && name != s.name { // it is late or missing after a change
		s.name = strings.Clone(bounded(name))
	}
	s.count(what, received)
}

func (b *Book) stepOf(key StepKey) *step {
	if at, ok := b.steps[key]; ok {
		b.stepsByAge.MoveToFront(at)
		return at.Value.(*step)
	}
	if len(b.steps) >= b.rules.Steps {
		oldest := b.stepsByAge.Remove(b.stepsByAge.Back()).(*step)
		delete(b.steps, oldest.StepKey)
		b.forgotten++
	}
	s := &step{
		StepKey: StepKey{
			strings.Clone(key.Workspace), strings.Clone(key.Campaign), strings.Clone(key.Canvas), strings.Clone(key.Step), strings.Clone(key.Channel),
		},
		hours: make([][whats]uint32, max(1, b.rules.Window/time.Hour)),
	}
	b.steps[s.StepKey] = b.stepsByAge.PushFront(s)
	return s
}

// count counts something in its hour, and forgets the hours that are too long ago.
func (s *step) count(what What, received time.Time) {
	n, size := received.Unix()/3600, int64(len(s.hours))
	switch {
	case n <= 0:
		return
	case s.head == 0 || n-s.head >= size:
		clear(s.hours)
		s.head = n
	case n > s.head:
		for s.head < n {
			s.head++
			s.hours[s.head%size] = [whats]uint32{}
		}
	case n <= s.head-size:
		return
	}
	s.hours[n%size][what]++
}

// Tally is what was counted of messages.
type Tally [whats]int

// tally adds up the hours within the window that ends now.
func (s *step) tally(now time.Time) Tally {
	var t Tally
	size := int64(len(s.hours))
	for n := max(s.head-size, now.Unix()/3600-size) + 1; n <= s.head; n++ {
		for what, count := range s.hours[n%size] {
			t[what] += int(count)
		}
	}
	return t
}

// Step is a campaign, or a step of a Canvas, with what became of its messages.
type Step struct {
	StepKey
	Name string `json:"name,omitempty"` // of the campaign or the Canvas

	Sends        int `json:"sends"`
	Deliveries   int `json:"deliveries"`
	Bounces      int `json:"bounces"`
	SoftBounces  int `json:"soft_bounces"`
	Opens        int `json:"opens"`
	MachineOpens int `json:"machine_opens"`
	Clicks       int `json:"clicks"`
	BotClicks    int `json:"bot_clicks"`
	Unsubscribes int `json:"unsubscribes"`
	Spam         int `json:"spam"`
	Aborts       int `json:"aborts"`

	// The ratios are of sends, from Open on of deliveries, or of sends less bounces in a channel without
	// deliveries. One is missing where there is nothing to divide by. They may be above 1: who opens a
	// message twice is counted twice, and what was sent before the window may be opened within it.
	Delivered    *float64 `json:"delivered_ratio,omitempty"`
	Bounced      *float64 `json:"bounced_ratio,omitempty"`
	Opened       *float64 `json:"opened_ratio,omitempty"`
	Clicked      *float64 `json:"clicked_ratio,omitempty"`
	Unsubscribed *float64 `json:"unsubscribed_ratio,omitempty"`
}

// step makes a Step of a tally.
func (t Tally) step(key StepKey, name string) Step {
	s := Step{
		StepKey: key, Name: name,
		Sends: t[Sends], Deliveries: t[Deliveries], Bounces: t[Bounces], SoftBounces: t[SoftBounces], Opens: t[Opens], MachineOpens: t[MachineOpens],
		Clicks: t[Clicks], BotClicks: t[BotClicks], Unsubscribes: t[Unsubscribes], Spam: t[Spam], Aborts: t[Aborts],
	}
	s.Bounced = ratio(s.Bounces, s.Sends)
	arrived := s.Deliveries
	if arrived > 0 {
		s.Delivered = ratio(s.Deliveries, s.Sends)
	} else {
		arrived = s.Sends - s.Bounces
	}
	s.Opened, s.Clicked, s.Unsubscribed = ratio(s.Opens, arrived), ratio(s.Clicks, arrived), ratio(s.Unsubscribes, arrived)
	return s
}

// counts are the Step's tally again.
func (s *Step) counts() Tally {
	return Tally{
		Sends: s.Sends, Deliveries: s.Deliveries, Bounces: s.Bounces, SoftBounces: s.SoftBounces, Opens: s.Opens, MachineOpens: s.MachineOpens,
		Clicks: s.Clicks, BotClicks: s.BotClicks, Unsubscribes: s.Unsubscribes, Spam: s.Spam, Aborts: s.Aborts,
	}
}

// ratio is nil where there is nothing to divide by.
func ratio(part, whole int) *float64 {
	if whole <= 0 {
		return nil
	}
	r := float64(part) / float64(whole)
	return &r
}

// busiest returns the steps with the most events, at most so many.
func (b *Book) busiest(now time.Time, most int) []Step {
	type counted struct {
		*step
		Tally
		events int
	}
	all := make([]counted, 0, len(b.steps))
	for at := b.stepsByAge.Front(); at != nil; at = at.Next() {
		c := counted{step: at.Value.(*step)}
		c.Tally = c.tally(now)
		for _, n := range c.Tally {
			c.events += n
		}
		if c.events > 0 {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(x, y counted) int {
		return cmp.Or(-cmp.Compare(x.events, y.events), x.compare(y.StepKey))
	})
	steps := make([]Step, 0, min(len(all), most))
	for _, c := range all[:min(len(all), most)] {
		steps = append(steps, c.Tally.step(c.StepKey, c.name))
	}
	return steps
}

func (k StepKey) compare(other StepKey) int {
	return cmp.Or(cmp.Compare(k.Workspace, other.Workspace), cmp.Compare(k.Campaign, other.Campaign),
		cmp.Compare(k.Canvas, other.Canvas), cmp.Compare(k.Step, other.Step), cmp.Compare(k.Channel, other.Channel))
}
