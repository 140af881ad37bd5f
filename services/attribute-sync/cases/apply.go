package cases

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Skew is how far a source's clock may be ahead of ours. What is dated later than that happened when it
// arrived: a case of the year 2099 would otherwise stand above every resolution, and mute for as long.
const Skew = 5 * time.Minute

// Result is what became of a report.
type Result struct {
	// Changed says that the state is another one and has to be kept. Whether the profile is another one is
	// for the difference to say.
	Changed bool
	// Reason is empty where the report stands; else [ReasonStale] or [ReasonNothingNew].
	Reason string
	// Detail says for a person which report stands, where this one is stale.
	Detail string
}

// Reasons for which a report comes to nothing.
const (
	ReasonStale      = "stale"       // a newer report says otherwise; it may still have changed the state
	ReasonNothingNew = "nothing_new" // all of it was known: a double, or an older update
)

// Apply takes a report in. It is refused when [Check] finds something, and nothing has changed then.
// Reports may be doubled and come in any order; the state is the same in the end, as long as no more than
// [MaxCases] are kept. Call [Rules.Advance] after the last report of a window.
func (r *Rules) Apply(s *State, c *event.Case, now time.Time) (Result, *Problem) {
	if p := Check(c); p != nil {
		return Result{}, p
	}
	news := fileOf(c, moment(c, now))
	i, found := s.find(c.Source, c.CaseID)
	if !found {
		news.own()
		s.cases = slices.Insert(s.cases, i, news)
		if len(s.cases) > MaxCases {
			s.drop(r, r.spare(s, s.clock(now)))
		}
		return Result{Changed: true}, nil
	}
	f := &s.cases[i]
	before := *f
	f.join(&news)
	result := Result{Changed: *f != before}
	if f.channel.name != before.channel.name {
		f.own()
	}
	if result.Detail = f.overrules(&news); result.Detail != "" {
		result.Reason = ReasonStale
	} else if !result.Changed {
		result.Reason = ReasonNothingNew
	}
	return result, nil
}

// moment is when a report counts as having happened: when its source says so, unless that is in the
// future. The arrival is a part of the record, so a replay comes to the same moment; our own clock is only
// asked where the arrival is in the future too.
func moment(c *event.Case, now time.Time) int64 {
	at := c.OccurredAt.UnixMilli()
	if arrived := c.ReceivedAt.UnixMilli(); arrived > 0 && at > arrived+Skew.Milliseconds() {
		at = arrived
	}
	if n := now.UnixMilli(); at > n+Skew.Milliseconds() {
		at = n
	}
	return at
}

// overrules says which report stands above the one whose file is given; nothing where that one stands.
func (f *file) overrules(news *file) string {
	switch {
	case news.rated.at > 0 && news.rated != f.rated:
		return fmt.Sprintf("%s has a newer rating, %d at %s", f.name(), f.rated.value, moments(f.rated.at))
	case news.resolved > 0 && f.stands():
		return fmt.Sprintf("%s was %s at %s", f.name(), openings[f.opening.rank], moments(f.opening.at))
	case news.opening.at > 0 && !f.stands():
		return fmt.Sprintf("%s was resolved at %s", f.name(), moments(f.resolved))
	}
	return ""
}

// spare is the case that can best be spared.
func (r *Rules) spare(s *State, at int64) int {
	best := 0
	for i := range s.cases {
		a, b := &s.cases[i], &s.cases[best]
		aOpen, bOpen := r.open(a, at), r.open(b, at)
		if aOpen == bOpen && cmp.Less(a.touched(), b.touched()) || bOpen && !aOpen {
			best = i
		}
	}
	return best
}
