package brazefake

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// Stats are the sandbox's totals since it began, or was reset.
type Stats struct {
	Requests   int64            `json:"requests"`
	ByStatus   map[string]int64 `json:"by_status"` // "dropped" for connections closed without an answer
	ByEndpoint map[string]int64 `json:"by_endpoint"`
	Bytes      int64            `json:"bytes"` // of bodies
	// Objects that came in, of these refused by themselves or with their whole request, and applied; by
	// array.
	Received map[string]int64 `json:"received"`
	Refused  map[string]int64 `json:"refused"`
	Applied  map[string]int64 `json:"applied"`
	// Pending are requests that are accepted and not yet applied.
	Pending int64 `json:"pending"`
	// Nobody counts objects for users who do not exist and were not to be created.
	Nobody int64 `json:"nobody"`
	// ValuesIgnored counts attributes that break a limit, left out without a word as Braze does.
	ValuesIgnored int64            `json:"values_ignored"`
	TimesClamped  int64            `json:"times_clamped"` // from the future to now
	Mishaps       map[string]int64 `json:"mishaps"`
	Fates         map[Fate]int64   `json:"fates"` // of objects
	Profiles      int              `json:"profiles"`
	Violations    int              `json:"violations"`
}

// counters are the live totals.
type counters struct {
	requests, bytes, nobody, valuesIgnored, clamped atomic.Int64
	received, refused, applied                      [3]atomic.Int64
	status                                          [600]atomic.Int64 // 0 is a dropped connection

	receivedPlace, appliedPlace atomic.Int64 // not reset: places stay unique

	mu         sync.Mutex
	mishaps    map[string]int64
	fates      map[Fate]int64
	byEndpoint map[*braze.Endpoint]*atomic.Int64 // made once
}

func (c *counters) init() {
	c.byEndpoint = map[*braze.Endpoint]*atomic.Int64{}
	for _, e := range braze.Endpoints() {
		c.byEndpoint[e] = new(atomic.Int64)
	}
}

func (c *counters) asked(e *braze.Endpoint) { c.byEndpoint[e].Add(1) }

func (c *counters) mishap(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mishaps == nil {
		c.mishaps = map[string]int64{}
	}
	c.mishaps[name]++
}

func (c *counters) fate(f Fate, n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fates == nil {
		c.fates = map[Fate]int64{}
	}
	c.fates[f] += int64(n)
}

func (c *counters) reset() {
	for _, n := range []*atomic.Int64{&c.requests, &c.bytes, &c.nobody, &c.valuesIgnored, &c.clamped} {
		n.Store(0)
	}
	for _, n := range c.byEndpoint {
		n.Store(0)
	}
	for a := range c.received {
		c.received[a].Store(0)
		c.refused[a].Store(0)
		c.applied[a].Store(0)
	}
	for i := range c.status {
		c.status[i].Store(0)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mishaps, c.fates = nil, nil
}

// Stats returns the totals.
func (s *Sandbox) Stats() Stats {
	c := &s.counters
	stats := Stats{
		Requests: c.requests.Load(), Bytes: c.bytes.Load(), Pending: s.pending.n.Load(), Nobody: c.nobody.Load(),
		ValuesIgnored: c.valuesIgnored.Load(), TimesClamped: c.clamped.Load(),
		ByStatus: map[string]int64{}, ByEndpoint: map[string]int64{}, Received: map[string]int64{}, Refused: map[string]int64{}, Applied: map[string]int64{},
		Mishaps: map[string]int64{}, Fates: map[Fate]int64{},
		Profiles: s.people.count(), Violations: s.violations.total(),
	}
	for status := range c.status {
		if n := c.status[status].Load(); n > 0 {
			name := strconv.Itoa(status)
			if status == 0 {
				name = "dropped"
			}
			stats.ByStatus[name] = n
		}
	}
	for e, n := range c.byEndpoint {
		if n := n.Load(); n > 0 {
			stats.ByEndpoint[e.String()] = n
		}
	}
	for a := braze.Attributes; a <= braze.Purchases; a++ {
		stats.Received[a.String()] = c.received[a].Load()
		stats.Refused[a.String()] = c.refused[a].Load()
		stats.Applied[a.String()] = c.applied[a].Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, n := range c.mishaps {
		stats.Mishaps[name] = n
	}
	for fate, n := range c.fates {
		stats.Fates[fate] = n
	}
	return stats
}

// Request is a call that came in.
type Request struct {
	Number   int64     `json:"number"`
	At       time.Time `json:"at"`
	Endpoint string    `json:"endpoint"`
	Status   int       `json:"status"` // 0 when the connection was dropped
	Bytes    int       `json:"bytes"`
	Objects  [3]int    `json:"objects"`         // attributes, events, purchases
	Items    int       `json:"items,omitempty"` // recipients, users or items of another endpoint
	Refused  int       `json:"refused"`         // of these, by themselves
	Fate     Fate      `json:"fate,omitempty"`
	Mishap   string    `json:"mishap,omitempty"`
	Message  string    `json:"message,omitempty"` // of a refusal
	Took     string    `json:"took"`
}

// requestLog is the latest requests.
type requestLog struct {
	mu   sync.Mutex
	ring [1000]Request
	n    int
}

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring[l.n%len(l.ring)] = r
	l.n++
}

// last returns at most n requests, the newest first.
func (l *requestLog) last(n int) []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Request, 0, min(n, l.n, len(l.ring)))
	for i := 0; i < cap(out); i++ {
		out = append(out, l.ring[(l.n-1-i)%len(l.ring)])
	}
	return out
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n = 0
}
