package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What was stopped for going round has not reached the other side: said again in quiet times, or sent once more by an
// operator, it has to.
func TestWhatWasStoppedForALoopIsWrittenWhenItIsSaidAgain(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.braze(0, `{"color":"a"}`)
	s.crm(1, "robot", `{"color":"b"}`)
	s.braze(2, `{"color":"c"}`)
	s.crm(3, "robot", `{"color":"d"}`)
	got := []string{s.braze(4, `{"color":"e"}`), s.braze(500, `{"color":"e"}`), s.crm(501, ourselves, `{"color":"e"}`), s.braze(502, `{"color":"e"}`)}
	want := []string{`crm refused loop`, `crm {"color":"e"}`, `braze skipped echo`, `crm skipped unchanged`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
