package cases

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestWhatReportsMakeOfTheProfile(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rules   func(*Rules)
		reports []*event.Case
		at      time.Duration
		want    string
	}{
		{
			name:    "an opened case of no severity holds promotions back for a week, rounded up to half a day",
			reports: []*event.Case{report("opened", 0)},
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "low severity holds back for three days",
			reports: []*event.Case{report("opened", 0, severe("low"))},
			want:    "until=2026-03-05T12:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "urgent holds back for three weeks and is a risk",
			reports: []*event.Case{report("opened", 0, severe("urgent"))},
			want:    "until=2026-03-23T12:00:00Z open=1 at_risk=true status=open",
		},
		{
			name:    "news within the step costs nothing",
			reports: []*event.Case{report("opened", 0), report("updated", hour), report("updated", 2*hour)},
			at:      2 * hour,
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "news beyond the step renews",
			reports: []*event.Case{report("opened", 0), report("updated", 30*hour)},
			at:      30 * hour,
			want:    "until=2026-03-11T00:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "without a step the date is exact, to the second",
			rules:   func(r *Rules) { r.RenewStep = 0 },
			reports: []*event.Case{report("opened", time.Millisecond)},
			want:    "until=2026-03-09T09:00:01Z open=1 at_risk=false status=open",
		},
		{
			name:    "an escalation that says no severity raises to high",
			reports: []*event.Case{report("opened", 0, severe("low")), report("escalated", hour)},
			at:      hour,
			want:    "until=2026-03-16T12:00:00Z open=1 at_risk=true status=escalated",
		},
		{
			name:    "an escalation that says a severity is believed",
			reports: []*event.Case{report("opened", 0, severe("low")), report("escalated", hour, severe("normal"))},
			at:      hour,
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=true status=escalated",
		},
		{
			name:    "a severity said after the escalation stands",
			reports: []*event.Case{report("escalated", 0), report("updated", hour, severe("low"))},
			at:      hour,
			want:    "until=2026-03-05T12:00:00Z open=1 at_risk=true status=escalated",
		},
		{
			name:    "the severest of several cases decides how long",
			reports: []*event.Case{report("opened", 0, of("a")), report("opened", 0, of("b"), severe("high")), report("opened", hour, of("c"), severe("low"))},
			at:      hour,
			want:    "until=2026-03-16T12:00:00Z open=3 at_risk=false status=open",
		},
		{
			name:    "cases of the same id in two helpdesks are two",
			reports: []*event.Case{report("opened", 0), report("opened", 0, from("intercom"))},
			want:    "until=2026-03-09T12:00:00Z open=2 at_risk=false status=open",
		},
		{
			name:    "with the last case resolved promotions may go on after the cool-down",
			reports: []*event.Case{report("opened", 0, severe("urgent")), report("resolved", hour)},
			at:      hour,
			want:    "until=2026-03-03T10:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "without a cool-down they may go on at once",
			rules:   func(r *Rules) { r.CoolDown = 0 },
			reports: []*event.Case{report("opened", 0), report("resolved", hour)},
			at:      hour,
			want:    "until=2026-03-02T10:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "with one of two resolved the other decides",
			reports: []*event.Case{report("opened", 0, of("a")), report("opened", 0, of("b")), report("resolved", hour, of("a"))},
			at:      hour,
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=false status=resolved",
		},
		{
			name:    "a reopened case holds back again",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("reopened", 48*hour)},
			at:      48 * hour,
			want:    "until=2026-03-11T12:00:00Z open=1 at_risk=false status=reopened",
		},
		{
			name:    "a reopening older than the resolution does not reopen",
			reports: []*event.Case{report("opened", 0), report("resolved", 2*hour), report("reopened", hour, arriving(3*hour))},
			at:      3 * hour,
			want:    "until=2026-03-03T11:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "an update after the resolution does not reopen",
			reports: []*event.Case{report("opened", 0), report("resolved", hour), report("updated", 2*hour), report("at_risk", 3*hour)},
			at:      3 * hour,
			want:    "until=2026-03-03T10:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "opened and resolved at the same moment is resolved",
			reports: []*event.Case{report("resolved", 0), report("opened", 0)},
			want:    "until=2026-03-03T09:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "resolved and reopened at the same moment is open",
			reports: []*event.Case{report("reopened", 0), report("resolved", 0)},
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=false status=reopened",
		},
		{
			name:    "a case of which only an update is heard is open",
			reports: []*event.Case{report("updated", 0, severe("high"))},
			want:    "until=2026-03-16T12:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "a case called at risk is a risk as long as it is open",
			reports: []*event.Case{report("opened", 0), report("at_risk", hour)},
			at:      hour,
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=true status=open",
		},
		{
			name:    "of a rating alone nothing follows but the rating",
			reports: []*event.Case{report("rated", 0, rate(4))},
			want:    "open=0 at_risk=false rating=4",
		},
		{
			name:    "the newest rating of any case stands, in whatever order they come",
			reports: []*event.Case{report("rated", hour, rate(9)), report("rated", 0, rate(3), arriving(2*hour)), report("rated", hour/2, rate(5), of("2"), arriving(2*hour))},
			at:      2 * hour,
			want:    "open=0 at_risk=false rating=9",
		},
		{
			name:    "a case that was merged away frees at once",
			reports: []*event.Case{report("opened", 0), report("resolved", hour, saying(`{"merged_into":"77"}`))},
			at:      hour,
			want:    "until=2026-03-02T10:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "a severity that holds nothing back is counted all the same",
			rules:   func(r *Rules) { r.Suppress.Low = 0 },
			reports: []*event.Case{report("opened", 0, severe("high")), report("updated", hour, severe("low"))},
			at:      hour,
			want:    "until=2026-03-02T10:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "attributes with no name are not kept",
			rules:   func(r *Rules) { r.Names = AttributeNames{OpenCases: "open_cases"} },
			reports: []*event.Case{report("opened", 0), report("rated", 0, rate(1))},
			want:    "open=1",
		},
		{
			name:    "a case of the year 2099 is one of the day on which it was heard of",
			reports: []*event.Case{report("opened", 73*365*day, arriving(0))},
			want:    "until=2026-03-09T12:00:00Z open=1 at_risk=false status=open",
		},
		{
			name:    "and its resolution, dated properly, resolves it",
			reports: []*event.Case{report("opened", 73*365*day, arriving(0)), report("resolved", hour)},
			at:      hour,
			want:    "until=2026-03-03T10:00:00Z open=0 at_risk=false status=resolved",
		},
		{
			name:    "a case older than its suppression is none",
			reports: []*event.Case{report("opened", 0, arriving(20*day))},
			at:      20 * day,
			want:    "until=2026-03-09T12:00:00Z open=0 at_risk=false status=lapsed",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, tt.rules).takes(tt.reports...).after(tt.at + time.Second)
			if diff := cmp.Diff(tt.want, s.profile(tt.at+time.Second)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What the whole flow promises: with the opening the last thing that is ever heard, the date in the
// profile passes and the counters come down.
func TestACaseOpenedAndEverythingLostAfterwardsFreesTheCustomer(t *testing.T) {
	s := newScene(t, nil).takes(report("opened", 0, severe("urgent")))
	const free = 21*day + 3*hour
	if got, want := s.after(free-time.Millisecond).profile(free-time.Millisecond), "until=2026-03-23T12:00:00Z open=1 at_risk=true status=open"; got != want {
		t.Errorf("just before: %s, want %s", got, want)
	}
	if due := s.rules.Due(&s.state).Sub(start); due != free {
		t.Errorf("a timer is due after %v, want %v", due, free)
	}
	// The date is the same: it stands in the profile already, and costs nothing.
	if got, want := s.after(free).profile(free), "until=2026-03-23T12:00:00Z open=0 at_risk=false status=lapsed"; got != want {
		t.Errorf("at the date: %s, want %s", got, want)
	}
	if got := s.after(31 * day).profile(31 * day); got != "" || !s.state.Empty() || !s.rules.Due(&s.state).IsZero() {
		t.Errorf("after %v: profile %q, %d cases, next %v; want nothing left", 31*day, got, s.state.Len(), s.rules.Due(&s.state))
	}
	if diff := cmp.Diff(new(State).Append(nil), s.state.Append(nil)); diff != "" {
		t.Errorf("what is left: %s", diff)
	}
	if len(s.triggers) > 0 {
		t.Errorf("triggers: %v", s.sent())
	}
}

func TestNewsOfALapsedCaseOpensItAgain(t *testing.T) {
	s := newScene(t, nil).takes(report("opened", 0)).after(10 * day).takes(report("updated", 10*day))
	if got, want := s.profile(10*day+hour), "until=2026-03-19T12:00:00Z open=1 at_risk=false status=open"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAClockThatRunsBackwardsDoesNotReviveALapsedCase(t *testing.T) {
	s := newScene(t, nil).takes(report("opened", 0)).after(8 * day)
	if got, want := s.profile(6*day), "until=2026-03-09T12:00:00Z open=0 at_risk=false status=lapsed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A replay reads the arrival from the record and comes to the same moment; only where that lies in the
// future too does our own clock have to serve.
func TestWhatIsDatedInTheFutureHappenedWhenItArrived(t *testing.T) {
	const far = 73 * 365 * day
	for _, tt := range []struct {
		name   string
		report *event.Case
		want   time.Duration
	}{
		{"a little ahead is a clock that is a little fast", report("opened", 4*time.Minute, arriving(0)), 4 * time.Minute},
		{"far ahead of the arrival is the arrival", report("opened", far, arriving(time.Minute)), time.Minute},
		{"with the arrival far ahead too it is now", report("opened", far, arriving(far)), 2 * day},
		{"with no arrival it is now", report("opened", far, func(c *event.Case) { c.ReceivedAt = time.Time{} }), 2 * day},
		{"with no arrival the past stands", report("opened", hour, func(c *event.Case) { c.ReceivedAt = time.Time{} }), hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, nil)
			s.applies(tt.report, start.Add(2*day))
			if got := timeOf(s.state.cases[0].news).Sub(start); got != tt.want {
				t.Errorf("happened after %v, want %v", got, tt.want)
			}
		})
	}
}

func TestOfTwoReportsAtTheSameMomentTheGraverStands(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b *event.Case
		want string
	}{
		{"the severer", report("opened", 0, severe("urgent")), report("opened", 0, severe("low")), "until=2026-03-23T12:00:00Z open=1 at_risk=true status=open"},
		{"the worse rating", report("rated", 0, rate(1)), report("rated", 0, rate(10)), "open=0 at_risk=false rating=1"},
		{"the worse rating, of two cases", report("rated", 0, rate(1)), report("rated", 0, rate(10), of("2")), "open=0 at_risk=false rating=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, order := range [][]*event.Case{{tt.a, tt.b}, {tt.b, tt.a}} {
				if got := newScene(t, nil).takes(order...).profile(time.Minute); got != tt.want {
					t.Errorf("%s, want %s", got, tt.want)
				}
			}
		})
	}
}

