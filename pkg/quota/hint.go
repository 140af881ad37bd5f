package quota

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Hint is what an answer's headers say about the quota. The zero Hint says nothing.
//
// Braze speaks two dialects under the same names (braze-docs: api_limits, post_user_track):
//
//	X-RateLimit-Limit        requests per window
//	X-RateLimit-Remaining    of these, left
//	X-RateLimit-Reset        when the window ends: UTC epoch seconds for most accounts, seconds from
//	                         now for accounts with the newer hourly limits
//	X-Ratelimit-Retry-After  with the latter, on a 429 only and in place of the three: seconds to wait
//
// The plain Retry-After, in seconds or as a date, is what a proxy in between would send.
type Hint struct {
	Limit     int       // requests per window for everybody who shares it; 0 when not said
	Remaining int       // of these, left; only when Counted
	Counted   bool      // Remaining was said
	ResetAt   time.Time // end of the window; zero when not said
	RetryAt   time.Time // not to be asked before; zero when not said
	// Throttled says that the answer was a 429. Headers do not tell; whoever saw the status sets it.
	Throttled bool
}

const (
	// MaxWait bounds every wait that a header can cause. Braze's longest documented window is the
	// clock hour.
	MaxWait = time.Hour
	// longestSaid is the longest wait that is taken for meant, and cut to MaxWait; anything longer is
	// taken for nonsense and ignored.
	longestSaid = 31 * 24 * time.Hour
	// smallestEpoch tells an epoch from a number of seconds to wait: as the latter it would be 31
	// years, as the former it is in 2001.
	smallestEpoch = 1_000_000_000
)

// ParseHeaders reads the quota out of an answer's headers, received now. What makes no sense is
// ignored, header by header; times are never more than [MaxWait] after now.
//
// Epochs and dates are read against the answer's own Date header where there is one, so a clock of
// ours that is off does not turn a reset in two seconds into one an hour away.
func ParseHeaders(h http.Header, now time.Time) Hint {
	var hint Hint
	server := now
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		server = date
	}
	if n, ok := count(h.Get("X-Ratelimit-Limit")); ok && n > 0 {
		hint.Limit = n
	}
	if n, ok := count(h.Get("X-Ratelimit-Remaining")); ok && (hint.Limit == 0 || n <= hint.Limit) {
		hint.Remaining, hint.Counted = n, true
	}
	hint.ResetAt = moment(h.Get("X-Ratelimit-Reset"), now, server)
	hint.RetryAt = moment(h.Get("X-Ratelimit-Retry-After"), now, server)
	if hint.RetryAt.IsZero() {
		hint.RetryAt = moment(h.Get("Retry-After"), now, server)
	}
	return hint
}

// Wait is how long, from now, the answer asks us to hold back before the next attempt: until RetryAt,
// or, when only the window's end was said and nothing remains of it, until ResetAt. It is 0 when the
// answer asks for nothing, and fit to be the hint of a retry schedule.
func (h Hint) Wait(now time.Time) time.Duration {
	until := h.RetryAt
	if until.IsZero() && (h.Throttled || h.Counted && h.Remaining == 0) {
		until = h.ResetAt
	}
	if until.IsZero() {
		return 0
	}
	return min(max(until.Sub(now), 0), MaxWait)
}

// count reads a plain number of requests.
func count(text string) (int, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
	return int(n), err == nil && n >= 0
}

// moment reads a time that may be given as seconds from now, as epoch seconds or as an HTTP date, and
// returns it by our clock. It is zero for nonsense. A moment that has passed is now.
func moment(text string, now, server time.Time) time.Time {
	text = strings.TrimSpace(text)
	if text == "" {
		return time.Time{}
	}
	var wait time.Duration
	if seconds, ok := seconds(text); ok {
		if seconds >= smallestEpoch {
			seconds -= float64(server.UnixMilli()) / 1000
		}
		if seconds > longestSaid.Seconds() || seconds < -longestSaid.Seconds() {
			return time.Time{}
		}
		wait = time.Duration(seconds * float64(time.Second)).Round(time.Millisecond)
	} else if date, err := http.ParseTime(text); err == nil {
		wait = date.Sub(server)
		if wait > longestSaid || wait < -longestSaid {
			return time.Time{}
		}
	} else {
		return time.Time{}
	}
	return now.Add(min(max(wait, 0), MaxWait))
}

// seconds reads a plain decimal number; the other forms of strconv.ParseFloat ("1e9", "0x10", "inf")
// are none.
func seconds(text string) (float64, bool) {
	for _, c := range []byte(text) {
		if (c < '0' || c > '9') && c != '.' {
			return 0, false
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil
}
