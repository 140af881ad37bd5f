package quota_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

// said is the hint of an answer that told how much is left of a window.
func said(limit, remaining int, resetAt time.Time) quota.Hint {
	return quota.Hint{Limit: limit, Remaining: remaining, Counted: true, ResetAt: resetAt}
}

func TestLearnClosesTheDoor(t *testing.T) {
	tests := []struct {
		name string
		hint quota.Hint
		want time.Duration // the wait of the next
	}{
		{name: "an empty hint changes nothing"},
		{name: "plenty left changes nothing", hint: said(3000, 2999, now.Add(2*time.Second))},
		{name: "nothing left closes for a moment while we are among ourselves", hint: said(3000, 0, now.Add(2*time.Second)), want: 50 * time.Millisecond},
		{name: "nothing left of a window that ends sooner closes until then", hint: said(3000, 0, now.Add(40*time.Millisecond)), want: 40 * time.Millisecond},
		{name: "nothing left of a window that is over changes nothing", hint: said(3000, 0, now)},
		{name: "nothing left of a window without an end closes for a moment", hint: quota.Hint{Counted: true}, want: 50 * time.Millisecond},
		{name: "something left of a window without an end changes nothing", hint: quota.Hint{Remaining: 1, Counted: true}},
		{
			name: "a 429 closes until the retry time",
			hint: quota.Hint{Throttled: true, RetryAt: now.Add(17 * time.Second)},
			want: 17 * time.Second,
		},
		{
			name: "a 429 without a retry time closes until the reset",
			hint: quota.Hint{Throttled: true, ResetAt: now.Add(2 * time.Second)},
			want: 2 * time.Second,
		},
		{
			name: "a 429 that says nothing closes for the rate's window",
			hint: quota.Hint{Throttled: true},
			want: 3 * time.Second,
		},
		{
			name: "a retry time closes without a 429 too",
			hint: quota.Hint{RetryAt: now.Add(time.Minute)},
			want: time.Minute,
		},
		{
			name: "nothing closes for longer than the longest wait",
			hint: quota.Hint{Throttled: true, RetryAt: now.Add(99 * time.Hour)},
			want: quota.MaxWait,
		},
		{
			name: "nothing left of an hour closes until it ends",
			hint: said(250_000, 0, now.Add(20*time.Minute)),
			want: 20 * time.Minute,
		},
		{
			name: "an end of the window beyond the longest wait is cut",
			hint: said(3000, 0, now.Add(99*time.Hour)),
			want: quota.MaxWait,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := quota.New(rate("3000/3s"))
			q.Learn(now, tt.hint)
			if got := q.Take(now); got != tt.want {
				t.Errorf("Take() = %v, want %v", got, tt.want)
			}
			if tt.want > 0 {
				if got := q.Take(now.Add(tt.want)); got != 0 {
					t.Errorf("Take() = %v after the wait, want 0", got)
				}
			}
		})
	}
}

// hourly is a quota whose destination also has an hourly window, of which that much remains.
func hourly(share float64, limit, remaining int, resetAt time.Time) *quota.Quota {
	q := quota.New(rate("30000/3s"))
	q.SetShare(now, share)
	q.Learn(now, said(limit, remaining, resetAt))
	return q
}

func TestWhatRemainsOfALongWindowIsABudget(t *testing.T) {
	reset := now.Add(25 * time.Minute)
	q := hourly(1, 200, 100, reset)
	if n, wait := takeAll(q, now); n != 61 || wait != 25*time.Minute/40 {
		t.Errorf("%d went, then %v to wait; want all but the last fifth of 200, then an even flow", n, wait)
	}
	if n := during(q, now, reset); n != 39 {
		t.Errorf("%d went until the reset, want the 39 that were left", n)
	}
	if n, _ := takeAll(q, reset); n < 15_000 {
		t.Errorf("%d went after the reset, want what the rate leaves", n)
	}
}

func TestAnOvertakenAnswerDoesNotRefillTheBudget(t *testing.T) {
	reset := now.Add(25 * time.Minute)
	q := hourly(1, 300, 200, reset)
	for range 60 {
		q.Take(now)
	}
	q.Learn(now, said(300, 199, reset.Add(time.Second))) // counted before the sixty arrived, its second rounded the other way
	q.Learn(now, said(300, 300, now.Add(-3*time.Second)))
	if n := during(q, now, reset); n != 140 {
		t.Errorf("%d more went, want 140", n)
	}
}

func TestTheNextWindowBringsItsOwnBudget(t *testing.T) {
	q := hourly(1, 300, 0, now.Add(2*time.Minute))
	q.Learn(now, said(300, 200, now.Add(62*time.Minute)))
	if n := during(q, now, now.Add(time.Hour)); n < 195 || n > 200 {
		t.Errorf("%d went, want 200", n)
	}
}

