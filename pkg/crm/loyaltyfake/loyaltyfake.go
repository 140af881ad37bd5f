// Package loyaltyfake is a loyalty programme as a company may have built one for itself: members with points and a tier
// behind a plain JSON API. It is an [http.Handler] that is strict about what it takes, honours Idempotency-Key, remembers
// every write in order, has bad days on request, and tells of what has changed by POST /v1/crm/changes of an ingest.
//
//	PUT   /v1/members/{id}     sets the fields that are named, and makes the member where it is missing
//	PATCH /v1/members/{id}     the same of a member that is there; 404 otherwise
//	GET   /v1/members/{id}
//	POST  /v1/members/batch    {"mode": "upsert" or "update", "members": [{"id": …, fields…}]}, at most 50
//
// A refusal is {"code", "message"}: 422 of a member's fields, and in a batch, which is answered 200, the same for each
// member. Fields are points (a whole number, not below 0), tier (bronze, silver, gold), email_opt_in and name; null
// empties the last two.
package loyaltyfake

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// DefaultKey is the API key that is accepted when Options name none.
const DefaultKey = "loyalty-sandbox"

// Options say what programme is played. The zero Options are one in which nothing goes wrong.
type Options struct {
	Key string // bearer token; DefaultKey when empty
	// Actor is who changes come from that are made with the key; "api" when empty.
	Actor   string
	Changes Changes
	// MaxWrites bounds the log of writes, and the idempotency keys that are remembered: beyond it the oldest are
	// forgotten. 0 means no bound, which is for tests.
	MaxWrites int
	Seed      uint64           // of everything that is left to chance
	Now       func() time.Time // time.Now when nil
}

// Member is somebody in the programme.
type Member struct {
	ID      string                    `json:"id"`
	Fields  map[string]jsontext.Value `json:"fields"`
	Version int64                     `json:"version"` // counts real changes, from 1
}

// Write is one member that was written, by whomever.
type Write struct {
	Call           int                       `json:"call"` // number of the call, from 1; 0 of an edit by a person
	ID             string                    `json:"id"`
	Fields         map[string]jsontext.Value `json:"fields"` // as they were sent
	New            bool                      `json:"new,omitzero"`
	IdempotencyKey string                    `json:"idempotency_key,omitzero"`
	Actor          string                    `json:"actor"`
	At             time.Time                 `json:"at"`
}

// Sandbox is the fake programme. It is an [http.Handler], safe for concurrent use.
type Sandbox struct {
	options Options
	mux     *http.ServeMux

	mu      sync.Mutex
	members map[string]*Member
	writes  []Write
	replays map[string]replay
	order   []string // of the keys of replays
	calls   map[string]int
	count   int
	dice    *rand.Rand
	knobs   Knobs
	script  []Fault
	down    bool
	queue   []change
	wake    chan struct{}
}

// New makes a sandbox.
func New(o Options) *Sandbox {
	if o.Key == "" {
		o.Key = DefaultKey
	}
	if o.Actor == "" {
		o.Actor = "api"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Changes = o.Changes.withDefaults()
	s := &Sandbox{
		options: o, mux: http.NewServeMux(), wake: make(chan struct{}, 1),
		dice: rand.New(rand.NewPCG(o.Seed, 0x4C4F59)), //nolint:gosec // no secret
	}
	s.Reset()
	s.mux.HandleFunc("PUT /v1/members/{id}", s.api("PUT member", s.put))
	s.mux.HandleFunc("PATCH /v1/members/{id}", s.api("PATCH member", s.patch))
	s.mux.HandleFunc("GET /v1/members/{id}", s.api("GET member", s.get))
	s.mux.HandleFunc("POST /v1/members/batch", s.api("batch", s.batch))
	s.mux.HandleFunc("POST /_sandbox/edit", s.editByHTTP)
	s.mux.HandleFunc("GET /_sandbox/writes", s.writesByHTTP)
	return s
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

// Reset forgets everything but the options and the knobs.
func (s *Sandbox) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members, s.replays, s.calls = map[string]*Member{}, map[string]replay{}, map[string]int{}
	s.writes, s.order, s.queue, s.script, s.count, s.down = nil, nil, nil, nil, 0, false
}
