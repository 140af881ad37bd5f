package quota_test

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

// hour is the turn of an hour.
var hour = time.Date(2026, 3, 4, 11, 0, 0, 0, time.UTC)

func TestAtTheHoursTurnTheWholeShareIsThereAgain(t *testing.T) {
	q := quota.NewClock(rate("250000/1h"))
	q.SetShare(hour.Add(-30*time.Minute), 0.5)
	before := during(q, hour.Add(-30*time.Minute), hour)
	if before < 125_000*95/100 || before > 125_000 {
		t.Errorf("%d went from half past ten on, want nearly the 125,000 of the whole hour", before)
	}
	if wait := q.Take(hour); wait <= 0 || wait > 3*time.Second {
		t.Errorf("at eleven the next waits %v, want a moment for clocks that differ", wait)
	}
	if n := during(q, hour, hour.Add(10*time.Second)); n < 90_000 {
		t.Errorf("%d went in the first ten seconds of the hour, want everything but its last fifth", n)
	}
	if n := during(q, hour.Add(10*time.Second), hour.Add(time.Hour)); n < 18_000 || n > 25_000 {
		t.Errorf("%d went in the rest of the hour, want a slow flow", n)
	}
	sliding := quota.New(rate("250000/1h"))
	during(sliding, hour.Add(-30*time.Minute), hour)
	if n := during(sliding, hour, hour.Add(20*time.Minute)); n > 0 {
		t.Errorf("of a sliding hour %d went: this test shows nothing", n)
	}
}

func TestWhatGoesAroundTheTurnCountsInBothHours(t *testing.T) {
	q := quota.NewClock(rate("1000/1h"))
	for _, at := range []time.Duration{-3 * time.Second, -2 * time.Second, -1, 0, time.Second} {
		for range 10 {
			if wait := q.Take(hour.Add(at)); wait != 0 {
				t.Fatalf("%v from the turn: wait %v", at, wait)
			}
		}
	}
	if n := during(q, hour.Add(2*time.Second), hour.Add(time.Hour)); n != 960 {
		t.Errorf("%d went in the hour, want 1000 less the 40 that may have been counted in it", n)
	}
}

func TestAnHourIsUsedNearlyWholly(t *testing.T) {
	shares := []float64{4.0 / 12, 5.0 / 12, 3.0 / 12}
	n := 0
	for _, share := range shares {
		q := quota.NewClock(rate("36000/1h"))
		q.SetShare(hour.Add(-time.Minute), share)
		n += during(q, hour.Add(2*time.Second), hour.Add(time.Hour))
	}
	if n > 36_000 || n < 36_000*95/100 {
		t.Errorf("%d went in the hour, want nearly 36,000", n)
	}
}

func TestAClockThatRunsAheadIsHeldBackByWhatIsSaid(t *testing.T) {
	q := quota.NewClock(rate("1000/1h"))
	turn := hour.Add(time.Minute) // Braze's eleven, by our clock
	q.Learn(hour.Add(-time.Second), said(1000, 0, turn))
	if wait := q.Take(hour.Add(5 * time.Second)); wait != 55*time.Second {
		t.Errorf("Take() = %v in our new hour, want to wait for theirs", wait)
	}
	if wait := q.Take(turn); wait != 0 {
		t.Errorf("Take() = %v in their new hour", wait)
	}
}

func TestAClockSetBackAnHourBeginsAnew(t *testing.T) {
	q := quota.NewClock(rate("100/1h"))
	for range 70 {
		q.Take(hour.Add(2 * time.Second))
	}
	if n := during(q, hour.Add(-time.Hour+2*time.Second), hour); n != 100 {
		t.Errorf("%d went an hour earlier, want 100", n)
	}
}

func TestTheZeroRateHasNoClock(t *testing.T) {
	if n, _ := takeAll(quota.NewClock(quota.Rate{}), hour); n != 100_000 {
		t.Errorf("only %d went", n)
	}
}
