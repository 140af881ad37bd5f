package cases

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// model is what the reports of one case come to, told the naive way: put them in order, leave out the
// doubles, and follow the story from its beginning.
func model(reports []*event.Case) string {
	rank := map[event.CaseEvent]int{event.CaseEscalated: 1, event.CaseResolved: 2, event.CaseReopened: 3}
	told := slices.Clone(reports)
	slices.SortStableFunc(told, func(a, b *event.Case) int {
		return cmp.Or(a.OccurredAt.Compare(b.OccurredAt), cmp.Compare(rank[a.Event], rank[b.Event]))
	})
	status, severity, rating := "", event.Severity(""), ""
	risky := false
	var news time.Time
	for _, c := range told {
		if c.Event == event.CaseRated {
			rating = fmt.Sprint(*c.Rating)
			continue
		}
		news = c.OccurredAt
		if c.Severity != "" {
			severity = c.Severity
		}
		switch c.Event {
		case event.CaseOpened:
			status = StatusOpen
		case event.CaseReopened:
			status = StatusReopened
		case event.CaseResolved:
			status = StatusResolved
		case event.CaseEscalated:
			status, risky = StatusEscalated, true
			if c.Severity == "" && severity != event.SeverityUrgent {
				severity = event.SeverityHigh
			}
		case event.CaseAtRisk:
			risky = true
			fallthrough
		default:
			if status == "" {
				status = StatusOpen
			}
		}
	}
	span := map[event.Severity]time.Duration{"": 7 * day, "low": 3 * day, "normal": 7 * day, "high": 14 * day, "urgent": 21 * day}[severity]
	var parts []string
	switch open := status != "" && status != StatusResolved; {
	case open:
		until := news.Add(span + 12*hour - time.Millisecond).Truncate(12 * hour)
		parts = append(parts, "until="+until.Format(time.RFC3339), "open=1", fmt.Sprint("at_risk=", risky || severity == "urgent"), "status="+status)
	case status == "":
		parts = append(parts, "open=0", "at_risk=false")
	default:
		var resolved time.Time
		for _, c := range told {
			if c.Event == event.CaseResolved {
				resolved = c.OccurredAt
			}
		}
		parts = append(parts, "until="+resolved.Add(day).Format(time.RFC3339), "open=0", "at_risk=false", "status="+status)
	}
	if rating != "" {
		parts = append(parts, "rating="+rating)
	}
	return strings.Join(parts, " ")
}

// story is a handful of reports of one case at moments that often coincide. At one moment at most one
// report states a severity and one rates, so that the model need not know which of two to believe.
func story(rng *rand.Rand, n int) []*event.Case {
	words := event.CaseEvents()
	taken := map[string]bool{}
	var reports []*event.Case
	for len(reports) < n {
		c := report(words[rng.IntN(len(words))], time.Duration(rng.IntN(4))*time.Minute, through([]string{"", "chat", "email"}[rng.IntN(3)]))
		if c.Event == event.CaseRated {
			c.Rating = new(int64)
			*c.Rating = rng.Int64N(11)
		} else if rng.IntN(2) == 0 {
			c.Severity = event.Severities()[rng.IntN(4)]
		}
		// Of one sort at one moment there is one; and none that states beside an escalation that does not.
		sort := fmt.Sprint(c.Event, c.OccurredAt)
		states := fmt.Sprint("states", c.OccurredAt)
		if taken[sort] || taken[states] && (c.Severity != "" || c.Event == event.CaseEscalated) {
			continue
		}
		taken[sort] = true
		taken[states] = taken[states] || c.Severity != "" || c.Event == event.CaseEscalated
		reports = append(reports, c)
	}
	return reports
}

// permutations calls do with every order of the reports.
func permutations(reports []*event.Case, do func([]*event.Case)) {
	var from func(int)
	from = func(k int) {
		if k == len(reports) {
			do(reports)
			return
		}
		for i := k; i < len(reports); i++ {
			reports[k], reports[i] = reports[i], reports[k]
			from(k + 1)
			reports[k], reports[i] = reports[i], reports[k]
		}
	}
	from(0)
}

