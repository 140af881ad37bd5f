package currents

import (
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// latest is the last second of the year 9999: what follows no calendar of a warehouse can show.
const latest = 253_402_300_799

// moment is the time that a value says, in UTC and whole milliseconds. It is false for a value that
// says none, and for one before 1970 or after 9999.
func moment(value []byte) (time.Time, bool) {
	said := text(value)
	if said == "" {
		return time.Time{}, false
	}
	whole, fraction, plain := split(said)
	if !plain {
		// Not plain digits: an exponent, a sign, or a date.
		if number, ok := event.ParseMoney(said); ok {
			whole, fraction, plain = split(string(number))
		}
	}
	if plain {
		return unix(whole, fraction)
	}
	// Of the names of zones UTC alone means the same everywhere: of any other, time.Parse makes what this
	// machine's own zone calls so, and else UTC.
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 UTC", "2006-01-02T15:04:05", time.DateTime} {
		if t, err := time.Parse(layout, said); err == nil && t.Unix() >= 0 && t.Unix() <= latest {
			return t.UTC().Truncate(time.Millisecond), true
		}
	}
	return time.Time{}, false
}

// split parts a number into its digits before and behind the point. It is false for what is not digits.
func split(number string) (whole, fraction string, ok bool) {
	whole, fraction, _ = strings.Cut(number, ".")
	return whole, fraction, digits(whole) && (fraction == "" || digits(fraction))
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// unix is the time that so many seconds after 1970 is. A number too large for seconds is one of milli-,
// micro- or nanoseconds: the first has a thousand times as much to go until the year 5138.
func unix(whole, fraction string) (time.Time, bool) {
	if whole = strings.TrimLeft(whole, "0"); len(whole) > 19 {
		return time.Time{}, false
	}
	var n uint64
	for i := range len(whole) {
		n = n*10 + uint64(whole[i]-'0')
	}
	var millis int64
	switch {
	case n < 1e11:
		millis = int64(n)*1000 + thousandths(fraction)
	case n < 1e14:
		millis = int64(n)
	case n < 1e17:
		millis = int64(n / 1e3)
	default:
		millis = int64(n / 1e6)
	}
	if millis/1000 > latest {
		return time.Time{}, false
	}
	return time.UnixMilli(millis).UTC(), true
}

// thousandths are the first three digits behind the point.
func thousandths(fraction string) int64 {
	n := int64(0)
	for i := range 3 {
		n *= 10
		if i < len(fraction) {
			n += int64(fraction[i] - '0')
		}
	}
	return n
}
