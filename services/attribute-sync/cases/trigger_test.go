package cases

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatIsSentAndWhen(t *testing.T) {
	const forever = 400 * day
	for _, tt := range []struct {
		name    string
		rules   func(*Rules)
		reports []*event.Case
		until   time.Duration // forever where it is 0
		want    []string
	}{
		{
			name:    "a survey comes due a day after the resolution",
			reports: []*event.Case{report("opened", 0), report("resolved", hour)},
			want:    []string{"support_survey_due 1 25h0m0s"},
		},
		{
			name:    "and not a moment before",
			reports: []*event.Case{report("opened", 0), report("resolved", hour)},
			until:   25*hour - time.Millisecond,
		},
		{
			name:    "a reopening cancels it",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("reopened", 20*hour)},
		},
		{
			name:    "a reopening that is older than the resolution does not",
			reports: []*event.Case{report("opened", 0), report("resolved", 2*hour), report("reopened", hour, arriving(3*hour))},
			want:    []string{"support_survey_due 1 26h0m0s"},
		},
		{
			name:    "a newer resolution puts it off",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("reopened", 5*hour), report("resolved", 10*hour)},
			want:    []string{"support_survey_due 1 34h0m0s"},
		},
		{
			name:    "each resolution has its own",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("reopened", 48*hour), report("resolved", 50*hour)},
			want:    []string{"support_survey_due 1 25h0m0s", "support_survey_due 1 74h0m0s"},
		},
		{
			name:    "that a resolved case is called resolved again, days later, is no new resolution",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("resolved", 96*hour), report("updated", 97*hour)},
			want:    []string{"support_survey_due 1 25h0m0s"},
		},
		{
			name:    "a double after the survey asks nobody again",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("resolved", hour, arriving(30*hour)), report("opened", 0, arriving(31*hour))},
			want:    []string{"support_survey_due 1 25h0m0s"},
		},
		{
			name:    "nor does one after the case has been forgotten",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("resolved", hour, arriving(40*day))},
			want:    []string{"support_survey_due 1 25h0m0s"},
		},
		{
			name:    "opened and resolved within one second asks once",
			reports: []*event.Case{report("opened", 0), report("resolved", 0), report("opened", 0, arriving(30*hour)), report("resolved", 0, arriving(31*hour))},
			want:    []string{"support_survey_due 1 24h0m0s"},
		},
		{
			name:    "a customer who has rated by himself is not asked",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("rated", 2*hour, rate(8))},
		},
		{
			name:    "what he rated before the reopening was another matter",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("rated", 2*hour, rate(8)), report("reopened", 3*hour), report("resolved", 4*hour)},
			want:    []string{"support_survey_due 1 28h0m0s"},
		},
		{
			name:    "nobody is asked about a case that was merged into another",
			reports: []*event.Case{report("opened", 0), report("resolved", hour, saying(`{"tags":[],"merged_into":"77"}`)), report("resolved", hour+time.Millisecond)},
		},
		{
			name:    "nor about one that went to another customer",
			reports: []*event.Case{report("opened", 0), report("resolved", hour, saying(`{"moved":true}`))},
		},
		{
			name:    "nor about one that was closed and never solved",
			reports: []*event.Case{report("opened", 0), report("resolved", hour, saying(`{"status":"closed"}`))},
		},
		{
			name:    "nor about one that was deleted, also where a template says so",
			reports: []*event.Case{report("opened", 0), report("resolved", hour, saying(`{"deleted":"true"}`))},
		},
		{
			name:    "metadata that say nothing of the sort change nothing",
			reports: []*event.Case{report("resolved", hour, saying(`{"merged_into":null,"deleted":false,"x":{"deleted":true}}`))},
			want:    []string{"support_survey_due 1 25h0m0s"},
		},
		{
			name:    "a case that lapses is not asked about",
			reports: []*event.Case{report("opened", 0)},
		},
		{
			name:    "a resolution that arrives three days late is asked about at once",
			reports: []*event.Case{report("resolved", 0, arriving(72*hour))},
			want:    []string{"support_survey_due 1 24h0m0s"},
		},
		{
			name:    "one that arrives nine days late is not",
			reports: []*event.Case{report("resolved", 0, arriving(9*day))},
		},
		{
			name:    "without a trigger's name none is sent",
			rules:   func(r *Rules) { r.Survey.Trigger, r.WinBack.Trigger = "", "" },
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(0), of("2"))},
		},
		{
			name:    "a bad rating is answered an hour later",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("rated", 2*hour, rate(2))},
			want:    []string{"support_win_back_due 1 3h0m0s"},
		},
		{
			name:    "a fair one is not",
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(3))},
		},
		{
			name:    "a better rating within the hour takes it back",
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(1)), report("rated", 2*hour+30*time.Minute, rate(9))},
		},
		{
			name:    "a reopening cancels the win-back",
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(1)), report("reopened", 2*hour+30*time.Minute)},
		},
		{
			name:    "an escalation does not, which is no new round",
			reports: []*event.Case{report("opened", 0), report("rated", hour, rate(1)), report("escalated", 2*hour), report("resolved", 3*hour)},
			want:    []string{"support_win_back_due 1 4h0m0s", "support_survey_due 1 27h0m0s"},
		},
		{
			name:    "nor does it bring another for a rating that was answered",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("rated", 2*hour, rate(1)), report("escalated", 5*hour), report("resolved", 6*hour, saying(`{"deleted":true}`))},
			want:    []string{"support_win_back_due 1 3h0m0s"},
		},
		{
			name:    "a reopening that is escalated still cancels it",
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(1)), report("reopened", 2*hour+10*time.Minute), report("escalated", 2*hour+20*time.Minute), report("resolved", 3*hour, saying(`{"deleted":true}`))},
		},
		{
			name:    "that the unhappy customer is then called at risk does not",
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(1)), report("at_risk", 2*hour+time.Minute)},
			want:    []string{"support_win_back_due 1 3h0m0s"},
		},
		{
			name:    "who rates badly twice is won back once",
			reports: []*event.Case{report("resolved", hour), report("rated", 2*hour, rate(1)), report("rated", 8*hour, rate(0)), report("rated", 2*hour, rate(1), arriving(9*hour))},
			want:    []string{"support_win_back_due 1 3h0m0s"},
		},
		{
			name:    "it waits until no other case is open",
			reports: []*event.Case{report("opened", 0, of("2")), report("resolved", hour), report("rated", 2*hour, rate(1)), report("resolved", 30*hour, of("2"), saying(`{"deleted":true}`))},
			want:    []string{"support_win_back_due 1 31h0m0s"},
		},
		{
			name:    "or until nothing has been heard of the other for long enough",
			reports: []*event.Case{report("opened", 0, of("2")), report("resolved", hour), report("rated", 2*hour, rate(1))},
			want:    []string{"support_win_back_due 1 172h0m0s"},
		},
		{
			name: "and is given up when that takes too long",
			reports: []*event.Case{
				report("resolved", hour), report("rated", 2*hour, rate(1)), report("opened", 2*hour, of("2"), severe("urgent")), report("updated", 20*day, of("2")),
				report("resolved", 31*day, of("2"), saying(`{"deleted":true}`)),
			},
		},
		{
			name: "also where an agent has added a word to the rated case meanwhile",
			reports: []*event.Case{
				report("resolved", hour), report("rated", 2*hour, rate(1)), report("opened", 2*hour, of("2"), severe("urgent")), report("updated", 10*day), report("updated", 20*day, of("2")),
				report("resolved", 31*day, of("2"), saying(`{"deleted":true}`)),
			},
		},
		{
			name:    "a rating given in an open case waits for the resolution",
			reports: []*event.Case{report("opened", 0), report("rated", hour, rate(1)), report("resolved", 5*hour)},
			want:    []string{"support_win_back_due 1 6h0m0s"},
		},
		{
			name:    "a bad rating of which nothing else is known is answered too",
			reports: []*event.Case{report("rated", hour, rate(1))},
			want:    []string{"support_win_back_due 1 2h0m0s"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, tt.rules).takes(tt.reports...)
			end := tt.until
			if end == 0 {
				end = forever
			}
			s.after(end)
			want := tt.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, s.sent()); diff != "" {
				t.Error(diff)
			}
			if end == forever && !s.state.Empty() {
				t.Errorf("%d cases are still kept", s.state.Len())
			}
		})
	}
}

