package watch

import (
	"slices"
	"time"
)

// The books' grain, and how far back they reach: a day before the hour that is judged, and an hour for what
// arrives out of order.
const (
	width   = 5 * time.Minute
	perHour = int64(time.Hour / width)
	perDay  = 24 * perHour
	kept    = perDay + 2*perHour
)

// series counts what was received, in stretches of five minutes. Its zero value is empty.
type series struct {
	counts [kept]uint32 // of stretch n at n modulo kept
	head   int64        // number of the newest stretch, counted since 1970; 0 while there is none

	newest   time.Time // when the newest event was received, repeats included
	occurred time.Time // the newest time that an event carried

	total   uint64 // events since the books were opened, without repeats
	repeats uint64
	late    uint64 // of total, those so old when they came that they say nothing about the rate
}

// stretch is the number of the five minutes that a moment lies in.
func stretch(at time.Time) int64 { return at.Unix() / int64(width/time.Second) }

// heard takes a sign of life.
func (s *series) heard(received, occurred time.Time) {
	if received.After(s.newest) {
		s.newest = received
	}
	if occurred.After(s.occurred) {
		s.occurred = occurred
	}
}

// count counts an event. One that is older than all that is kept is not counted.
func (s *series) count(received time.Time) {
	n := stretch(received)
	switch {
	case n <= 0: // nobody received anything in 1970
		return
	case s.head == 0 || n-s.head >= kept:
		clear(s.counts[:])
		s.head = n
	case n > s.head:
		for s.head < n {
			s.head++
			s.counts[s.head%kept] = 0
		}
	case n <= s.head-kept:
		return
	}
	s.counts[n%kept]++
}

// at is how many came in a stretch.
func (s *series) at(n int64) int {
	if s.head == 0 || n > s.head || n <= s.head-kept {
		return 0
	}
	return int(s.counts[n%kept])
}

// sum is how many came from one stretch up to, and without, another.
func (s *series) sum(from, to int64) int {
	total := 0
	for n := from; n < to; n++ {
		total += s.at(n)
	}
	return total
}

// rhythm is how a series came in the day up to and with its newest stretch, as far as it has been shown.
type rhythm struct {
	events int
	// quiet is the longest time without an event between two of them.
	quiet time.Duration
	// lead is the time without an event at the beginning of the day.
	lead time.Duration
	// gap is the median time between one event and the next, as exactly as stretches of five minutes say.
	gap time.Duration
}

func (s *series) rhythm(since time.Time) rhythm {
	var r rhythm
	if s.head == 0 {
		return r
	}
	type gaps struct {
		long  time.Duration
		count int
	}
	var all []gaps
	first := max(s.head-perDay+1, stretch(since))
	last := first - 1 // the stretch of the event before
	for n := first; n <= s.head; n++ {
		c := s.at(n)
		if c == 0 {
			continue
		}
		switch {
		case r.events == 0:
			r.lead = time.Duration(n-first) * width
		default:
			between := time.Duration(n-last) * width
			if n-last > 1 {
				r.quiet = max(r.quiet, between)
			}
			all = append(all, gaps{between, 1})
		}
		if c > 1 {
			all = append(all, gaps{width / time.Duration(c), c - 1})
		}
		r.events += c
		last = n
	}
	slices.SortFunc(all, func(a, b gaps) int { return int(a.long - b.long) })
	half := r.events / 2
	for _, g := range all {
		if half -= g.count; half <= 0 {
			r.gap = g.long
			break
		}
	}
	return r
}
