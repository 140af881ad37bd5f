package quota_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/quota"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// header makes an http.Header of name, value pairs.
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func epoch(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

func TestParseHeaders(t *testing.T) {
	tests := []struct {
		name   string
		header http.Header
		want   quota.Hint
	}{
		{name: "no header, no hint"},
		{
			name:   "the standard dialect gives the reset as an epoch",
			header: header("x-ratelimit-limit", "3000", "x-ratelimit-remaining", "2999", "x-ratelimit-reset", epoch(now.Add(2*time.Second))),
			want:   quota.Hint{Limit: 3000, Remaining: 2999, Counted: true, ResetAt: now.Add(2 * time.Second)},
		},
		{
			name:   "the newer dialect gives the reset as seconds left",
			header: header("X-RateLimit-Limit", "500000", "X-RateLimit-Remaining", "0", "X-RateLimit-Reset", "1800"),
			want:   quota.Hint{Limit: 500000, Counted: true, ResetAt: now.Add(30 * time.Minute)},
		},
		{
			name:   "the newer dialect's 429 has one header of its own",
			header: header("X-Ratelimit-Retry-After", "17"),
			want:   quota.Hint{RetryAt: now.Add(17 * time.Second)},
		},
		{
			name:   "a plain Retry-After in seconds counts",
			header: header("Retry-After", "5"),
			want:   quota.Hint{RetryAt: now.Add(5 * time.Second)},
		},
		{
			name:   "a plain Retry-After as a date counts",
			header: header("Retry-After", now.Add(90*time.Second).Format(http.TimeFormat)),
			want:   quota.Hint{RetryAt: now.Add(90 * time.Second)},
		},
		{
			name:   "Braze's own Retry-After goes before the plain one",
			header: header("X-Ratelimit-Retry-After", "2", "Retry-After", "50"),
			want:   quota.Hint{RetryAt: now.Add(2 * time.Second)},
		},
		{
			name:   "a plain Retry-After stands in where Braze's own is nonsense",
			header: header("X-Ratelimit-Retry-After", "soon", "Retry-After", "50"),
			want:   quota.Hint{RetryAt: now.Add(50 * time.Second)},
		},
		{
			name: "an epoch is read against the answer's Date, so our clock may be off",
			header: header("Date", now.Add(-3*time.Hour).Format(http.TimeFormat),
				"X-Ratelimit-Reset", epoch(now.Add(-3*time.Hour+2*time.Second))),
			want: quota.Hint{ResetAt: now.Add(2 * time.Second)},
		},
		{
			name: "a date is read against the answer's Date too",
			header: header("Date", now.Add(3*time.Hour).Format(http.TimeFormat),
				"Retry-After", now.Add(3*time.Hour+9*time.Second).Format(http.TimeFormat)),
			want: quota.Hint{RetryAt: now.Add(9 * time.Second)},
		},
		{
			name:   "a reset in the past is now",
			header: header("X-RateLimit-Reset", epoch(now.Add(-time.Minute))),
			want:   quota.Hint{ResetAt: now},
		},
		{
			name:   "a wait of hours is cut to the longest documented window",
			header: header("X-RateLimit-Reset", epoch(now.Add(5*time.Hour)), "Retry-After", "7200"),
			want:   quota.Hint{ResetAt: now.Add(time.Hour), RetryAt: now.Add(time.Hour)},
		},
		{
			name:   "fractions of a second are read",
			header: header("Retry-After", "0.25"),
			want:   quota.Hint{RetryAt: now.Add(250 * time.Millisecond)},
		},
		{
			name:   "a wait of years is nonsense",
			header: header("X-RateLimit-Reset", "900000000", "Retry-After", "99999999999999999999999"),
		},
		{
			name:   "an epoch in milliseconds is nonsense here",
			header: header("X-RateLimit-Reset", strconv.FormatInt(now.UnixMilli(), 10)),
		},
		{
			name: "words, signs, exponents and infinities are nonsense",
			header: header("X-RateLimit-Limit", "-3", "X-RateLimit-Remaining", "-1", "X-RateLimit-Reset", "1e3",
				"X-RateLimit-Retry-After", "inf", "Retry-After", "-5"),
		},
		{
			name:   "no limit at all is nonsense",
			header: header("X-RateLimit-Limit", "0"),
		},
		{
			name:   "more left than there was is nonsense",
			header: header("X-RateLimit-Limit", "10", "X-RateLimit-Remaining", "11"),
			want:   quota.Hint{Limit: 10},
		},
		{
			name:   "nonsense in one header leaves the others standing",
			header: header("X-RateLimit-Limit", "many", "X-RateLimit-Remaining", "7", "X-RateLimit-Reset", "2"),
			want:   quota.Hint{Remaining: 7, Counted: true, ResetAt: now.Add(2 * time.Second)},
		},
		{
			name:   "spaces around a number do no harm",
			header: header("X-RateLimit-Remaining", " 7 ", "Retry-After", " 3 "),
			want:   quota.Hint{Remaining: 7, Counted: true, RetryAt: now.Add(3 * time.Second)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, quota.ParseHeaders(tt.header, now)); diff != "" {
				t.Errorf("hint (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHintWait(t *testing.T) {
	tests := []struct {
		name string
		hint quota.Hint
		want time.Duration
	}{
		{name: "nothing said, nothing to wait for"},
		{name: "a retry time is waited for", hint: quota.Hint{RetryAt: now.Add(time.Second)}, want: time.Second},
		{
			name: "the retry time goes before the reset",
			hint: quota.Hint{RetryAt: now.Add(time.Second), ResetAt: now.Add(time.Minute), Throttled: true},
			want: time.Second,
		},
		{
			name: "a throttled answer waits for the reset",
			hint: quota.Hint{ResetAt: now.Add(time.Minute), Throttled: true},
			want: time.Minute,
		},
		{
			name: "an exhausted window waits for the reset",
			hint: quota.Hint{Counted: true, ResetAt: now.Add(time.Minute)},
			want: time.Minute,
		},
		{
			name: "a reset alone is no reason to wait",
			hint: quota.Hint{Remaining: 5, Counted: true, ResetAt: now.Add(time.Minute)},
		},
		{name: "what has passed is not waited for", hint: quota.Hint{RetryAt: now.Add(-time.Minute)}},
		{name: "no wait is longer than the longest", hint: quota.Hint{RetryAt: now.Add(9 * time.Hour)}, want: quota.MaxWait},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.hint.Wait(now); got != tt.want {
				t.Errorf("Wait() = %v, want %v", got, tt.want)
			}
		})
	}
}

// FuzzParseHeaders holds that no header can make us wait for longer than MaxWait, or into the past.
func FuzzParseHeaders(f *testing.F) {
	f.Add("3000", "2999", "1772600769", "", "", "Wed, 04 Mar 2026 05:06:07 GMT")
	f.Add("500000", "0", "1800", "", "", "")
	f.Add("", "", "", "17", "", "")
	f.Add("", "", "", "", "Wed, 04 Mar 2026 05:07:07 GMT", "")
	f.Add("-1", "1e9", "9223372036854775807", "NaN", "0x10", "Mon, 01 Jan 0001 00:00:00 GMT")
	f.Add("..", ".", "1.7976931348623157e308", ".5", "99999999999999999999.9", "garbage")
	f.Fuzz(func(t *testing.T, limit, remaining, reset, retry, plain, date string) {
		hint := quota.ParseHeaders(header("X-RateLimit-Limit", limit, "X-RateLimit-Remaining", remaining,
			"X-RateLimit-Reset", reset, "X-RateLimit-Retry-After", retry, "Retry-After", plain, "Date", date), now)
		for _, at := range []time.Time{hint.ResetAt, hint.RetryAt} {
			if !at.IsZero() && (at.Before(now) || at.After(now.Add(quota.MaxWait))) {
				t.Errorf("a moment at %v, want it within %v of %v", at, quota.MaxWait, now)
			}
		}
		if hint.Limit < 0 || hint.Remaining < 0 || hint.Limit > 0 && hint.Remaining > hint.Limit {
			t.Errorf("%d of %d are left", hint.Remaining, hint.Limit)
		}
		q := quota.New(quota.Rate{Count: 1, Per: time.Second})
		q.Learn(now, hint)
		if wait := q.Take(now.Add(quota.MaxWait)); wait != 0 {
			t.Errorf("still %v to wait after %v", wait, quota.MaxWait)
		}
	})
}
