package cases

import (
	"strconv"
	"time"
)

// Attribute is what the profile ought to have.
type Attribute struct {
	Name  string
	Value []byte // JSON; never null
}

// Attributes are what the profile ought to have now, in the order of [AttributeNames]. What is left out is
// to be left as it is: there is nothing to say of a customer without cases, nor of ratings where none was
// given. Call [Rules.Advance] before.
func (r *Rules) Attributes(s *State, now time.Time) []Attribute {
	if len(s.cases) == 0 {
		return nil
	}
	sum := r.summary(s, s.clock(now))
	list := make([]Attribute, 0, 5)
	add := func(name string, value []byte) {
		if name != "" && len(value) > 0 {
			list = append(list, Attribute{name, value})
		}
	}
	if sum.muted != 0 {
		add(r.Names.SuppressedUntil, appendTime(nil, sum.muted))
	}
	add(r.Names.OpenCases, strconv.AppendInt(nil, int64(sum.open), 10))
	add(r.Names.AtRisk, strconv.AppendBool(nil, sum.risky))
	if sum.status != "" {
		add(r.Names.LastStatus, strconv.AppendQuote(nil, sum.status))
	}
	if sum.rated.at != 0 {
		add(r.Names.LastRating, strconv.AppendInt(nil, int64(sum.rated.value), 10))
	}
	return list
}

// Statuses are the values of the attribute last_case_status: what the newest report on whether a case is
// open said, or lapsed, where nothing has been heard of that case for so long that it counts as closed.
const (
	StatusOpen      = "open"
	StatusEscalated = "escalated"
	StatusReopened  = "reopened"
	StatusResolved  = "resolved"
	StatusLapsed    = "lapsed"
)

var openings = [...]string{0: StatusOpen, opened: StatusOpen, escalated: StatusEscalated, reopened: StatusReopened}

// status is what the attribute says of this case.
func (r *Rules) status(f *file, at int64) string {
	switch {
	case !f.stands():
		return StatusResolved
	case !r.open(f, at):
		return StatusLapsed
	}
	return openings[f.opening.rank]
}

// decided is when the newest report came that says whether the case is open.
func (f *file) decided() int64 {
	if t := max(f.opening.at, f.resolved); t > 0 {
		return t
	}
	return f.first
}

// summary is what all cases of a user come to.
type summary struct {
	muted  int64
	open   int
	risky  bool
	status string
	rated  rating
}

func (r *Rules) summary(s *State, at int64) summary {
	sum := summary{muted: r.muted(s), rated: s.last}
	var last *file
	for i := range s.cases {
		f := &s.cases[i]
		sum.rated.join(f.rated)
		if r.open(f, at) {
			sum.open++
			sum.risky = sum.risky || f.risky || f.importance() == urgent
		}
		if f.known() && (last == nil || f.decided() >= last.decided()) {
			last = f
		}
	}
	if last != nil {
		sum.status = r.status(last, at)
	}
	return sum
}
