package plan

import "testing"

// A system that keeps a value in a form of its own (without the space at its end, in small letters, with fewer digits)
// reports that form after each write, and each report is later than a turn may be apart.
func TestAFormOfItsOwnIsNotWrittenOverForEver(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.braze(0, `{"phone":"1 "}`)
	s.done(1, delivered)
	writes := 0
	for i := range 20 {
		second := 100 + 120*i
		if s.crm(second, ourselves, `{"phone":"1"}`) != `` && s.rows[testTarget].Cause.EventID != "" {
			if w := s.rows[testTarget]; w.EditedAt.Equal(at(second)) {
				writes++
				s.done(second+60, delivered)
			}
		}
	}
	if writes > 1 {
		t.Errorf("the same value is given back %d times to a system that does not keep it", writes)
	}
}