// In every order of the same reports, with one of them doubled, with a restart and a look at the time
// between any two, the state is the same to the byte, and it is what the story says.
func TestReportsInAnyOrderAndDoubledComeToTheSame(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 5))
	now := start.Add(hour / 2) // nothing is due yet
	stories := 60
	if testing.Short() {
		stories = 10
	}
	for range stories {
		reports := story(rng, 5)
		want := model(reports)
		reports = append(reports, reports[rng.IntN(len(reports))])
		rules := Defaults()
		var first []byte
		var s State
		permutations(reports, func(order []*event.Case) {
			var b []byte
			for _, c := range order {
				if err := s.Decode(b); err != nil {
					t.Fatal(err)
				}
				if _, p := rules.Apply(&s, c, now); p != nil {
					t.Fatal(p)
				}
				if a := rules.Advance(&s, now); a.Changed {
					t.Fatalf("time alone changed something: %+v", a)
				}
				b = s.Append(b[:0])
			}
			if first == nil {
				first = b
				if got := (&scene{t: t, rules: rules, state: s}).profile(hour); got != want {
					t.Fatalf("%s\nwant %s\nof %s", got, want, told(order))
				}
			}
			if !bytes.Equal(b, first) {
				t.Fatalf("%x and %x, the latter of %s", first, b, told(order))
			}
		})
	}
}

// Of the cases named in the task's own words: opened, escalated, resolved, reopened, each doubled.
func TestOpenedEscalatedResolvedReopenedInAnyOrder(t *testing.T) {
	for _, tt := range []struct {
		name string
		last *event.Case
		want string
	}{
		{"the reopening is the newest", report("reopened", 4*time.Minute), "until=2026-03-16T12:00:00Z open=1 at_risk=true status=reopened"},
		{"the resolution is the newest", report("reopened", 2*time.Minute), "until=2026-03-03T09:03:00Z open=0 at_risk=false status=resolved"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reports := []*event.Case{report("opened", 0), report("escalated", time.Minute), report("resolved", 3*time.Minute), tt.last}
			permutations(append(reports, reports[0], reports[1], reports[3]), func(order []*event.Case) {
				s := scene{t: t, rules: Defaults()}
				for _, c := range order {
					if _, p := s.rules.Apply(&s.state, c, start.Add(hour)); p != nil {
						t.Fatal(p)
					}
				}
				if got := s.profile(hour); got != tt.want {
					t.Fatalf("%s\nwant %s\nof %s", got, tt.want, told(order))
				}
			})
		})
	}
}

func told(reports []*event.Case) string {
	var b strings.Builder
	for _, c := range reports {
		fmt.Fprintf(&b, "%s/%s %s@%v %s;", c.Source, c.CaseID, c.Event, c.OccurredAt.Sub(start), c.Severity)
	}
	return b.String()
}

// A helpdesk that doubles, delays, reorders and loses, over a month, with timers kept to the letter: no
// trigger comes twice, no survey without a resolution of its own, and in the end the customer is free and
// nothing is left.
func TestNothingIsSentTwiceAndEverythingEnds(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	words := event.CaseEvents()
	surveys, winBacks := 0, 0
	for range 300 {
		var arriving []*event.Case
		for range 30 {
			c := report(words[rng.IntN(len(words))], time.Duration(rng.IntN(40*24*4))*15*time.Minute, of(fmt.Sprint(rng.IntN(3))))
			if c.Event == event.CaseRated {
				c.Rating = new(int64)
				*c.Rating = rng.Int64N(4)
			}
			for rng.IntN(10) > 0 { // one in ten is lost
				late := *c
				late.ReceivedAt = c.OccurredAt.Add(time.Duration(rng.ExpFloat64() * float64(8*hour)))
				arriving = append(arriving, &late)
				if rng.IntN(3) > 0 {
					break
				}
			}
		}
		slices.SortFunc(arriving, func(a, b *event.Case) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
		s := newScene(t, nil).takes(arriving...).after(200 * day)
		seen := map[string]bool{}
		resolutions := map[string]int{}
		for _, c := range arriving {
			if c.Event == event.CaseResolved && !seen[c.CaseID+c.OccurredAt.String()] {
				seen[c.CaseID+c.OccurredAt.String()] = true
				resolutions[c.CaseID]++
			}
		}
		for _, tr := range s.triggers {
			if seen[tr.ID] {
				t.Fatalf("%s twice, of %s", tr.ID, told(arriving))
			}
			seen[tr.ID] = true
			if strings.HasPrefix(tr.ID, "survey") {
				surveys++
				resolutions[tr.CaseID]--
			} else {
				winBacks++
			}
		}
		for id, left := range resolutions {
			if left < 0 {
				t.Fatalf("case %s has more surveys than resolutions, of %s", id, told(arriving))
			}
		}
		if !s.state.Empty() || !s.rules.Due(&s.state).IsZero() {
			t.Fatalf("%d cases are left, and something due at %v", s.state.Len(), s.rules.Due(&s.state))
		}
	}
	if surveys < 100 || winBacks < 100 {
		t.Errorf("%d surveys and %d win-backs: the trial tries too little", surveys, winBacks)
	}
}