func TestReplicasDivideWhatRemainsOfALongWindow(t *testing.T) {
	q := hourly(0.25, 100, 100, now.Add(25*time.Minute))
	if n, wait := takeAll(q, now); n != 25 || wait != 10*time.Second {
		t.Errorf("%d went, then %v to wait; want a quarter of 100, then the next grant", n, wait)
	}
}

func TestANewShareForgetsTheBudgetUnlessNothingRemains(t *testing.T) {
	reset := now.Add(25 * time.Minute)
	q := hourly(0.5, 100, 100, reset)
	takeAll(q, now)
	q.SetShare(now, 1)
	if wait := q.Take(now); wait != 0 {
		t.Errorf("Take() = %v after the share grew, want 0", wait)
	}
	q.Learn(now, said(100, 0, reset))
	q.SetShare(now, 0.75)
	if wait := q.Take(now); wait != 25*time.Minute {
		t.Errorf("Take() = %v although nothing remains for anybody, want the reset", wait)
	}
}

func TestABusyReplicaIsGrantedMoreOfALongWindow(t *testing.T) {
	q := hourly(0.01, 2000, 1000, now.Add(70*time.Second))
	if n, wait := takeAll(q, now); n != 10 || wait != 10*time.Second {
		t.Errorf("%d went, then %v to wait; want 10, then the next grant in 10 s", n, wait)
	}
	if n, wait := takeAll(q, now.Add(10*time.Second)); n != 9 || wait != 10*time.Second {
		t.Errorf("%d went of the second grant, then %v to wait; want 9, then the next", n, wait)
	}
}

func TestTheEndOfAnHourIsSpreadAndNotAStandstill(t *testing.T) {
	end := now.Add(30 * time.Minute)
	q := hourly(1, 500_000, 1801, end) // well under a fifth
	if wait := q.Take(now); wait != 0 {
		t.Fatalf("Take() = %v, want 0", wait)
	}
	if wait := q.Take(now); wait.Round(10*time.Millisecond) != time.Second {
		t.Errorf("Take() = %v, want the half hour over 1800 requests, a second", wait)
	}
	if n := during(q, now, end.Add(-31*time.Second)); n < 1700 || n > 1800 {
		t.Errorf("%d went until just before the end, want one a second", n)
	}
	plenty := hourly(1, 500_000, 400_000, end)
	if n := during(plenty, now, now.Add(3*time.Second)); n != 30_000 {
		t.Errorf("%d went of a window with plenty left, want the rate's 30,000", n)
	}
}

// amongOthers is a quota that has heard of other tools on the workspace, by 429s in two windows.
func amongOthers() *quota.Quota {
	q := quota.New(rate("3000/3s"))
	for _, ago := range []time.Duration{8 * time.Second, 4 * time.Second} {
		q.Learn(now.Add(-ago), quota.Hint{Throttled: true, RetryAt: now.Add(-ago + time.Second)})
	}
	return q
}

func TestNothingLeftClosesUntilTheEndOnceThereAreOthers(t *testing.T) {
	tests := []struct {
		name      string
		later     time.Duration // after the 429
		remaining int
		want      time.Duration
	}{
		{name: "nothing left", remaining: 0, want: 2 * time.Second},
		{name: "next to nothing left", remaining: 20, want: 2 * time.Second},
		{name: "a little left", remaining: 30, want: 0},
		{name: "nothing left, and the 429 was long ago", later: 2 * time.Minute, remaining: 0, want: 50 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q, at := amongOthers(), now.Add(tt.later)
			q.Learn(at, said(3000, tt.remaining, at.Add(2*time.Second)))
			if wait := q.Take(at); wait != tt.want {
				t.Errorf("Take() = %v, want %v", wait, tt.want)
			}
		})
	}
}

func TestTheEarliestEndThatWasToldOfAShortWindowIsBelieved(t *testing.T) {
	q := amongOthers()
	// Whole seconds left, rounded up, in the last second of a window.
	q.Learn(now, said(3000, 100, now.Add(time.Second)))
	q.Learn(now.Add(900*time.Millisecond), said(3000, 0, now.Add(1900*time.Millisecond)))
	if wait := q.Take(now.Add(900 * time.Millisecond)); wait != 100*time.Millisecond {
		t.Errorf("Take() = %v, want 100 ms", wait)
	}
	q.Learn(now.Add(time.Second), said(3000, 0, now.Add(4*time.Second)))
	if wait := q.Take(now.Add(time.Second)); wait != 3*time.Second {
		t.Errorf("Take() = %v in the next window, want its own end", wait)
	}
}

func TestA429OfAWindowThatIsOverHoldsNobodyBack(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	hint := said(3000, 0, now)
	hint.Throttled = true
	q.Learn(now, hint)
	if wait := q.Take(now); wait != 0 {
		t.Errorf("Take() = %v, want 0: it was told until when, and that has passed", wait)
	}
}
