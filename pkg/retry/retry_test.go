package retry_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/retry"
)

func TestNextStaysWithinItsWidthAndUsesAllOfIt(t *testing.T) {
	seeded := func() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
	tests := []struct {
		name     string
		schedule retry.Schedule
		attempt  int
		hint     time.Duration
		low      time.Duration // the smallest wait that may come, and nearly does
		high     time.Duration // the largest, likewise
	}{
		{
			name:     "the first wait is drawn from the base",
			schedule: retry.Schedule{Base: time.Second, Cap: time.Minute},
			high:     time.Second,
		},
		{
			name:     "each attempt doubles the width",
			schedule: retry.Schedule{Base: time.Second, Cap: time.Minute},
			attempt:  3,
			high:     8 * time.Second,
		},
		{
			name:     "the cap holds, also where doubling steps over it",
			schedule: retry.Schedule{Base: time.Second, Cap: 10 * time.Second},
			attempt:  4,
			high:     10 * time.Second,
		},
		{
			name:     "a cap below the base wins",
			schedule: retry.Schedule{Base: time.Minute, Cap: time.Second},
			high:     time.Second,
		},
		{
			name:     "the attempt may be any number without overflow",
			schedule: retry.Schedule{Base: time.Second, Cap: math.MaxInt64 / 4},
			attempt:  math.MaxInt,
			high:     math.MaxInt64 / 4,
		},
		{
			name:     "the largest durations do not overflow",
			schedule: retry.Schedule{Base: math.MaxInt64, Cap: math.MaxInt64, MaxHint: math.MaxInt64},
			hint:     math.MaxInt64,
			low:      1 << 61,
			high:     1 << 62,
		},
		{
			name:     "a negative attempt counts as the first",
			schedule: retry.Schedule{Base: time.Second, Cap: time.Minute},
			attempt:  -5,
			high:     time.Second,
		},
		{
			name:     "the server's hint is a floor with the jitter on top",
			schedule: retry.Schedule{Base: time.Second, Cap: time.Minute},
			attempt:  1,
			hint:     7 * time.Second,
			low:      7 * time.Second,
			high:     9 * time.Second,
		},
		{
			name:     "a hint beyond the maximum is cut",
			schedule: retry.Schedule{Base: time.Second, Cap: time.Minute, MaxHint: 20 * time.Second},
			hint:     1000 * time.Hour,
			low:      20 * time.Second,
			high:     21 * time.Second,
		},
		{
			name:     "a negative hint is none",
			schedule: retry.Schedule{Base: time.Second, Cap: time.Minute},
			hint:     -time.Hour,
			high:     time.Second,
		},
		{
			name: "the zero schedule waits up to the default base",
			high: retry.DefaultBase,
		},
		{
			name:    "the zero schedule is capped",
			attempt: 1000,
			hint:    1000 * time.Hour,
			low:     retry.DefaultMaxHint,
			high:    retry.DefaultMaxHint + retry.DefaultCap,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.schedule.Rand = seeded()
			low, high := time.Duration(math.MaxInt64), time.Duration(0)
			for range 2000 {
				wait := tt.schedule.Next(tt.attempt, tt.hint)
				low, high = min(low, wait), max(high, wait)
			}
			if low < tt.low || high > tt.high {
				t.Errorf("waits between %v and %v, want them within %v and %v", low, high, tt.low, tt.high)
			}
			if near := (tt.high - tt.low) / 50; low > tt.low+near || high < tt.high-near {
				t.Errorf("waits between %v and %v leave part of %v to %v unused", low, high, tt.low, tt.high)
			}
		})
	}
}

func TestASeedFixesTheSeries(t *testing.T) {
	series := func() (waits []time.Duration) {
		s := retry.Schedule{Base: time.Second, Cap: time.Minute, Rand: rand.New(rand.NewPCG(7, 7))}
		for attempt := range 10 {
			waits = append(waits, s.Next(attempt, 0))
		}
		return waits
	}
	if diff := cmp.Diff(series(), series()); diff != "" {
		t.Errorf("two series of one seed differ (-first +second):\n%s", diff)
	}
}

func TestWithoutASeedTheWaitsDiffer(t *testing.T) {
	s := retry.Schedule{Base: time.Hour, Cap: time.Hour}
	seen := map[time.Duration]bool{}
	for range 20 {
		wait := s.Next(0, 0)
		if wait < 0 || wait > time.Hour {
			t.Fatalf("wait %v is outside the base", wait)
		}
		seen[wait] = true
	}
	if len(seen) < 2 {
		t.Error("twenty waits were all the same")
	}
}

func TestSpent(t *testing.T) {
	tests := []struct {
		name       string
		maxElapsed time.Duration
		elapsed    time.Duration
		want       bool
	}{
		{name: "without a limit it never is", elapsed: math.MaxInt64, want: false},
		{name: "before the limit it is not", maxElapsed: time.Minute, elapsed: time.Minute - 1, want: false},
		{name: "at the limit it is", maxElapsed: time.Minute, elapsed: time.Minute, want: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := (retry.Schedule{MaxElapsed: tt.maxElapsed}).Spent(tt.elapsed); got != tt.want {
				t.Errorf("Spent(%v) = %v, want %v", tt.elapsed, got, tt.want)
			}
		})
	}
}

func ExampleSchedule_Next() {
	s := retry.Schedule{Base: time.Second, Cap: 30 * time.Second, Rand: rand.New(rand.NewPCG(1, 2))}
	for attempt := range 4 {
		fmt.Println(s.Next(attempt, 0) <= time.Second<<attempt)
	}
	fmt.Println(s.Next(0, 5*time.Second) >= 5*time.Second)
	// Output:
	// true
	// true
	// true
	// true
	// true
}