func TestATriggerSaysWhichCaseItIsAbout(t *testing.T) {
	s := newScene(t, nil).takes(
		report("opened", 0, severe("high"), through("email"), of("35\"436")),
		report("resolved", hour+672*time.Millisecond, of("35\"436")),
	).after(26 * hour).takes(report("rated", 26*hour, rate(1), of("35\"436"))).after(28 * hour)
	want := []Trigger{
		{
			ID: `survey:zendesk:35"436:1772445600672`, Name: "support_survey_due", Source: "zendesk", CaseID: `35"436`, OccurredAt: start.Add(25*hour + 672*time.Millisecond),
			Properties: []byte(`{"case_id":"35\"436","source":"zendesk","severity":"high","channel":"email","resolved_at":"2026-03-02T10:00:00.672Z"}`),
		},
		{
			ID: `win_back:zendesk:35"436:1772535600000`, Name: "support_win_back_due", Source: "zendesk", CaseID: `35"436`, OccurredAt: start.Add(27 * hour),
			Properties: []byte(`{"case_id":"35\"436","source":"zendesk","severity":"high","channel":"email","resolved_at":"2026-03-02T10:00:00.672Z","rating":1,"rated_at":"2026-03-03T11:00:00Z"}`),
		},
	}
	if diff := cmp.Diff(want, s.triggers); diff != "" {
		t.Error(diff)
	}
}

