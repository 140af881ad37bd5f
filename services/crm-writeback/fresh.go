package crmwriteback

import "time"

// fresh is what a writer that has just taken partitions over waits for: the rows that its predecessor held. One that was
// killed may have written several of them as one. Were their object's first written again before the others are here, the
// system would hold an old value for a moment, and report it as news.
type fresh struct {
	on    bool
	first time.Time // when rows came first; zero before
	last  time.Time // when they came last
}

const (
	freshQuiet = 500 * time.Millisecond // without a row: all that the window has room for are here
	freshMost  = 5 * time.Second
)

// until says until when nothing is to be written; the zero time when it may.
func (f *fresh) until(now time.Time) time.Time {
	if !f.on || f.first.IsZero() {
		return time.Time{}
	}
	until := sooner(f.last.Add(freshQuiet), f.first.Add(freshMost))
	if !now.Before(until) {
		f.on = false
		return time.Time{}
	}
	return until
}
