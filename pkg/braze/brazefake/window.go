package brazefake

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// window counts the requests of the quota's current window.
type window struct {
	mu    sync.Mutex
	start time.Time
	used  int
}

// take counts a request, or says that there is no room for it, and returns what is left and when the
// window ends.
func (w *window) take(now time.Time, k *Knobs) (ok bool, left int, end time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if start := now.Truncate(k.RateWindow); !start.Equal(w.start) {
		w.start, w.used = start, 0
	}
	end = w.start.Add(k.RateWindow)
	if w.used >= k.RateLimit {
		return false, 0, end
	}
	w.used++
	return true, k.RateLimit - w.used, end
}

// quotaHeaders writes the headers of one of Braze's two dialects (braze-docs: api_limits,
// post_user_track).
func quotaHeaders(h http.Header, k *Knobs, throttled bool, left int, now, end time.Time) {
	seconds := int64((end.Sub(now) + time.Second - 1) / time.Second)
	if k.Dialect == DialectDelta && throttled {
		h.Set("X-Ratelimit-Retry-After", strconv.FormatInt(seconds, 10))
		return
	}
	limit := k.RateLimit
	if limit == 0 {
		limit = 3000
	}
	reset := seconds
	if k.Dialect == DialectEpoch {
		reset = (end.UnixNano() + int64(time.Second) - 1) / int64(time.Second)
	}
	h.Set("X-Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(left))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(reset, 10))
}
