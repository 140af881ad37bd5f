package watch

import (
	"math"
	"slices"
	"time"
)

// The last whole hour is held against two others, and is too low only where it is so against both:
//
//   - the same hour of the day before. Engagement has its hours: against the mean of a day every night is a drop.
//   - the median hour of the day before. Campaigns come in bursts: against yesterday's alone, the day after a large
//     campaign is one.
//
// Rejected: the same hour of the same weekday, which would see a Saturday for what it is, at the price that
// whoever takes the watch over reads a week of the topic first. A Saturday that is not half of a Friday by
// both measures is rare; DropPercent is there for it.
//
// "Too low" is a statement about counts that are small or large alike. If the rate were still the part p of what
// it was, then of n events in both hours together each would fall into the later one with the probability
// p/(1+p), whatever the rate is (the exact test of two Poisson rates, Przyborowski and Wilenski 1940). An alarm
// is what this makes less likely than one in a million: 34 events before and none now at 50 %, but not 20 before
// and 2 now. Many types are looked at many times a day, so it has to be that rare.
const doubt = 1e-6

// recovered is the part of the usual rate at which a drop is over: well above the one at which it begins.
const recovered = 0.75

// hours are what the last hour of a series is judged by.
type hours struct {
	last      int // events of the last twelve whole stretches
	yesterday int // of the same ones a day before
	median    int // of the median hour of the day before the last hour
}

// usual is what one would have expected, the lower of the two.
func (h hours) usual() int { return min(h.yesterday, h.median) }

func (s *series) hours(now time.Time) hours {
	end := stretch(now)
	h := hours{last: s.sum(end-perHour, end), yesterday: s.sum(end-perHour-perDay, end-perDay)}
	var day [24]int
	for i := range day {
		until := end - int64(i+1)*perHour
		day[i] = s.sum(until-perHour, until)
	}
	slices.Sort(day[:])
	h.median = (day[11] + day[12]) / 2
	return h
}

// low reports whether an hour is too low to be chance, and well whether it is what it used to be.
func (r Rules) low(h hours) (low, well bool) {
	part := float64(r.DropPercent) / 100
	usual := h.usual()
	low = atMost(h.last, usual+h.last, part/(1+part)) < doubt
	return low, float64(h.last) >= max(recovered, part)*float64(usual)
}

// atMost is the probability that at most k of n come out, each with the probability p.
func atMost(k, n int, p float64) float64 {
	if k >= n {
		return 1
	}
	mean := float64(n) * p
	if float64(k) >= mean { // more than half; nobody asks how much more
		return 1
	}
	term := math.Exp(lchoose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
	sum := term
	// Below the mean each term is less than the one above it, so that soon they add nothing.
	for i := k; i > 0 && term > sum*1e-9; i-- {
		term *= float64(i) / float64(n-i+1) * (1 - p) / p
		sum += term
	}
	return min(sum, 1)
}

// lchoose is the logarithm of how many ways there are to choose k of n.
func lchoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
