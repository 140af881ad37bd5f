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
		{name: "nothing left closes until the window ends", hint: said(3000, 0, now.Add(2*time.Second)), want: 2 * time.Second},
		{name: "nothing left of a window that is over changes nothing", hint: said(3000, 0, now)},
		{name: "nothing left of a window without an end closes for the rate's window", hint: quota.Hint{Counted: true}, want: 3 * time.Second},
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
			name: "an end of the window beyond the longest wait is cut",
			hint: said(3000, 0, now.Add(99*time.Hour)),
			want: quota.MaxWait,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := quota.New(rate("3000/3s"))
			q.Learn(now, tt.hint)
			if left := q.Left(now); (left > 0) != (tt.want == 0) {
				t.Errorf("Left() = %d", left)
			}
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

func TestWhatRemainsIsABudgetForItsWindow(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.Learn(now, said(3000, 100, now.Add(2*time.Second)))
	if left := q.Left(now); left != 100 {
		t.Errorf("Left() = %d, want 100", left)
	}
	if n, wait := takeAll(q, now); n != 100 || wait != 2*time.Second {
		t.Errorf("%d went, then %v to wait; want 100, then the reset in 2 s", n, wait)
	}
	if n, _ := takeAll(q, now.Add(2*time.Second)); n != 2900 {
		t.Errorf("%d went after the reset, want what the rate leaves, 2900", n)
	}
}

func TestAnOvertakenAnswerDoesNotRefillTheBudget(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	reset := now.Add(2 * time.Second)
	q.Learn(now, said(3000, 100, reset))
	for range 60 {
		q.Take(now)
	}
	q.Learn(now, said(3000, 99, reset.Add(time.Second))) // counted before the sixty arrived, its second rounded the other way
	q.Learn(now, said(3000, 3000, now.Add(-3*time.Second)))
	if n, wait := takeAll(q, now); n != 40 || wait != 2*time.Second {
		t.Errorf("%d more went, then %v to wait; want 40, then 2 s", n, wait)
	}
}

func TestTheNextWindowBringsItsOwnBudget(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.Learn(now, said(3000, 0, now.Add(time.Second)))
	q.Learn(now, said(3000, 500, now.Add(4*time.Second)))
	if n, _ := takeAll(q, now); n != 500 {
		t.Errorf("%d went, want 500", n)
	}
}

func TestOtherToolsOnTheWorkspaceAreYieldedTo(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	reset := now.Add(3 * time.Second)
	q.Learn(now, said(3000, 2000, reset))
	for range 10 {
		q.Take(now)
	}
	q.Learn(now.Add(time.Second), said(3000, 30, reset)) // somebody else was busy
	if n, _ := takeAll(q, now.Add(time.Second)); n != 30 {
		t.Errorf("%d went, want 30", n)
	}
}

func TestReplicasDivideWhatRemains(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.SetShare(0.25)
	q.Learn(now, said(3000, 100, now.Add(2*time.Second)))
	if n, _ := takeAll(q, now); n != 25 {
		t.Errorf("%d went, want a quarter of 100", n)
	}
}

func TestANewShareForgetsTheBudgetUnlessNothingRemains(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.SetShare(0.5)
	q.Learn(now, said(3000, 100, now.Add(2*time.Second)))
	takeAll(q, now)
	q.SetShare(1)
	if wait := q.Take(now); wait != 0 {
		t.Errorf("Take() = %v after the share grew, want 0", wait)
	}
	q.Learn(now, said(3000, 0, now.Add(2*time.Second)))
	q.SetShare(0.75)
	if wait := q.Take(now); wait != 2*time.Second {
		t.Errorf("Take() = %v although nothing remains for anybody, want 2 s", wait)
	}
}

func TestABusyReplicaIsGrantedMoreOfALongWindow(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.SetShare(0.01)
	q.Learn(now, said(100_000, 1000, now.Add(20*time.Second)))
	if n, wait := takeAll(q, now); n != 10 || wait != 10*time.Second {
		t.Errorf("%d went, then %v to wait; want 10, then the next grant in 10 s", n, wait)
	}
	if n, wait := takeAll(q, now.Add(10*time.Second)); n != 9 || wait != 10*time.Second {
		t.Errorf("%d went of the second grant, then %v to wait; want 9, then the end of the window", n, wait)
	}
}

func TestTheEndOfAnHourIsSpreadAndNotAStandstill(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	end := now.Add(30 * time.Minute)
	q.Learn(now, said(500_000, 1801, end)) // well under a fifth
	if wait := q.Take(now); wait != 0 {
		t.Fatalf("Take() = %v, want 0", wait)
	}
	if wait := q.Take(now); wait != time.Second {
		t.Errorf("Take() = %v, want the half hour over 1800 requests, a second", wait)
	}
	if n := during(q, now, end.Add(-31*time.Second)); n < 1700 || n > 1800 {
		t.Errorf("%d went until just before the end, want one a second", n)
	}
	plenty := quota.New(rate("3000/3s"))
	plenty.Learn(now, said(500_000, 400_000, end))
	if n, _ := takeAll(plenty, now); n != 3000 {
		t.Errorf("%d went of a window with plenty left, want the rate's 3000", n)
	}
}
