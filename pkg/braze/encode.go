package braze

import (
	"time"
	"unicode/utf8"
)

// plain tells which bytes stand for themselves inside a JSON string.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// AppendString appends s as a JSON string with its quotes. Only what must be escaped is; bytes that
// are not UTF-8 become U+FFFD, one each.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not yet appended
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = append(dst, "\ufffd"...)
		} else {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
		}
		i++
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// AppendTime appends t as a JSON string in UTC with milliseconds, cut and not rounded:
// "2026-03-04T05:06:07.890Z", one of the forms of ISO 8601 that Braze reads (braze-docs:
// event_object). Years outside 0 to 9999, which that form cannot say, become its first or last
// moment.
func AppendTime(dst []byte, t time.Time) []byte {
	const (
		first = -62167219200_000 // 0000-01-01T00:00:00.000Z
		last  = 253402300799_999 // 9999-12-31T23:59:59.999Z
		day   = 24 * 60 * 60 * 1000
	)
	// In seconds first: UnixMilli overflows for years that time.Time can hold.
	ms := int64(first)
	if s := t.Unix(); s > last/1000 {
		ms = last
	} else if s >= first/1000 {
		ms = t.UnixMilli()
	}
	// From the year 0 on nothing is negative, and division rounds the right way.
	ms -= first
	days, rest := uint64(ms/day), uint32(ms%day)
	year, month, dom := civil(days)
	hour, rest := rest/3_600_000, rest%3_600_000
	minute, rest := rest/60_000, rest%60_000
	second, milli := rest/1000, rest%1000

	return append(dst, '"',
		'0'+byte(year/1000), '0'+byte(year/100%10), '0'+byte(year/10%10), '0'+byte(year%10), '-',
		'0'+byte(month/10), '0'+byte(month%10), '-',
		'0'+byte(dom/10), '0'+byte(dom%10), 'T',
		'0'+byte(hour/10), '0'+byte(hour%10), ':',
		'0'+byte(minute/10), '0'+byte(minute%10), ':',
		'0'+byte(second/10), '0'+byte(second%10), '.',
		'0'+byte(milli/100), '0'+byte(milli/10%10), '0'+byte(milli%10), 'Z', '"')
}

// civil turns days since 0000-01-01 into a date of the Gregorian calendar. It counts in years that
// begin in March, so that the leap day is the last of its year, and in eras of 400 years, which all
// have the same length.
func civil(days uint64) (year, month, dom uint32) {
	const (
		era        = 146097 // days in 400 years
		marchFirst = 60     // day number of March 1st in the year 0, a leap year
	)
	z := days + era - marchFirst // so that January and February of the year 0 are not negative
	doe := uint32(z % era)
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	m := (5*doy + 2) / 153
	dom = doy - (153*m+2)/5 + 1
	month = m + 3
	year = yoe + uint32(z/era)*400
	if month > 12 {
		month -= 12
		year++
	}
	return year - 400, month, dom
}