func TestAnIDNeverOutgrowsAnEventsID(t *testing.T) {
	long := strings.Repeat("x", MaxText)
	s := newScene(t, nil).takes(report("resolved", 0, of(long+"")), report("resolved", 0, of(long[1:]))).after(2 * day)
	if len(s.triggers) != 2 || s.triggers[0].ID == s.triggers[1].ID {
		t.Fatalf("triggers: %+v", s.triggers)
	}
	for _, tr := range s.triggers {
		if len(tr.ID) > 255 {
			t.Errorf("an id of %d bytes: %s", len(tr.ID), tr.ID)
		}
	}
}

func TestATriggerThatIsGivenUpIsCounted(t *testing.T) {
	s := newScene(t, nil)
	if _, p := s.rules.Apply(&s.state, report("resolved", 0), start); p != nil {
		t.Fatal(p)
	}
	if _, p := s.rules.Apply(&s.state, report("rated", 0, rate(0), of("2")), start); p != nil {
		t.Fatal(p)
	}
	got := s.rules.Advance(&s.state, start.Add(20*day))
	if diff := cmp.Diff(Advanced{Changed: true, TooLate: 2}, got); diff != "" {
		t.Error(diff)
	}
	if again := s.rules.Advance(&s.state, start.Add(20*day)); again.Changed {
		t.Errorf("a second time: %+v", again)
	}
}

func TestTriggersThatComeDueTogetherComeInOrder(t *testing.T) {
	s := newScene(t, nil)
	for _, c := range []*event.Case{report("resolved", 3*hour, of("a")), report("resolved", 2*hour, of("b")), report("rated", 26*hour, rate(0), of("c"))} {
		if _, p := s.rules.Apply(&s.state, c, start.Add(28*hour)); p != nil {
			t.Fatal(p)
		}
	}
	s.advance(start.Add(28 * hour)) // after an hour in which nobody looked
	want := []string{"support_survey_due b 26h0m0s", "support_survey_due a 27h0m0s", "support_win_back_due c 27h0m0s"}
	if diff := cmp.Diff(want, s.sent()); diff != "" {
		t.Error(diff)
	}
}
