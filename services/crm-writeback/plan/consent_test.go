package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// newRecordStory is a story of a system that reports the whole record whenever anything of it changes, as Salesforce's
// outbound messages do.
func newRecordStory(t *testing.T) *story {
	t.Helper()
	s := newStory(t)
	s.planner.core.rules.(*plainRules).owners = map[string]rules.Owner{"name": rules.OwnerNewest, "optout": rules.OwnerNewest}
	return s
}

// The contact that a form makes has a box for opting out that nobody has ever ticked or unticked.
func TestTheReportOfOurOwnWriteResubscribesNobody(t *testing.T) {
	t.Parallel()
	s := newRecordStory(t)
	got := []string{s.braze(0, `{"name":"Mira"}`), s.crm(1, ourselves, `{"name":"Mira","optout":"subscribed"}`)}
	if diff := cmp.Diff([]string{`crm {"name":"Mira"}`, `braze skipped echo`}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestAWithdrawalOnItsWayIsNotUndoneByWhatTheSystemHadBefore(t *testing.T) {
	t.Parallel()
	s := newRecordStory(t)
	got := []string{
		s.braze(0, `{"name":"Mira"}`), s.braze(1, `{"optout":"unsubscribed"}`),
		s.crm(2, ourselves, `{"name":"Mira","optout":"subscribed"}`),  // of the first write
		s.crm(3, "colleague", `{"name":"Mia","optout":"subscribed"}`), // who has changed the name
	}
	want := []string{
		`crm {"name":"Mira"}`, `crm {"optout":"unsubscribed"}`, `braze skipped echo`,
		`braze {"name":"Mia"}; crm {"name":"Mia"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestAColleagueMaySubscribeSomebodyWhoseWithdrawalTheyHaveSeen(t *testing.T) {
	t.Parallel()
	s := newRecordStory(t)
	got := []string{
		s.braze(0, `{"optout":"unsubscribed"}`), s.done(1, delivered), s.crm(1, ourselves, `{"optout":"unsubscribed"}`),
		s.crm(100, "colleague", `{"optout":"subscribed"}`), s.crm(200, "colleague", `{"optout":"unsubscribed"}`),
	}
	want := []string{`crm {"optout":"unsubscribed"}`, ``, `braze skipped echo`, `braze {"email_subscribe":"subscribed"}`, `braze {"email_subscribe":"unsubscribed"}`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
