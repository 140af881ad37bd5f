package cases

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// The lines of `sluice why-muted` were read once by a person; GOLDEN=write rewrites them.
func TestWhyMuted(t *testing.T) {
	var got strings.Builder
	for _, tt := range []struct {
		name    string
		rules   func(*Rules)
		reports []*event.Case
		at      time.Duration
	}{
		{name: "nobody has written"},
		{name: "an open case", reports: []*event.Case{report("opened", 0, of("35436"), severe("high"))}, at: hour},
		{name: "an open case with news", reports: []*event.Case{report("opened", 0, of("35436")), report("escalated", 26*hour, of("35436"))}, at: 30 * hour},
		{name: "a reopened case", reports: []*event.Case{report("opened", 0), report("resolved", hour), report("reopened", 5*hour), report("updated", 6*hour+30*time.Second)}, at: 7 * hour},
		{name: "two open cases", reports: []*event.Case{report("opened", 0), report("opened", 0, of("2"), severe("low"))}},
		{name: "four open cases", reports: []*event.Case{report("opened", 0), report("opened", 0, of("2")), report("opened", 0, of("3")), report("opened", 0, of("4"), severe("urgent"))}},
		{name: "cool-down", reports: []*event.Case{report("opened", 0), report("resolved", hour)}, at: 2 * hour},
		{name: "after the cool-down", reports: []*event.Case{report("opened", 0), report("resolved", hour)}, at: 30 * hour},
		{name: "cool-down while a case that mutes nobody is open", rules: func(r *Rules) { r.Suppress.Low = 0 }, reports: []*event.Case{report("resolved", hour), report("opened", 0, of("2"), severe("low"))}, at: 2 * hour},
		{name: "a case that mutes nobody", rules: func(r *Rules) { r.Suppress.Low = 0 }, reports: []*event.Case{report("opened", 0, severe("low"))}, at: 2 * hour},
		{name: "silence", reports: []*event.Case{report("opened", 0), report("updated", 2*day)}, at: 12 * day},
		{name: "only a rating", reports: []*event.Case{report("rated", 0, rate(1))}},
		{name: "out of the group", rules: func(r *Rules) { r.SuppressGroup, r.AssumeSubscribed = "5b3a5b0e-1111-4222-8333-444455556666", true }, reports: []*event.Case{report("opened", 0)}},
		{name: "switched off", rules: func(r *Rules) { r.Names.SuppressedUntil = "" }, reports: []*event.Case{report("opened", 0)}},
		{name: "a hostile name", reports: []*event.Case{report("opened", 0, of("1\x1b[2J\nnot muted\u202e"))}},
	} {
		s := newScene(t, tt.rules).takes(tt.reports...).after(tt.at + time.Second)
		s.rules.Group(&s.state, "", start.Add(tt.at+time.Second))
		fmt.Fprintf(&got, "%s:\n  %s\n", tt.name, s.rules.WhyMuted(&s.state, start.Add(tt.at+time.Second)))
	}
	crowd := newScene(t, nil).takes(report("opened", 0, severe("urgent")))
	for i := range MaxCases {
		crowd.takes(report("opened", hour, of(fmt.Sprint("c", i))))
	}
	fmt.Fprintf(&got, "a case that had to be forgotten:\n  %s\n", crowd.rules.WhyMuted(&crowd.state, start.Add(hour)))

	path := filepath.Join("testdata", "why_muted.txt")
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}
