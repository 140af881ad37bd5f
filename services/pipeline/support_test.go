package pipeline_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline"
)

// surveyAfter is how long a case has to stay resolved in these tests.
const surveyAfter = 2 * time.Second

// supported starts a pipeline whose surveys come due soon.
func supported(t *testing.T, c cluster, o ...string) *rig {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fields.yaml")
	text := fmt.Sprintf("support:\n  survey: {trigger: support_survey_due, after: %s}\n", surveyAfter)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, load(t, append(append(slices.Clone(c.environ), "FIELDS_FILE="+file), o...)...), pipeline.Options{})
}

// helpdesk says what happened to a case just now.
func (r *rig) helpdesk(user, id, what, rest string) {
	r.t.Helper()
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	r.say("/v1/cases", fmt.Sprintf(`{"user":{"external_id":%q},"source":"desk","case_id":%q,"event":%q,"time":%q%s}`, user, id, what, now, rest))
	r.lawful(pipeline.Books{})
}

// mutedUntil is the date that Braze has for promotions.
func (r *rig) mutedUntil(user string) time.Time {
	r.t.Helper()
	var at time.Time
	value, known := r.profile(user)["promotions_suppressed_until"]
	if !known {
		r.t.Fatalf("Braze has no date for %s: %v", user, r.profile(user))
	}
	if err := json.Unmarshal([]byte(value), &at); err != nil {
		r.t.Fatalf("the date %s is none that Braze could compare: %v", value, err)
	}
	return at
}

func TestACaseHoldsPromotionsBackAndIsFollowedByASurvey(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := supported(t, c)
		r.helpdesk("cus-1", "C-1", "opened", `,"severity":"normal"`)
		opened := r.mutedUntil("cus-1")
		r.helpdesk("cus-1", "C-1", "escalated", `,"severity":"urgent"`)
		if escalated := r.mutedUntil("cus-1"); !opened.After(time.Now()) || !escalated.After(opened) {
			t.Errorf("opened, promotions are held back until %v; escalated, until %v", opened, escalated)
		}
		if got := r.profile("cus-1"); got["open_cases"] != "1" || got["last_case_status"] != `"escalated"` {
			t.Errorf("the profile is %v", got)
		}
		r.helpdesk("cus-1", "C-1", "resolved", "")
		if got := r.profile("cus-1"); got["open_cases"] != "0" || got["last_case_status"] != `"resolved"` {
			t.Errorf("resolved, the profile is %v", got)
		}
		// Somebody else's case is resolved and opened again, told in one breath: however busy the machine is, no survey
		// comes due in between.
		r.helpdesk("cus-2", "C-2", "opened", "")
		reopened := time.Now()
		tell := func(what string, at time.Time) string {
			return fmt.Sprintf(`{"user":{"external_id":"cus-2"},"source":"desk","case_id":"C-2","event":%q,"time":%q}`, what, at.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		r.say("/v1/cases", "["+tell("resolved", reopened)+","+tell("reopened", reopened.Add(time.Millisecond))+"]")
		r.lawful(pipeline.Books{})
		surveyed := func(user string) []string {
			var due []string
			for _, name := range r.told(user) {
				if name == "support_survey_due" {
					due = append(due, name)
				}
			}
			return due
		}
		await(t, "the survey of whose case stayed resolved", func() bool { return len(surveyed("cus-1")) > 0 })
		await(t, "the other survey would have been due", func() bool { return time.Since(reopened) > surveyAfter+time.Second })
		r.lawful(pipeline.Books{})
		if got := surveyed("cus-1"); !cmp.Equal(got, []string{"support_survey_due"}) {
			t.Errorf("of whose case stayed resolved Braze was told %q", got)
		}
		if got := surveyed("cus-2"); len(got) > 0 {
			t.Errorf("of whose case was opened again Braze was told %q", got)
		}
	})
}

// Were everything lost after the opening, the date that Braze has passes by itself.
func TestNobodyIsMutedForEverWhenEverythingIsLost(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := supported(t, c)
		before := time.Now()
		r.helpdesk("cus-1", "C-1", "opened", `,"severity":"high"`)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		until := r.mutedUntil("cus-1")
		// 14 days for a high one, rounded up to half a day.
		if least, most := before.AddDate(0, 0, 14).Add(-time.Minute), before.AddDate(0, 0, 15); until.Before(least) || until.After(most) {
			t.Errorf("promotions are held back until %v, want between %v and %v", until, least, most)
		}
	})
}

// What a helpdesk reports twice, late and in another order leaves what it would have left in order.
func TestCasesInAnyOrderLeaveTheSame(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := supported(t, c)
		began := time.Now().Add(-time.Hour).UTC().Truncate(time.Minute)
		events := []string{"opened", "escalated", "resolved", "reopened"}
		report := func(user string, i int) string {
			return fmt.Sprintf(`{"user":{"external_id":%q},"source":"desk","case_id":"C-1","event":%q,"time":%q}`, user, events[i], began.Add(time.Duration(i)*time.Minute).Format(time.RFC3339))
		}
		for user, order := range map[string][]int{"cus-1": {0, 1, 2, 3}, "cus-2": {3, 2, 1, 0}, "cus-3": {2, 2, 0, 3, 1, 0, 3}} {
			for _, i := range order {
				r.say("/v1/cases", report(user, i))
			}
		}
		r.lawful(pipeline.Books{})
		want := r.profile("cus-1")
		if want["open_cases"] != "1" || want["last_case_status"] != `"reopened"` {
			t.Errorf("in order: %v", want)
		}
		for _, user := range []string{"cus-2", "cus-3"} {
			if diff := cmp.Diff(want, r.profile(user)); diff != "" {
				t.Errorf("%s (-in order +not):\n%s", user, diff)
			}
		}
		if letters := r.read(schema.DeadLetters("attribute-sync")); len(letters) > 0 {
			t.Errorf("%d dead letters", len(letters))
		}
	})
}
