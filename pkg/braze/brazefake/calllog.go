package brazefake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Call is a call to an endpoint other than those of /users/track, as it came in.
type Call struct {
	Request  int64           `json:"request"` // its number
	At       time.Time       `json:"at"`
	Endpoint string          `json:"endpoint"`
	Path     string          `json:"path"`
	Status   int             `json:"status"` // of the answer; 0 when the connection was dropped
	Items    int             `json:"items"`
	Users    []string        `json:"users,omitempty"`
	Body     json.RawMessage `json:"body"`
	Fate     Fate            `json:"fate,omitempty"` // empty when it was refused
	Mishap   string          `json:"mishap,omitempty"`
}

// callLog is what came in; beyond limit the oldest are forgotten.
type callLog struct {
	limit int
	mu    sync.Mutex
	list  []Call
}

func (l *callLog) add(c *call, r *http.Request, body []byte, users []string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = bounded(append(l.list, Call{
		Request: c.number, At: c.at, Endpoint: c.endpoint.String(), Path: r.URL.EscapedPath(), Status: status, Items: c.items,
		Users: users, Body: body, Fate: c.fate, Mishap: c.mishap.String(),
	}), l.limit)
}

// bounded is a list without its oldest entries; a limit of 0 is none.
func bounded[T any](list []T, limit int) []T {
	if limit > 0 && len(list) > limit {
		return list[len(list)-limit:]
	}
	return list
}

func (l *callLog) last(n int, endpoint string) []Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	return newest(l.list, n, func(c *Call) bool { return endpoint == "" || strings.Contains(c.Endpoint, endpoint) })
}

// newest are at most n entries that match, the newest first.
func newest[T any](list []T, n int, matches func(*T) bool) []T {
	out := []T{}
	for i := len(list) - 1; i >= 0 && len(out) < n; i-- {
		if matches(&list[i]) {
			out = append(out, list[i])
		}
	}
	return out
}

func (l *callLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// Calls are the calls to endpoints other than those of /users/track, in the order in which they were
// answered.
func (s *Sandbox) Calls() []Call {
	s.calls.mu.Lock()
	defer s.calls.mu.Unlock()
	return slices.Clone(s.calls.list)
}
