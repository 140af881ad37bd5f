package cases

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// WhyMuted says in one line, for a person, whether promotions are held back, by what, and until when at
// the latest.
func (r *Rules) WhyMuted(s *State, now time.Time) string {
	at := s.clock(now)
	if r.Names.SuppressedUntil == "" {
		return "not muted: support.attributes.suppressed_until is switched off"
	}
	until := r.muted(s)
	if until > at {
		return r.muter(s, until, at)
	}
	var last *file
	for i := range s.cases {
		if f := &s.cases[i]; f.known() && (last == nil || r.date(f) >= r.date(last)) {
			last = f
		}
	}
	free := ""
	if until > 0 {
		free = ", free since " + moments(until)
	}
	switch {
	case last == nil:
		return "not muted: no case is known"
	case r.open(last, at):
		return fmt.Sprintf("not muted: case %s is of a severity that mutes nobody", last.describe())
	case last.stands():
		return fmt.Sprintf("not muted: nothing has been heard of case %s%s", last.describe(), free)
	}
	return fmt.Sprintf("not muted: no case is open; %s was resolved %s%s", last.name(), moments(last.resolved), free)
}

// muter names the case whose date it is, and how many others are open.
func (r *Rules) muter(s *State, until, at int64) string {
	var by *file
	others := 0
	for i := range s.cases {
		f := &s.cases[i]
		switch {
		case by == nil && r.date(f) == until:
			by = f
		case r.open(f, at):
			others++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "muted until %s by ", moments(until))
	switch {
	case by == nil:
		b.WriteString("a case that is no longer kept")
	case by.stands():
		fmt.Fprintf(&b, "case %s", by.describe())
	default:
		fmt.Fprintf(&b, "the cool-down of %s, resolved %s", by.name(), moments(by.resolved))
	}
	switch {
	case others == 1:
		b.WriteString(" and 1 more open case")
	case others > 1:
		fmt.Fprintf(&b, " and %d more open cases", others)
	}
	if s.group != "" {
		fmt.Fprintf(&b, "; taken out of group %s", printable(s.group))
	}
	b.WriteString("; freed then at the latest, unless there is news")
	return b.String()
}

// name is "zendesk/35436".
func (f *file) name() string { return printable(f.source + "/" + f.id) }

// describe is "zendesk/35436 (high, open since 2026-11-17 09:00 UTC, last news 2026-11-18 10:30 UTC)".
func (f *file) describe() string {
	word, since := StatusOpen, f.first
	if f.resolved > 0 {
		word, since = StatusReopened, f.opening.at
	}
	d := fmt.Sprintf("%s (%s, %s since %s", f.name(), severities[f.importance()], word, moments(since))
	if f.opening.rank == escalated && f.opening.at > since {
		d += ", escalated " + moments(f.opening.at)
	}
	if f.news > max(since, f.opening.at) {
		d += ", last news " + moments(f.news)
	}
	return d + ")"
}

// moments writes a moment for a person, to the minute where that is exact.
func moments(ms int64) string {
	if ms%(60*second) == 0 {
		return timeOf(ms).Format("2006-01-02 15:04 UTC")
	}
	return timeOf(ms).Format("2006-01-02 15:04:05 UTC")
}

// printable keeps what others have named from breaking the line, or the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
