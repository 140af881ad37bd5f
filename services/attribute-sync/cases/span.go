package cases

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Span is a duration that may be written in days: "14d", "1d12h", "90m".
type Span time.Duration

// Day is the span of 24 hours.
const Day = Span(24 * time.Hour)

// UnmarshalText reads the text form. The error is a config.Problem that quotes the text, since readers
// other than config.Load do not say which field they were at.
func (s *Span) UnmarshalText(text []byte) error {
	rest, days := string(text), 0.0
	if head, tail, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16)
		if err != nil {
			return notASpan(text)
		}
		if rest, days = tail, float64(n); rest == "" {
			rest = "0s"
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || days > 0 && d < 0 || days*float64(Day)+float64(d) > math.MaxInt64/2 {
		return notASpan(text)
	}
	*s = Span(days)*Day + Span(d)
	return nil
}

func notASpan(text []byte) error {
	return config.Problem{Field: "duration", Value: string(text), Allowed: "a duration such as 90m, 24h or 14d"}
}

// MarshalText writes the text form.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String is the text form, in whole days where it is that: "14d", "1d12h", "1h30m".
func (s Span) String() string {
	days, rest := s/Day, time.Duration(s%Day).String()
	if s%Day == 0 && days != 0 {
		return strconv.FormatInt(int64(days), 10) + "d"
	}
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(rest, zero) {
			rest = rest[:len(rest)-2]
		}
	}
	if days > 0 {
		return strconv.FormatInt(int64(days), 10) + "d" + rest
	}
	return rest
}

func (s Span) ms() int64 { return time.Duration(s).Milliseconds() }
