package quota_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

func rate(text string) quota.Rate {
	r, err := quota.ParseRate(text)
	if err != nil {
		panic(err)
	}
	return r
}

// takeAll takes until told to wait, and returns how many went and the wait.
func takeAll(q *quota.Quota, at time.Time) (n int, wait time.Duration) {
	for ; n < 100_000; n++ {
		if wait = q.Take(at); wait > 0 {
			return n, wait
		}
	}
	return n, 0
}

// during takes as soon as it may, from one moment up to another, and returns how many went.
func during(q *quota.Quota, from, to time.Time) (n int) {
	for at := from; at.Before(to); {
		if wait := q.Take(at); wait > 0 {
			at = at.Add(wait)
			continue
		}
		n++
	}
	return n
}

func TestTakeLetsTheRateThroughAndNoMore(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	n, wait := takeAll(q, now)
	if n != 3000 {
		t.Errorf("%d went at once, want the whole window of 3000", n)
	}
	if wait < 3*time.Second || wait > 3100*time.Millisecond {
		t.Errorf("the next waits %v, want a little over 3 s", wait)
	}
	if left := q.Left(now); left != 0 {
		t.Errorf("Left() = %d, want 0", left)
	}
	if again := q.Take(now.Add(wait - 1)); again != 1 {
		t.Errorf("just before the wait is over Take() = %v, want the last nanosecond", again)
	}
	if n, _ := takeAll(q, now.Add(wait)); n != 3000 {
		t.Errorf("%d went after the wait, want 3000", n)
	}
}

func TestTheSustainedRateIsNearlyTheWholeRate(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	n := during(q, now, now.Add(time.Minute))
	if want := 60_000; n > want+3000 || n < want*97/100 {
		t.Errorf("%d went in a minute, want nearly %d", n, want)
	}
}

func TestSharesOfReplicasAddUpToTheRate(t *testing.T) {
	tests := []struct {
		rate   string
		shares []float64
		low    int // that go in an hour, taken as fast as may be
		high   int
	}{
		{rate: "30/3s", shares: []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}, low: 34_000, high: 36_030},
		{rate: "1200/1m", shares: []float64{1.0 / 12, 5.0 / 12, 6.0 / 12}, low: 70_000, high: 73_200},
		{rate: "5/10s", shares: []float64{1.0 / 12, 1.0 / 12, 10.0 / 12}, low: 1600, high: 1805},
		{rate: "1/1m", shares: []float64{0.5, 0.5}, low: 58, high: 62},
		{rate: "100/1s", shares: []float64{0, math.NaN(), -1}, low: 0, high: 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.rate, tt.shares), func(t *testing.T) {
			n := 0
			for _, share := range tt.shares {
				q := quota.New(rate(tt.rate))
				q.SetShare(share)
				n += during(q, now, now.Add(time.Hour))
			}
			if n < tt.low || n > tt.high {
				t.Errorf("%d went in an hour, want %d to %d", n, tt.low, tt.high)
			}
		})
	}
}

func TestAShareThatShrinksCountsWhatWentBefore(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	for range 600 {
		q.Take(now)
	}
	q.SetShare(0.25) // 750
	if n, _ := takeAll(q, now); n != 150 {
		t.Errorf("%d went, want the 150 that the smaller share leaves", n)
	}
	q.SetShare(7)
	if n, _ := takeAll(q, now); n != 2250 {
		t.Errorf("%d went, want 2250: no share is more than all", n)
	}
}

func TestAZeroRateLimitsNothingButObeysHeaders(t *testing.T) {
	q := quota.New(quota.Rate{})
	if n, _ := takeAll(q, now); n != 100_000 {
		t.Errorf("only %d went", n)
	}
	if left := q.Left(now); left != math.MaxInt {
		t.Errorf("Left() = %d, want all", left)
	}
	q.Learn(now, quota.Hint{Throttled: true, RetryAt: now.Add(time.Minute)})
	if wait := q.Take(now); wait != time.Minute {
		t.Errorf("Take() = %v after a 429, want a minute", wait)
	}
}

func TestAClockSetBackDoesNotStopTheFlow(t *testing.T) {
	q := quota.New(rate("10/1s"))
	takeAll(q, now)
	if n, _ := takeAll(q, now.Add(-24*time.Hour)); n != 10 {
		t.Errorf("%d went a day earlier, want 10", n)
	}
	before := time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)
	if n, _ := takeAll(q, before); n != 10 {
		t.Errorf("%d went before the epoch, want 10", n)
	}
}

func TestTakeIsSafeForManyGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota.New(rate("100/1s"))
		var wg sync.WaitGroup
		start := time.Now()
		for range 20 {
			wg.Go(func() {
				for range 50 {
					for {
						wait := q.Take(time.Now())
						if wait == 0 {
							break
						}
						<-time.After(wait)
					}
					q.Learn(time.Now(), quota.Hint{Limit: 1000, Remaining: 900, Counted: true, ResetAt: time.Now()})
				}
			})
		}
		wg.Wait()
		// A thousand at a hundred a second: the first hundred at once, nine windows for the rest.
		if took := time.Since(start); took < 9*time.Second || took > 9300*time.Millisecond {
			t.Errorf("a thousand took %v, want a little over 9 s", took)
		}
	})
}

// FuzzQuotaWindow takes at arbitrary moments and compares with every request remembered: in no
// stretch as long as the window does more than the rate go, and a wait that was announced is enough.
func FuzzQuotaWindow(f *testing.F) {
	f.Add(uint64(1), uint16(5), uint16(1000))
	f.Add(uint64(2), uint16(1), uint16(1))
	f.Add(uint64(3), uint16(300), uint16(59))
	f.Fuzz(func(t *testing.T, seed uint64, count, perMillis uint16) {
		r := quota.Rate{Count: int(count%500) + 1, Per: time.Duration(perMillis%5000+1) * time.Millisecond}
		q := quota.New(r)
		random := rand.New(rand.NewPCG(seed, 0))
		at := time.Unix(0, random.Int64N(1<<60))
		var went []time.Time
		for range 3000 {
			if random.IntN(4) > 0 {
				at = at.Add(time.Duration(random.Int64N(int64(r.Per)/int64(r.Count) + 1)))
			}
			if wait := q.Take(at); wait > 0 {
				if random.IntN(3) > 0 {
					continue
				}
				if at = at.Add(wait); q.Take(at) > 0 {
					t.Fatalf("%v: the announced wait of %v was not enough", r, wait)
				}
			}
			went = append(went, at)
			if n := len(went) - 1 - r.Count; n >= 0 && at.Sub(went[n]) < r.Per {
				t.Fatalf("%v: %d went within %v", r, r.Count+1, at.Sub(went[n]))
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	q := quota.New(rate("1000000000/1s"))
	at := now
	for b.Loop() {
		at = at.Add(time.Microsecond)
		q.Take(at)
	}
}

func BenchmarkTakeWhenFull(b *testing.B) {
	q := quota.New(rate("3000/3s"))
	takeAll(q, now)
	for b.Loop() {
		q.Take(now)
	}
}
