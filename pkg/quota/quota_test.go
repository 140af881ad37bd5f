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

func TestHalfOfAWindowGoesAtOnceAndTheRestEvenly(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	n, wait := takeAll(q, now)
	if n < 1500 || n > 1700 {
		t.Errorf("%d went at once, want half of the window of 3000, and a little that had time to wait", n)
	}
	if wait <= 0 || wait > 2*time.Millisecond {
		t.Errorf("the next waits %v, want about a millisecond", wait)
	}
	if again := q.Take(now.Add(wait - 1)); again != 1 {
		t.Errorf("just before the wait is over Take() = %v, want the last nanosecond", again)
	}
	n += during(q, now, now.Add(3*time.Second))
	if n != 3000 {
		t.Errorf("%d went in the first window, want all of 3000", n)
	}
	during(q, now.Add(3*time.Second), now.Add(6*time.Second))
	for i := range 30 { // any 100 ms are like all others then
		from := now.Add(6*time.Second + time.Duration(i)*100*time.Millisecond)
		if n := during(q, from, from.Add(100*time.Millisecond)); n < 90 || n > 105 {
			t.Errorf("%d went within 100 ms, want about 98", n)
		}
	}
}

func TestTheSustainedRateIsNearlyTheWholeRate(t *testing.T) {
	for _, text := range []string{"3000/3s", "60/1s", "5000/1m", "20/2s"} {
		r := rate(text)
		q := quota.New(r)
		n := during(q, now, now.Add(100*r.Per))
		if want := 100 * r.Count; n > want || n < want*97/100 {
			t.Errorf("%s: %d went in a hundred windows, want nearly %d", text, n, want)
		}
	}
}

func TestTimersThatAreLateDoNotSlowTheFlow(t *testing.T) {
	q := quota.New(rate("300/3s"))
	random := rand.New(rand.NewPCG(1, 2))
	n, end := 0, now.Add(5*time.Minute)
	for at := now; at.Before(end); {
		if wait := q.Take(at); wait > 0 {
			at = at.Add(wait + time.Duration(random.Int64N(int64(20*time.Millisecond))))
			continue
		}
		n++
	}
	if n < 29_000 {
		t.Errorf("%d went in five minutes, want nearly 30,000", n)
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
				q.SetShare(now, share)
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
	q.SetShare(now, 0.25) // 750
	if n := during(q, now, now.Add(3*time.Second)); n != 150 {
		t.Errorf("%d went, want the 150 that the smaller share leaves", n)
	}
}

func TestAShareThatGrowsDoesSoAsItsLastOwnersRequestsGrowOld(t *testing.T) {
	tests := []struct {
		rate, name     string
		grows          time.Duration
		from, to       float64
		half, low, all int // that may have gone by half of the time, and must and may by all of it
	}{
		{rate: "300/3s", name: "from nothing", grows: 27 * time.Second / 8, from: 0, to: 1, half: 150, low: 290, all: 335},
		{rate: "300/3s", name: "from a third to a half", grows: 27 * time.Second / 8, from: 1.0 / 3, to: 0.5, half: 125, low: 145, all: 170},
		{rate: "3000/1m", name: "over ten seconds at most", grows: 10 * time.Second, from: 0, to: 1, half: 1500, low: 1600, all: 3000},
	}
	for _, tt := range tests {
		t.Run(tt.rate+" "+tt.name, func(t *testing.T) {
			q := quota.New(rate(tt.rate))
			q.SetShare(now, tt.from)
			q.SetShare(now, tt.to)
			half := during(q, now, now.Add(tt.grows/2))
			if half > tt.half {
				t.Errorf("%d went in the first half, want at most %d", half, tt.half)
			}
			if n := half + during(q, now.Add(tt.grows/2), now.Add(tt.grows)); n < tt.low || n > tt.all {
				t.Errorf("%d went while it grew, want %d to %d", n, tt.low, tt.all)
			}
		})
	}
}

// TestAReplicaThatTakesOverNeverExceedsTheRate follows two replicas from one that leaves to the other
// that has everything, request by request.
func TestAReplicaThatTakesOverNeverExceedsTheRate(t *testing.T) {
	r := rate("300/3s")
	leaves, stays := quota.New(r), quota.New(r)
	leaves.SetShare(now, 1.0/3)
	stays.SetShare(now, 2.0/3)
	var went []time.Time
	for at := now; at.Before(now.Add(20 * time.Second)); at = at.Add(time.Millisecond) {
		gone := at.Sub(now) > 8*time.Second
		if gone {
			stays.SetShare(now.Add(8*time.Second), 1)
		}
		for !gone && leaves.Take(at) == 0 {
			went = append(went, at)
		}
		for stays.Take(at) == 0 {
			went = append(went, at)
		}
	}
	for i := r.Count; i < len(went); i++ {
		if apart := went[i].Sub(went[i-r.Count]); apart < r.Per {
			t.Fatalf("%d went within %v, until %v", r.Count+1, apart, went[i].Sub(now))
		}
	}
	after := 0
	for _, at := range went {
		if at.Sub(now) > 11500*time.Millisecond {
			after++
		}
	}
	if after < 850*95/100 {
		t.Errorf("%d went in the 8.5 s after it had taken over, want nearly 850", after)
	}
}

func TestAZeroRateLimitsNothingButObeysHeaders(t *testing.T) {
	q := quota.New(quota.Rate{})
	if n, _ := takeAll(q, now); n != 100_000 {
		t.Errorf("only %d went", n)
	}
	q.Learn(now, quota.Hint{Throttled: true, RetryAt: now.Add(time.Minute)})
	if wait := q.Take(now); wait != time.Minute {
		t.Errorf("Take() = %v after a 429, want a minute", wait)
	}
}

func TestAClockSetBackDoesNotStopTheFlow(t *testing.T) {
	q := quota.New(rate("10/1s"))
	takeAll(q, now)
	for _, at := range []time.Time{now.Add(-24 * time.Hour), time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if n := during(q, at, at.Add(time.Second)); n != 10 {
			t.Errorf("%d went in the second from %v on, want 10", n, at)
		}
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
		// A thousand at a hundred a second: half of the first window at once, half of it later, and nine.
		if took := time.Since(start); took < 9500*time.Millisecond || took > 10500*time.Millisecond {
			t.Errorf("a thousand took %v, want about 10 s", took)
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

func BenchmarkLearn(b *testing.B) {
	q := quota.New(rate("3000/3s"))
	hint := quota.Hint{Limit: 3000, Remaining: 2000, Counted: true, ResetAt: now.Add(2 * time.Second)}
	for b.Loop() {
		q.Learn(now, hint)
	}
}

func BenchmarkTakeWhenFull(b *testing.B) {
	q := quota.New(rate("3000/3s"))
	takeAll(q, now)
	for b.Loop() {
		q.Take(now)
	}
}