// Records lend their texts: the next poll writes over them.
func TestTheStateKeepsNothingOfTheRecord(t *testing.T) {
	buf := []byte("zendesk 35436 email chat")
	lent := func(from, to int) string { return unsafe.String(&buf[from], to-from) }
	rules := Defaults()
	var s State
	for _, channel := range []string{lent(14, 19), lent(20, 24)} {
		c := report("updated", time.Duration(len(channel))*-time.Minute, from(lent(0, 7)), of(lent(8, 13)), through(channel))
		if _, p := rules.Apply(&s, c, start); p != nil {
			t.Fatal(p)
		}
	}
	before := s.Append(nil)
	if !bytes.Contains(before, []byte("chat")) {
		t.Fatalf("the newer channel is not in %q", before)
	}
	copy(buf, bytes.Repeat([]byte("x"), len(buf)))
	if diff := cmp.Diff(before, s.Append(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsSaidOfAReportThatComesToNothing(t *testing.T) {
	before := []*event.Case{report("opened", 0, of("7")), report("resolved", 2*hour, of("7")), report("rated", 3*hour, of("7"), rate(5))}
	for _, tt := range []struct {
		name   string
		report *event.Case
		want   Result
	}{
		{"a double is nothing new", report("resolved", 2*hour, of("7")), Result{Reason: ReasonNothingNew}},
		{"an older update is nothing new", report("updated", hour, of("7")), Result{Reason: ReasonNothingNew}},
		{"an older reopening is stale", report("reopened", hour, of("7")), Result{Changed: true, Reason: ReasonStale, Detail: "zendesk/7 was resolved at 2026-03-02 11:00 UTC"}},
		{"an older rating is stale", report("rated", hour, of("7"), rate(1)), Result{Reason: ReasonStale, Detail: "zendesk/7 has a newer rating, 5 at 2026-03-02 12:00 UTC"}},
		{"a newer reopening stands", report("reopened", 4*hour, of("7")), Result{Changed: true}},
		{"a new case stands", report("opened", 4*hour, of("8")), Result{Changed: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, nil).takes(before...)
			if diff := cmp.Diff(tt.want, s.applies(tt.report, start.Add(5*hour))); diff != "" {
				t.Error(diff)
			}
		})
	}
	s := newScene(t, nil).takes(report("opened", 0), report("reopened", 2*hour))
	want := Result{Changed: true, Reason: ReasonStale, Detail: "zendesk/1 was reopened at 2026-03-02 11:00 UTC"}
	if diff := cmp.Diff(want, s.applies(report("resolved", hour), start.Add(3*hour))); diff != "" {
		t.Error(diff)
	}
}

func TestAReportThatCannotBeTakenIsRefusedByFieldAndChangesNothing(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		name   string
		report *event.Case
		want   string
	}{
		{"an unknown event", report("exploded", 0), `event: "exploded" is none of opened, updated, escalated, at_risk, resolved, reopened, rated`},
		{"no event", report("", 0), `event: "" is none of opened, updated, escalated, at_risk, resolved, reopened, rated`},
		{"an unknown severity", report("opened", 0, severe("HIGH")), `severity: "HIGH" is none of low, normal, high, urgent`},
		{"no case id", report("opened", 0, of("")), "case_id: is missing"},
		{"a case id that is too long", report("opened", 0, of(long)), "case_id: is 256 bytes long; allowed are 255"},
		{"a case id that is no text", report("opened", 0, of("\xff")), "case_id: is not valid UTF-8"},
		{"no source", report("opened", 0, from("")), "source: is missing"},
		{"a channel that is too long", report("opened", 0, through(long)), "channel: is 256 bytes long; allowed are 255"},
		{"a rating without one", report("rated", 0), "rating: is missing"},
		{"a rating below the scale", report("rated", 0, rate(-1)), "rating: is -1; allowed are 0 to 10"},
		{"a rating above the scale", report("rated", 0, rate(11)), "rating: is 11; allowed are 0 to 10"},
		{"no time", report("opened", 0, func(c *event.Case) { c.OccurredAt = time.Time{} }), "time: is missing"},
		{"a time before computers", report("opened", -60*365*day), "time: is not within the years 1970 to 9999"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t, nil).takes(report("opened", 0))
			before := s.state.Append(nil)
			result, problem := s.rules.Apply(&s.state, tt.report, start)
			if problem == nil || problem.Error() != tt.want || result != (Result{}) {
				t.Errorf("got %v, %+v; want %s", problem, result, tt.want)
			}
			if diff := cmp.Diff(before, s.state.Append(nil)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOfTooManyCasesTheClosedOneWithTheOldestNewsIsForgottenFirst(t *testing.T) {
	s := newScene(t, nil)
	for i := range MaxCases - 2 {
		s.takes(report("opened", time.Duration(i)*time.Second, of(fmt.Sprint("open", i))))
	}
	s.takes(report("resolved", hour, of("closed1")), report("resolved", 2*hour, of("closed2")))
	held := func(id string) bool { _, ok := s.state.find("zendesk", id); return ok }
	for _, step := range []struct{ add, gone string }{{"x", "closed1"}, {"y", "closed2"}, {"z", "open0"}} {
		if !held(step.gone) {
			t.Fatalf("%s is gone too early", step.gone)
		}
		s.takes(report("opened", 3*hour, of(step.add), severe("low")))
		if s.state.Len() != MaxCases || held(step.gone) || !held(step.add) {
			t.Errorf("with %s come: %d cases, %s held: %t", step.add, s.state.Len(), step.gone, held(step.gone))
		}
	}
}

func TestTheDateAndTheRatingOfAForgottenCaseStand(t *testing.T) {
	s := newScene(t, nil).takes(report("opened", 0, of("first"), severe("urgent")), report("rated", 0, of("first"), rate(2)))
	for i := range MaxCases {
		s.takes(report("opened", hour, of(fmt.Sprint(i)), severe("low")))
	}
	if _, ok := s.state.find("zendesk", "first"); ok {
		t.Fatal("the case is still held")
	}
	if got, want := s.profile(hour), "until=2026-03-23T12:00:00Z open=200 at_risk=false status=open rating=2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
