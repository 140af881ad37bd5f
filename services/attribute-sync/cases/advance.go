package cases

import (
	"cmp"
	"slices"
	"time"
)

// Advanced is what time alone has brought.
type Advanced struct {
	Changed  bool      // the state is another one and has to be kept
	Triggers []Trigger // that have come due, the oldest first
	Lapsed   int       // cases that count as closed because nothing was heard of them
	TooLate  int       // triggers that were given up: their time passed long ago
	Dropped  int       // cases that are no longer kept
}

// Advance lets time pass up to now. What comes due comes due once: the state remembers it, so keep the
// state together with the triggers. After it [Rules.Due] is later than now.
func (r *Rules) Advance(s *State, now time.Time) Advanced {
	var a Advanced
	at := s.clock(now)
	for i := range s.cases {
		if f := &s.cases[i]; f.stands() {
			if l := r.lapse(f); l > s.seen && l <= at {
				a.Lapsed++
			}
		}
	}
	if a.Lapsed > 0 {
		s.seen, a.Changed = at, true
	}
	quiet, isQuiet := r.quiet(s, at)
	for i := range s.cases {
		f := &s.cases[i]
		if due := r.surveyDue(f); due != 0 && due <= at {
			f.surveyed = f.resolved
			a.settle(r.survey(f, due), at-due >= r.TooLate.ms())
		}
		due := r.winBackDue(f, quiet, isQuiet)
		if due != 0 && due <= at {
			f.wonBack = f.rated.at
			a.settle(r.winBack(f, due), at-due >= r.TooLate.ms() || at-f.rated.at >= r.ForgetAfter.ms())
		}
	}
	slices.SortFunc(a.Triggers, func(x, y Trigger) int {
		return cmp.Or(x.OccurredAt.Compare(y.OccurredAt), cmp.Compare(x.ID, y.ID))
	})
	r.forget(s, at, &a)
	return a
}

// settle notes a trigger that has come due.
func (a *Advanced) settle(t Trigger, late bool) {
	a.Changed = true
	if late {
		a.TooLate++
		return
	}
	a.Triggers = append(a.Triggers, t)
}

// forget drops the cases that nothing is needed of. With the last of them goes all that is known: the
// profile keeps what it was last told.
func (r *Rules) forget(s *State, at int64, a *Advanced) {
	for i := len(s.cases) - 1; i >= 0; i-- {
		if r.forgotten(&s.cases[i]) <= at {
			s.drop(r, i)
			a.Dropped, a.Changed = a.Dropped+1, true
		}
	}
	if len(s.cases) == 0 {
		s.past, s.last, s.seen = 0, rating{}, 0
	}
}

// quiet is since when no case has been open; not ok while one is.
func (r *Rules) quiet(s *State, at int64) (since int64, ok bool) {
	for i := range s.cases {
		f := &s.cases[i]
		if r.open(f, at) {
			return 0, false
		}
		since = max(since, r.closed(f))
	}
	return since, true
}

// Due is when [Rules.Advance] has to be called next; it may be past already. Zero: never, unless a report
// comes.
func (r *Rules) Due(s *State) time.Time {
	var next int64
	sooner := func(t int64) {
		if t != 0 && (next == 0 || t < next) {
			next = t
		}
	}
	quiet, isQuiet := r.quiet(s, s.seen)
	for i := range s.cases {
		f := &s.cases[i]
		if r.open(f, s.seen) {
			sooner(r.lapse(f))
		}
		sooner(r.surveyDue(f))
		sooner(r.winBackDue(f, quiet, isQuiet))
		sooner(r.forgotten(f))
	}
	return timeOf(next)
}
