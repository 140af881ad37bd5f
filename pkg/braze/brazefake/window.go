package brazefake

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/quota"
)

// window counts the requests of the quota's current window.
type window struct {
	mu    sync.Mutex
	start time.Time
	used  int
}

// take counts a request, or says that there is no room for it, and returns what is left and when the
// window ends. Windows begin at multiples of their length: those of an hour with the hour of the clock
// (braze-docs: api_limits).
func (w *window) take(now time.Time, rate quota.Rate) (ok bool, left int, end time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if start := now.Truncate(rate.Per); !start.Equal(w.start) {
		w.start, w.used = start, 0
	}
	end = w.start.Add(rate.Per)
	if w.used >= rate.Count {
		return false, 0, end
	}
	w.used++
	return true, rate.Count - w.used, end
}

// pools are the windows of all budgets but that of /users/track, by name; a broadcast's audience has one
// of its own.
type pools struct {
	mu      sync.Mutex
	windows map[string]*window
}

func (p *pools) window(name string) *window {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.windows == nil || len(p.windows) > 10_000 {
		p.windows = map[string]*window{} // audiences are made up by clients
	}
	if p.windows[name] == nil {
		p.windows[name] = &window{}
	}
	return p.windows[name]
}

func (p *pools) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.windows = nil
}

// spend takes a request out of a pool and writes what is left into the headers. The zero reply lets it
// through.
func (s *Sandbox) spend(c *call, h http.Header, pool *braze.Pool) reply {
	rate, w := c.knobs.rateOf(pool), &s.window
	if rate.IsZero() {
		return reply{}
	}
	if pool != braze.PoolTrack {
		w = s.pools.window(pool.Name)
	}
	return s.draw(c, h, w, rate)
}

// spendOnAudience takes a broadcast out of what its audience may be sent in a minute. The headers speak of
// that only where it refuses.
func (s *Sandbox) spendOnAudience(c *call, h http.Header, audience string) reply {
	own := http.Header{}
	answer := s.draw(c, own, s.pools.window("audience\x00"+audience), quota.Rate{Count: braze.MaxAudienceBroadcasts, Per: time.Minute})
	if answer.status != 0 {
		clearQuota(h)
		maps.Copy(h, own)
	}
	return answer
}

func (s *Sandbox) draw(c *call, h http.Header, w *window, rate quota.Rate) reply {
	ok, left, end := w.take(c.at, rate)
	clearQuota(h)
	quotaHeaders(h, &c.knobs, rate.Count, !ok, left, c.at, end)
	if !ok {
		s.counters.mishap("429 for want of quota")
		return fatal(http.StatusTooManyRequests, "Rate limit exceeded")
	}
	return reply{}
}

func clearQuota(h http.Header) {
	for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
		h.Del(name)
	}
}

// rateOf is what the pool may be asked for: its documented default, or what the knobs say of it. The
// zero Rate is no limit.
func (k *Knobs) rateOf(pool *braze.Pool) quota.Rate {
	if pool == braze.PoolTrack {
		if k.RateLimit == 0 {
			return quota.Rate{}
		}
		return quota.Rate{Count: k.RateLimit, Per: k.RateWindow}
	}
	if rates, err := parsePoolLimits(k.PoolLimits); err == nil {
		if rate, set := rates[pool.Name]; set {
			return rate
		}
		if rate, set := rates["all"]; set {
			return rate
		}
	}
	return pool.Rate
}

// parsePoolLimits reads "general=100/1h,export=5/1m"; "all" stands for every pool that is not named, and
// "none" for no limit.
func parsePoolLimits(text string) (map[string]quota.Rate, error) {
	rates := map[string]quota.Rate{}
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue
		}
		name, value, _ := strings.Cut(entry, "=")
		known := name == "all"
		for _, pool := range braze.Pools() {
			known = known || pool.Name == name && pool != braze.PoolTrack
		}
		if !known {
			return nil, fmt.Errorf("there is no pool %q", name)
		}
		if value == "none" {
			rates[name] = quota.Rate{}
			continue
		}
		rate, err := quota.ParseRate(value)
		if err != nil {
			return nil, fmt.Errorf("pool %s: %w", name, err)
		}
		rates[name] = rate
	}
	return rates, nil
}

// quotaHeaders writes the headers of one of Braze's two dialects (braze-docs: api_limits,
// post_user_track).
func quotaHeaders(h http.Header, k *Knobs, limit int, throttled bool, left int, now, end time.Time) {
	seconds := int64((end.Sub(now) + time.Second - 1) / time.Second)
	if k.Dialect == DialectDelta && throttled {
		h.Set("X-Ratelimit-Retry-After", strconv.FormatInt(seconds, 10))
		return
	}
	reset := seconds
	if k.Dialect == DialectEpoch {
		reset = (end.UnixNano() + int64(time.Second) - 1) / int64(time.Second)
	}
	h.Set("X-Ratelimit-Limit", strconv.Itoa(limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(left))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(reset, 10))
}
