// Package retry says how long to wait next, and when to stop waiting.
//
// A [Schedule] only computes. Whoever waits owns the timer and listens to its context:
//
//	for attempt := 0; ; attempt++ {
//		answer := call(ctx)
//		if answer.OK {
//			return nil
//		}
//		wait := schedule.Next(attempt, answer.RetryAfter)
//		if schedule.Spent(time.Since(start) + wait) {
//			return answer.Err
//		}
//		select {
//		case <-ctx.Done():
//			return ctx.Err()
//		case <-time.After(wait):
//		}
//	}
//
// The waits are exponential with full jitter: the n-th is drawn evenly from zero up to Base doubled n
// times. Callers that failed in the same instant then come back spread over the whole of that width,
// where a fixed wait with a little noise on top would bring them back together.
package retry

import (
	"math/rand/v2"
	"time"
)

// What the zero value of each field of a [Schedule] stands for.
const (
	DefaultBase    = 100 * time.Millisecond
	DefaultCap     = 30 * time.Second
	DefaultMaxHint = time.Hour
)

// Schedule is a series of waits. The zero value is usable; a Schedule may be copied, and, unless Rand
// is set, used by many goroutines at once.
type Schedule struct {
	// Base is the width the first wait is drawn from; each further attempt doubles it.
	Base time.Duration
	// Cap is the widest it becomes. A Cap below Base wins.
	Cap time.Duration
	// MaxElapsed is the time, counted by the caller from its first attempt, after which to give up.
	// Zero never gives up.
	MaxElapsed time.Duration
	// MaxHint is the longest a server may make us wait. It exists because a header can be nonsense.
	MaxHint time.Duration
	// Rand is the source of the jitter, seeded in tests and simulations. Nil means the process's own,
	// which, unlike a [rand.Rand], may be shared by goroutines.
	Rand *rand.Rand
}

// Next returns how long to wait after the attempt of that number, the first being 0, has failed.
//
// A positive hint is what the server asked for, in a Retry-After header say. It is a floor: the
// jitter comes on top, because all who were told "in 2 s" would otherwise return together. Hints
// above MaxHint are cut to it.
func (s Schedule) Next(attempt int, hint time.Duration) time.Duration {
	return min(max(hint, 0), orElse(s.MaxHint, DefaultMaxHint)) + s.jitter(s.width(attempt))
}

// Spent reports whether that much time since the first attempt is too much to go on. Asking it with
// the next wait added avoids a wait whose end nobody would use.
func (s Schedule) Spent(elapsed time.Duration) bool {
	return s.MaxElapsed > 0 && elapsed >= s.MaxElapsed
}

// width is Base doubled attempt times, at most Cap.
func (s Schedule) width(attempt int) time.Duration {
	width, limit := orElse(s.Base, DefaultBase), orElse(s.Cap, DefaultCap)
	for ; attempt > 0 && width < limit; attempt-- {
		if width > limit/2 { // doubling could overflow as well as overshoot
			return limit
		}
		width *= 2
	}
	return min(width, limit)
}

// jitter draws from [0, width].
func (s Schedule) jitter(width time.Duration) time.Duration {
	if s.Rand != nil {
		return time.Duration(s.Rand.Int64N(int64(width) + 1))
	}
	return rand.N(width + 1)
}

// longest leaves room for adding a hint and a jitter of this size.
const longest = time.Duration(1) << 61

func orElse(d, zero time.Duration) time.Duration {
	if d <= 0 {
		return zero
	}
	return min(d, longest)
}
