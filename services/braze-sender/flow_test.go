package brazesender

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestNothingMoreIsSentWhileNoReceiptBecomesDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &settler{}, &flow{}
		s.quiet.L = &s.mu
		step := func(what string, after time.Duration, want bool) {
			t.Helper()
			<-time.After(after)
			if got := f.going(s, time.Now()); got != want {
				t.Errorf("%s: going = %v", what, got)
			}
		}
		step("nothing is outstanding", 0, true)
		step("nothing has been for an hour", time.Hour, true)
		s.begin(75)
		step("records have just begun, after a long silence", 0, true)
		step("they have not ended for two seconds", 2*time.Second, true)
		step("they have not ended for four", 2*time.Second, false)
		s.finish()
		step("one of them has", 0, true)
		for range 100 { // never none, but always some
			s.begin(1)
			s.finish()
			step("a trickle", 100*time.Millisecond, true)
		}
		step("the trickle has dried up", 4*time.Second, false)
		for s.outstanding.Load() > 0 {
			s.finish()
		}
		step("all have ended", time.Minute, true)
	})
}
