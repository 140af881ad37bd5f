// Package hubspotfake is a HubSpot portal that runs anywhere: an [http.Handler] that answers the calls of the CRM API
// that a write-back makes, as strictly as the documentation says, remembers every write in order, has bad days on
// request, and tells of what has changed by signed webhooks as the real one does.
//
// A call's way:
//
//	tokens.go     who asks? private apps' tokens, and those of OAuth, which run out            401
//	limits.go     ten-second and daily limits, with their headers                              429
//	faults.go     what goes wrong, before or after applying                                    5xx, 423, a dropped connection
//	batch.go, read.go   upsert, update and read, 100 inputs at most                            400
//	values.go     does each property take its value?                                           400, or a row of a 207
//	store.go      objects, their unique properties, and the log of writes
//	associate.go  notes and whom they are about
//	events.go     what has changed, if it really has
//	webhooks.go   who is told of it, in batches, signed with v3
//	inspect.go    what a person may do and see: edits as from the CRM's own pages
//
// Where the documentation is silent, one of these was chosen: an unknown or read-only property, and an address that is
// none, fail the whole call with 400; any other value that a property does not take fails its row with 207; a unique
// value that another object has fails its row as CONFLICT; upsert with null among the values fails the call.
package hubspotfake

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// DefaultToken is the private app's token that is accepted when Options name none.
const DefaultToken = "pat-sandbox"

// Options say what portal is played. The zero Options are one without limits in which nothing goes wrong.
type Options struct {
	Tokens []string // of private apps; DefaultToken when there is none
	OAuth  OAuth
	// PerInterval is how many calls go in each Interval, 0 for any number; Daily likewise for a day of UTC.
	PerInterval, Daily int
	Interval           time.Duration // 10 s when 0
	// Types are the kinds of object and their properties, by name; DefaultTypes when nil.
	Types           map[string][]Property
	Webhook         Webhook
	PortalID, AppID int64  // 50687303 and 25681700 when 0
	Seed            uint64 // of everything that is left to chance
	// MaxWrites bounds the log of writes: beyond it the oldest are forgotten. 0 means no bound, which is for tests.
	MaxWrites int
	Now       func() time.Time // time.Now when nil
}

// Sandbox is the fake portal. It is an [http.Handler], safe for concurrent use.
type Sandbox struct {
	options Options
	mux     *http.ServeMux

	mu     sync.Mutex
	dice   *rand.Rand
	tokens map[string]time.Time // of OAuth, with the time at which each runs out
	issued int
	window []time.Time // calls of the current interval
	day    string
	daily  int
	knobs  Knobs
	script []Fault
	calls  map[string]int // by method and path
	count  int
	store  store
	hooks  hooks
}

// New makes a sandbox.
func New(o Options) *Sandbox {
	if len(o.Tokens) == 0 {
		o.Tokens = []string{DefaultToken}
	}
	if o.Types == nil {
		o.Types = DefaultTypes()
	}
	if o.Interval == 0 {
		o.Interval = 10 * time.Second
	}
	if o.PortalID == 0 {
		o.PortalID = 50687303
	}
	if o.AppID == 0 {
		o.AppID = 25681700
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Sandbox{
		options: o, mux: http.NewServeMux(), tokens: map[string]time.Time{}, calls: map[string]int{},
		dice: rand.New(rand.NewPCG(o.Seed, 0x48534654)), //nolint:gosec // no secret
	}
	s.store.init(o.Types, o.MaxWrites)
	s.hooks.init(o)
	s.routes()
	return s
}

func (s *Sandbox) routes() {
	s.mux.HandleFunc("POST /oauth/v1/token", s.token)
	s.mux.HandleFunc("POST /crm/v3/objects/{type}/batch/upsert", s.api(s.upsert))
	s.mux.HandleFunc("POST /crm/v3/objects/{type}/batch/update", s.api(s.update))
	s.mux.HandleFunc("POST /crm/v3/objects/{type}/batch/read", s.api(s.read))
	s.mux.HandleFunc("POST /crm/v4/associations/{from}/{to}/batch/associate/default", s.api(s.associate))
	s.mux.HandleFunc("POST /_sandbox/edit", s.editByHTTP)
	s.mux.HandleFunc("GET /_sandbox/objects/{type}", s.listByHTTP)
	s.mux.HandleFunc("GET /_sandbox/writes", s.writesByHTTP)
}

// ServeHTTP answers a call.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// NewServer returns a server for the sandbox with a limit on every wait.
func NewServer(s *Sandbox) *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}

// Calls says how many calls came, whatever became of them, by the last words of the path: "contacts/batch/upsert".
func (s *Sandbox) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]int, len(s.calls))
	for name, n := range s.calls {
		all[name] = n
	}
	return all
}

// Reset forgets objects, writes, calls and webhooks that wait; knobs and tokens stay.
func (s *Sandbox) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.init(s.options.Types, s.options.MaxWrites)
	s.hooks.queue = nil
	s.calls, s.window, s.daily = map[string]int{}, nil, 0
}
