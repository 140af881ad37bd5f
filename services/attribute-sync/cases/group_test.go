package cases

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatIsSaidOfTheSubscriptionGroup(t *testing.T) {
	const promotions = "5b3a5b0e-1111-4222-8333-444455556666"
	out := []event.Subscription{{GroupID: promotions, State: Unsubscribed}}
	back := []event.Subscription{{GroupID: promotions, State: Subscribed}}
	named := func(r *Rules) { r.SuppressGroup = promotions }
	assumed := func(r *Rules) { r.SuppressGroup, r.AssumeSubscribed = promotions, true }
	type step struct {
		takes  *event.Case
		stated string // by somebody else
		group  string // that it is said of; empty: promotions
		after  time.Duration
		known  string
		want   []event.Subscription
	}
	for _, tt := range []struct {
		name  string
		rules func(*Rules)
		steps []step
	}{
		{"without a group nothing is said", nil, []step{{takes: report("opened", 0), known: Subscribed}}},
		{"who is subscribed is taken out once, and put back once", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{takes: report("updated", hour), after: hour, known: Unsubscribed},
			{takes: report("resolved", 2*hour), after: 2 * hour, known: Unsubscribed, want: back},
			{after: 3 * hour, known: Subscribed},
		}},
		{"he is put back only when the last case is closed", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{takes: report("opened", 0, of("2")), known: Unsubscribed},
			{takes: report("resolved", hour), after: hour, known: Unsubscribed},
			{takes: report("resolved", hour, of("2")), after: hour, known: Unsubscribed, want: back},
		}},
		{"he is put back when nothing is heard any more", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{after: 8 * day, want: back},
		}},
		{"even when so long that the case is forgotten", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{after: 80 * day, want: back},
		}},
		{"who has unsubscribed before is left alone, then and afterwards", named, []step{
			{takes: report("opened", 0), known: Unsubscribed},
			{takes: report("resolved", hour), after: hour, known: Unsubscribed},
		}},
		{"of whom nothing is known is left alone", named, []step{
			{takes: report("opened", 0)},
			{takes: report("resolved", hour), after: hour},
		}},
		{"unless the account takes everybody for subscribed", assumed, []step{
			{takes: report("opened", 0), want: out},
			{takes: report("resolved", hour), after: hour, want: back},
		}},
		{"which does not go for those who are known not to be", assumed, []step{
			{takes: report("opened", 0), known: Unsubscribed},
		}},
		{"who unsubscribes meanwhile is not put back", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{stated: Unsubscribed, known: Unsubscribed},
			{takes: report("resolved", hour), after: hour, known: Unsubscribed},
		}},
		{"nor who says so of the group in capitals", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{stated: Unsubscribed, group: strings.ToUpper(promotions), known: Unsubscribed},
			{takes: report("resolved", hour), after: hour, known: Unsubscribed},
		}},
		{"who subscribes meanwhile stays out until the case is closed", named, []step{
			{takes: report("opened", 0), known: Subscribed, want: out},
			{stated: Subscribed, known: Subscribed},
			{takes: report("resolved", hour), after: hour, known: Subscribed, want: back},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, tt.rules)
			for i, step := range tt.steps {
				if step.takes != nil {
					s.takes(step.takes)
				}
				if step.stated != "" {
					group := step.group
					if group == "" {
						group = promotions
					}
					held := s.state.Holds(group)
					changed := s.state.Stated(event.Subscription{GroupID: group, State: step.stated})
					if !held || changed == s.state.Holds(group) {
						t.Errorf("step %d: held %t, stated: %t", i, held, changed)
					}
				}
				s.after(max(step.after, time.Second))
				if diff := cmp.Diff(step.want, s.rules.Group(&s.state, step.known, start.Add(step.after+time.Second))); diff != "" {
					t.Errorf("step %d: %s", i, diff)
				}
			}
		})
	}
	t.Run("a group that is named in capitals is the same", func(t *testing.T) {
		s := newScene(t, assumed).takes(report("opened", 0))
		s.rules.Group(&s.state, "", start)
		s.rules.SuppressGroup = strings.ToUpper(promotions)
		if say := s.rules.Group(&s.state, Unsubscribed, start); say != nil {
			t.Errorf("it is left for another: %v", say)
		}
	})
	t.Run("a group that is no longer named is given back for the new one", func(t *testing.T) {
		s := newScene(t, assumed).takes(report("opened", 0))
		s.rules.Group(&s.state, "", start)
		s.rules.SuppressGroup = "new"
		want := []event.Subscription{back[0], {GroupID: "new", State: Unsubscribed}}
		if diff := cmp.Diff(want, s.rules.Group(&s.state, "", start)); diff != "" {
			t.Error(diff)
		}
	})
}
