package stream

import "testing"

// TestAHurryBetweenTwoPollsIsNotForgotten: a rebalance that begins to wait while the records of one poll are taken in
// is told once, and would wait out the linger of the batch otherwise.
func TestAHurryBetweenTwoPollsIsNotForgotten(t *testing.T) {
	var h hurry
	h.now()
	cancelled := false
	if done := h.interrupt(func() { cancelled = true }); !cancelled || !done() {
		t.Error("whoever waits for records is not interrupted")
	}
	h.over()
	cancelled = false
	if done := h.interrupt(func() { cancelled = true }); cancelled || done() {
		t.Error("the hurry of the batch before counts for the next")
	}
}
