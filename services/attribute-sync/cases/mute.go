package cases

import (
	"time"
)

// lapse is when a case that stands counts as closed because nothing has been heard of it.
func (r *Rules) lapse(f *file) int64 {
	span := r.Suppress.of(f.importance())
	if span == 0 { // such cases hold nothing back, but are counted
		return f.news + r.ForgetAfter.ms()
	}
	return ceil(f.news+span, max(r.RenewStep.ms(), second))
}

// open says whether the case counts as open at a moment.
func (r *Rules) open(f *file, at int64) bool { return f.stands() && at < r.lapse(f) }

// date is until when promotions are held back because of the case; 0 where nothing is known but a rating.
// It may be long past.
func (r *Rules) date(f *file) int64 {
	switch {
	case !f.known():
		return 0
	case r.Suppress.of(f.importance()) == 0:
		return ceil(f.news, second)
	case f.stands():
		return r.lapse(f)
	case f.silent():
		return ceil(f.resolved, second)
	}
	return ceil(f.resolved+r.CoolDown.ms(), second)
}

// closed is when a case that is not open was closed.
func (r *Rules) closed(f *file) int64 {
	if f.stands() {
		return r.lapse(f)
	}
	return f.resolved
}

// forgotten is when nothing of the case is needed any more: it does not count as open, and a double of any
// of its reports would be too late for everything. Validate sees to it that this is so.
func (r *Rules) forgotten(f *file) int64 { return f.touched() + r.ForgetAfter.ms() }

// muted is until when promotions are held back by all cases together; 0 where none ever did.
func (r *Rules) muted(s *State) int64 {
	date := s.past
	for i := range s.cases {
		date = max(date, r.date(&s.cases[i]))
	}
	return date
}

// SuppressedUntil is until when promotions are held back, which may be past; zero where no case ever did.
func (r *Rules) SuppressedUntil(s *State) time.Time { return timeOf(r.muted(s)) }

const second = 1000

// ceil rounds up to a multiple of step.
func ceil(ms, step int64) int64 {
	if rest := ms % step; rest > 0 {
		ms += step - rest
	}
	return ms
}

// timeOf is the moment, or the zero time for 0.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
