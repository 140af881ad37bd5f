package watch

import (
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLow(t *testing.T) {
	for _, test := range []struct {
		name      string
		percent   int
		hours     hours
		low, well bool
	}{
		{name: "as always", hours: hours{last: 100, yesterday: 100, median: 100}, well: true},
		{name: "half of a thousand is not yet less than half", hours: hours{last: 500, yesterday: 1000, median: 1000}},
		{name: "four tenths of a hundred may be chance", hours: hours{last: 40, yesterday: 100, median: 100}},
		{name: "four tenths of ten thousand cannot", hours: hours{last: 4000, yesterday: 10_000, median: 10_000}, low: true},
		{name: "none instead of thirty may be chance, if barely", hours: hours{last: 0, yesterday: 30, median: 30}},
		{name: "none instead of forty cannot", hours: hours{last: 0, yesterday: 40, median: 40}, low: true},
		{name: "two instead of twenty may be chance", hours: hours{last: 2, yesterday: 20, median: 20}},
		{name: "the night is low against the day's median only", hours: hours{last: 50, yesterday: 55, median: 1000}, well: true},
		{name: "a tenth of the night's rate is low in the night too", hours: hours{last: 5, yesterday: 100, median: 1000}, low: true},
		{name: "the day after a campaign is low against that one only", hours: hours{last: 100, yesterday: 50_000, median: 110}, well: true},
		{name: "what never came cannot drop", hours: hours{}, well: true},
		{name: "three quarters are enough to be well again", hours: hours{last: 75, yesterday: 100, median: 100}, well: true},
		{name: "a third is no drop where a quarter is asked for", percent: 25, hours: hours{last: 3300, yesterday: 10_000, median: 10_000}},
		{name: "a fifth is", percent: 25, hours: hours{last: 2000, yesterday: 10_000, median: 10_000}, low: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			low, well := Rules{DropPercent: test.percent}.orDefaults().low(test.hours)
			if low != test.low || well != test.well {
				t.Errorf("low %v, well %v; want %v, %v", low, well, test.low, test.well)
			}
		})
	}
}

// atMost is held to sums of exact fractions.
func TestAtMostIsExact(t *testing.T) {
	p := big.NewRat(1, 3)
	q := big.NewRat(2, 3)
	for _, n := range []int{1, 7, 40, 150} {
		sum := new(big.Rat)
		for k := 0; 3*k < n; k++ {
			term := new(big.Rat).SetInt(new(big.Int).Binomial(int64(n), int64(k)))
			for range k {
				term.Mul(term, p)
			}
			for range n - k {
				term.Mul(term, q)
			}
			sum.Add(sum, term)
			want, _ := sum.Float64()
			if got := atMost(k, n, 1.0/3); math.Abs(got-want) > want*1e-6 {
				t.Errorf("at most %d of %d: %g, want %g", k, n, got, want)
			}
		}
	}
	if got := atMost(900_000, 3_000_000, 1.0/3); got > 1e-100 { // and does not take for ever
		t.Errorf("got %g", got)
	}
}

// A type loses most of its events while the others go on, and gets them back.
func TestADropBeginsAndEnds(t *testing.T) {
	s := newStory(Rules{})
	for _, kind := range []string{opens, click} {
		s.every(20*time.Second, kind, noon.Add(-25*time.Hour), noon)
	}
	var got []string
	for at := noon; at.Before(noon.Add(6 * time.Hour)); at = at.Add(time.Minute) {
		s.every(20*time.Second, click, at, at.Add(time.Minute))
		switch since := at.Sub(noon); {
		case since < 3*time.Hour:
			if at.Minute()%5 == 0 { // one of fifteen
				s.one(opens, at)
			}
		default:
			s.every(20*time.Second, opens, at, at.Add(time.Minute))
		}
		for _, c := range s.Check(at.Add(59 * time.Second)) {
			word := " ends"
			if c.Began {
				word = " begins"
			}
			got = append(got, string(c.Kind)+" "+c.Type+word+" after "+at.Sub(noon).Truncate(time.Hour).String())
		}
	}
	want := []string{
		"rate_dropped users.messages.email.Open begins after 1h0m0s",
		"rate_dropped users.messages.email.Open ends after 3h0m0s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A day of hours that differ as those of people do, and the same with a campaign on the day before, are no drop.
func TestDayAndNightAreNoDrop(t *testing.T) {
	for _, campaign := range []int{0, 20_000} {
		s := newStory(Rules{})
		begin := noon.Add(-25 * time.Hour)
		var got []Change
		for at := begin; at.Before(noon.Add(47 * time.Hour)); at = at.Add(time.Minute) {
			n := int(20 + 18*math.Sin(float64(at.Hour())/24*2*math.Pi))
			if at.Sub(begin) < 90*time.Minute {
				n += campaign / 90
			}
			for range n {
				s.one(opens, at)
			}
			if at.After(noon) {
				got = append(got, s.Check(at)...)
			}
		}
		if len(got) > 0 {
			t.Errorf("with a campaign of %d: %+v", campaign, got)
		}
	}
}
