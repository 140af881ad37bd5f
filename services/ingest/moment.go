package ingest

import (
	"strconv"
	"strings"
	"time"
)

// moment is a point in time that a tracking client names, or none.
type moment struct{ time.Time }

func (m moment) known() bool { return !m.IsZero() }

// moment reads a point in time, leniently: what cannot be read counts as left out.
func (s *scanner) moment() moment {
	quoted := s.peek() == '"'
	text := s.scalar()
	if !quoted {
		return epoch(text)
	}
	return parseMoment(text)
}

// parseMoment reads what tracking clients write for ISO 8601: any number of digits for a fraction of a
// second, days and months of one digit, a blank for the T, no zone at all (then UTC), a date alone.
func parseMoment(text string) moment {
	p := momentParser{rest: strings.TrimSpace(text)}
	year := p.number(4, 4)
	month := p.after('-').number(1, 2)
	day := p.after('-').number(1, 2)
	var hour, minute, second, nanos int
	offset := 0
	if p.next('T') || p.next('t') || p.next(' ') {
		hour = p.number(1, 2)
		minute = p.after(':').number(1, 2)
		if p.next(':') {
			second = p.number(1, 2)
			if p.next('.') || p.next(',') {
				nanos = p.fraction()
			}
		}
		offset = p.zone()
	}
	if p.failed || p.rest != "" || month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60 {
		return moment{}
	}
	return moment{time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC).Add(-time.Duration(offset) * time.Minute)}
}

type momentParser struct {
	rest   string
	failed bool
}

// next takes the character if it comes next.
func (p *momentParser) next(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// after insists on the character.
func (p *momentParser) after(c byte) *momentParser {
	if !p.next(c) {
		p.failed = true
	}
	return p
}

// number takes from least to most digits.
func (p *momentParser) number(least, most int) (n int) {
	i := 0
	for ; i < most && i < len(p.rest) && '0' <= p.rest[i] && p.rest[i] <= '9'; i++ {
		n = 10*n + int(p.rest[i]-'0')
	}
	if i < least {
		p.failed = true
	}
	p.rest = p.rest[i:]
	return n
}

// fraction takes the digits of a fraction of a second, as nanoseconds.
func (p *momentParser) fraction() (nanos int) {
	scale := 100_000_000
	for p.rest != "" && '0' <= p.rest[0] && p.rest[0] <= '9' {
		nanos += scale * int(p.rest[0]-'0')
		scale /= 10
		p.rest = p.rest[1:]
	}
	return nanos
}

// zone takes Z, +hh:mm, +hhmm, +hh or nothing, as minutes east of UTC.
func (p *momentParser) zone() int {
	sign := 1
	switch {
	case p.rest == "" || p.next('Z') || p.next('z'):
		return 0
	case p.next('-'):
		sign = -1
	case !p.next('+'):
		p.failed = true
		return 0
	}
	hours, minutes := p.number(2, 2), 0
	if p.next(':') || p.rest != "" {
		minutes = p.number(2, 2)
	}
	return sign * (60*hours + minutes)
}

// epoch reads a number of milliseconds since 1970, or of seconds if it is too small for that.
func epoch(text string) moment {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n <= 0 || n > 253_402_300_799_999: // the end of the year 9999
		return moment{}
	case n < 100_000_000_000:
		return moment{time.Unix(n, 0).UTC()}
	}
	return moment{time.UnixMilli(n).UTC()}
}
