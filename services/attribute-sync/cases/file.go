package cases

import (
	"cmp"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// file is what is kept of one case. Every part is the newest or the oldest of its sort, or something that
// was ever so: joining is commutative, associative and may be repeated. All moments are milliseconds
// since 1970, and 0 is never.
type file struct {
	key

	first int64 // oldest report, of any sort but rated
	news  int64 // newest
	// opening is the newest report that says in so many words that the case is open.
	opening opening
	// begun is the newest report that opened it, or opened it again: an escalation is the same round still.
	begun int64
	// resolved is the newest report that it is not; silenced the newest of these that closed the case
	// because it was merged into another or deleted, which nobody is to be asked about.
	resolved, silenced int64
	// severity is what was said at stated; raised is the newest escalation that did not say.
	severity       uint8
	stated, raised int64
	risky          bool // ever escalated or at_risk
	rated          rating
	channel        channel

	// surveyed is the resolution that the survey was last sent for, or given up; wonBack the rating
	// likewise. They are ours and not the helpdesk's.
	surveyed, wonBack int64
}

// opening is a report of opened, escalated or reopened, which rank in this order at the same moment.
type opening struct {
	at   int64
	rank uint8
}

const (
	opened = 1 + iota
	escalated
	reopened
)

func (o *opening) join(p opening) {
	if p.at > o.at || p.at == o.at && p.rank > o.rank {
		*o = p
	}
}

type channel struct {
	at   int64
	name string
}

func (c *channel) join(o channel) {
	if o.at > c.at || o.at == c.at && o.name > c.name {
		*c = o
	}
}

// fileOf is what one report alone says of its case. Its texts alias the report's.
func fileOf(c *event.Case, at int64) file {
	f := file{key: key{c.Source, c.CaseID}}
	if c.Channel != "" {
		f.channel = channel{at, c.Channel}
	}
	for i, s := range severities {
		if s == c.Severity && i > 0 {
			f.severity, f.stated = uint8(i), at
		}
	}
	if c.Event == event.CaseRated {
		if c.Rating != nil {
			f.rated = rating{at, int8(*c.Rating)}
		}
		return f // no news of a case: it mostly comes when that is over
	}
	f.first, f.news = at, at
	switch c.Event { //nolint:exhaustive // updated is news and no more, rated has been seen to
	case event.CaseOpened:
		f.opening, f.begun = opening{at, opened}, at
	case event.CaseReopened:
		f.opening, f.begun = opening{at, reopened}, at
	case event.CaseEscalated:
		f.opening, f.risky = opening{at, escalated}, true
		if f.stated == 0 {
			f.raised = at
		}
	case event.CaseAtRisk:
		f.risky = true
	case event.CaseResolved:
		f.resolved = at
		if isSilent(c.Metadata) {
			f.silenced = at
		}
	}
	return f
}

// join takes in what another memory of the same case has.
func (f *file) join(o *file) {
	if f.first == 0 || o.first != 0 && o.first < f.first {
		f.first = o.first
	}
	f.news = max(f.news, o.news)
	f.opening.join(o.opening)
	f.begun = max(f.begun, o.begun)
	f.resolved = max(f.resolved, o.resolved)
	f.silenced = max(f.silenced, o.silenced)
	if o.stated > f.stated || o.stated == f.stated && o.severity > f.severity {
		f.stated, f.severity = o.stated, o.severity
	}
	f.raised = max(f.raised, o.raised)
	f.risky = f.risky || o.risky
	f.rated.join(o.rated)
	f.channel.join(o.channel)
	f.surveyed = max(f.surveyed, o.surveyed)
	f.wonBack = max(f.wonBack, o.wonBack)
}

// own makes the texts of a file its own.
func (f *file) own() {
	f.source, f.id, f.channel.name = strings.Clone(f.source), strings.Clone(f.id), strings.Clone(f.channel.name)
}

// stands says that by all reports the case is open. Whether it still counts as open is for time to say.
func (f *file) stands() bool {
	switch cmp.Compare(f.opening.at, f.resolved) {
	case 1:
		return true
	case -1:
		return false
	}
	if f.resolved == 0 {
		return f.news > 0 // heard of only by updated or at_risk
	}
	return f.opening.rank == reopened
}

// known says that reports tell whether the case is open; there may be nothing but a rating.
func (f *file) known() bool { return f.news > 0 }

// importance is the newest severity that was said, which an escalation that says none raises to high.
func (f *file) importance() uint8 {
	s := f.severity
	if s == 0 {
		s = normal
	}
	if f.raised > 0 && f.raised >= f.stated {
		s = max(s, high)
	}
	return s
}

// touched is the newest moment in the file.
func (f *file) touched() int64 { return max(f.news, f.rated.at) }

// silent says that the case went away in a manner that nobody is to be asked about.
func (f *file) silent() bool { return f.silenced > 0 && f.silenced >= f.opening.at }

// unsent says that what was sent for the moment sent, if anything, was for another round: one that has begun
// since.
func unsent(sent, begun int64) bool { return sent == 0 || sent < begun }
