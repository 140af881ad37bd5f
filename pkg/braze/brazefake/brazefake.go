// Package brazefake is a Braze that runs anywhere: an [http.Handler] that answers every endpoint of
// [braze.Endpoints] as strictly as the documentation says Braze does, remembers what it was told, suffers
// the mishaps it is asked to suffer, and watches over the manners of its client.
//
// A call's way to /users/track:
//
//	gate.go, auth.go, window.go   may this be asked at all, and is there quota left?   401 403 404 415 429
//	object.go            the body taken apart, each object once                  400 413
//	inflight.go          is one of its users in another call still under way?    a violation
//	mishap.go            what goes wrong, before or after applying               5xx, a dropped connection
//	attributes.go, events.go, ecommerce.go   the rules for single objects        201 with errors
//	apply.go, people.go, profile.go, operators.go   what it does to profiles, now or later
//	received.go          what came in, and what became of it
//
// All others (calls.go) go through the same gate, flights and mishaps. Between them stands the planner of
// the endpoint, which looks at the body (form.go) and says what will be done:
//
//	trigger.go, message.go, transactional.go   what is sent, and to whom             sends.go
//	subscribe.go                               states of users and of addresses      subscriptions.go
//	identify.go, mergecall.go, rename.go, delete.go   who is who                     merging.go, changes.go
//	export.go                                  what is known
//	catalogcreate.go, catalogfields.go, catalogcalls.go   catalogs and their items              catalogs.go, catalogitem.go
//
// What customers do is told to others, when somebody asks for it: currents.go, reports.go, mailing.go. For
// whoever passes that on there is an endpoint that takes everything: collector.go.
//
// What can be asked about it all, and turned while it runs, is under /_sandbox/: inspect.go, knobs.go
// and page.go.
//
// Where Braze's documentation is silent the sandbox has a knob, or one of these choices:
//
//   - an item's index counts from 0; "…_processed" counts the objects that were not refused
//   - a body without objects, or one that is gzipped, is refused (400 and 415)
//   - an array that is no array is refused with the whole request, an object that is no object alone;
//     of the other endpoints one bad recipient, user or item is refused with all the others
//   - a refused request does not use up quota, except by a 429 nothing is ever refused for quota
//   - windows of quota are fixed, and begin at multiples of their length: an hour's with the clock's
//   - an event may be as old as it likes
//   - "deleted" counts the users that were named; a rename names the new ids
//   - an external_send_id that is taken is answered as the first time, and as queued until that is done
//   - what a catalog accepts and cannot do comes to nothing: creating what is there, changing what is not
//   - a member that is not documented is ignored, but for /users/merge, and noted as a violation
package brazefake

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// DefaultKey is the API key that is accepted when Options name none.
const DefaultKey = "sandbox"

// Key is an API key with what it may be used for.
type Key struct {
	Value string
	// Permissions such as "users.track". None at all means every one.
	Permissions []string
}

// Options say what account the sandbox plays, how much it remembers and what goes wrong. The zero
// Options play a current account in which nothing does, and remember everything.
type Options struct {
	Keys []Key // none: DefaultKey, which may do anything
	// MaxObjects per request over the three arrays; 0 means braze.MaxObjects, 50 plays some newer
	// contracts.
	MaxObjects int
	// LegacyArrays counts MaxObjects for each array by itself.
	LegacyArrays bool
	// BlockedIDs are external ids that Braze blocks, as it does with those of dummy users.
	BlockedIDs []string
	Knobs      Knobs
	Seed       uint64 // of everything that is left to chance
	// MaxProfiles, MaxEventsPerUser (events, and purchases likewise) and MaxReceived (objects in the
	// log of what came in) bound the memory: beyond them the oldest are forgotten. 0 means no bound,
	// which is for tests.
	MaxProfiles, MaxEventsPerUser, MaxReceived int
	// Campaigns are the campaigns and Canvases that there are, by id; nil means that every id is one that
	// is active and of whatever kind is asked for.
	Campaigns map[string]Campaign
	// CatalogBytes is how much all catalogs may hold together, 0 for the 500 MB of the free tier.
	CatalogBytes int
	// Forget counts and answers, and does nothing else: no rules for objects, no profiles, no watch over
	// users in flight. It is for measuring a client.
	Forget bool
}

// Campaign is a campaign or a Canvas of the account.
type Campaign struct {
	Kind  CampaignKind
	State CampaignState
}

// CampaignKind is which calls may send it.
type CampaignKind string

// The kinds.
const (
	APICampaign           CampaignKind = "campaign"
	Canvas                CampaignKind = "canvas"
	TransactionalCampaign CampaignKind = "transactional"
)

// CampaignState is whether it is sent; empty is active.
type CampaignState string

// The states.
const (
	Active   CampaignState = "active"
	Paused   CampaignState = "paused"
	Archived CampaignState = "archived"
)

// Sandbox is the fake. It is an [http.Handler], safe for concurrent use.
type Sandbox struct {
	options Options
	blocked map[string]bool
	mux     *http.ServeMux

	knobs      atomic.Pointer[Knobs]
	numbers    atomic.Int64 // of requests
	window     window
	flights    flights
	violations violations
	people     people
	log        receivedLog
	requests   requestLog
	counters   counters
	pending    pending

	pools         pools
	calls         callLog
	sends         sendLog
	subscriptions subscriptions
	changes       changeLog
	catalogs      catalogs

	reporter  atomic.Pointer[reporter] // nil while nobody wants to hear of customers
	collector collector
}

// New returns a sandbox. It panics on knobs that [Sandbox.SetKnobs] would refuse.
func New(options Options) *Sandbox {
	if len(options.Keys) == 0 {
		options.Keys = []Key{{Value: DefaultKey}}
	}
	if options.MaxObjects <= 0 {
		options.MaxObjects = braze.MaxObjects
	}
	s := &Sandbox{options: options, blocked: map[string]bool{}}
	for _, id := range options.BlockedIDs {
		s.blocked[id] = true
	}
	if err := s.SetKnobs(options.Knobs); err != nil {
		panic("brazefake: " + err.Error())
	}
	s.pending.init()
	s.counters.init()
	s.sends.init(options.MaxReceived)
	s.calls.limit, s.changes.limit = options.MaxReceived, options.MaxReceived
	s.flights.init(&s.violations)
	s.people.init(options.MaxProfiles, options.MaxEventsPerUser, &s.counters)
	s.log.limit = options.MaxReceived
	s.routes()
	return s
}

// NewServer returns a server for the sandbox with a limit on every wait.
func NewServer(s *Sandbox) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}

// ServeHTTP answers a call to Braze, or a question about the sandbox.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == braze.UsersTrack.Path {
		s.track(w, r, braze.UsersTrack) // the way that must be short
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Drain waits until everything that was accepted is applied, or the context is done.
func (s *Sandbox) Drain(ctx context.Context) error {
	return s.pending.wait(ctx)
}

// Violations are the bad manners of the client, in words: a request with more objects or bytes than
// allowed, or a user who was in two requests at the same time. A test should fail on any.
//
// It waits for suspicions to be settled, which takes a second at most, and no time when there are none.
func (s *Sandbox) Violations() []string {
	s.flights.settle()
	return s.violations.list()
}

// Reset forgets everything but the options and the knobs, as they now stand.
func (s *Sandbox) Reset() {
	s.people.reset()
	s.log.reset()
	s.requests.reset()
	s.violations.reset()
	s.counters.reset()
	s.pools.reset()
	s.calls.reset()
	s.sends.reset()
	s.subscriptions.reset()
	s.changes.reset()
	s.catalogs.reset()
	s.collector.reset()
}

// Profile returns what is known of a user, who is named by a canonical id: the external id alone,
// "braze_id:…", "alias:<label>:<name>", "email:…" or "phone:…".
func (s *Sandbox) Profile(user string) (Profile, bool) {
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	p := s.people.find(parseUser(user))
	if p == nil {
		return Profile{}, false
	}
	return p.view(), true
}

// dice are thrown for one request. They depend on the seed and the request's number alone.
func (s *Sandbox) dice(number int64) *rand.Rand {
	return rand.New(rand.NewPCG(s.options.Seed, uint64(number)))
}

// violations are kept up to a bound, and counted beyond it.
type violations struct {
	mu    sync.Mutex
	kept  []string
	count int
}

const maxViolations = 1000

func (v *violations) add(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count++
	if len(v.kept) < maxViolations {
		v.kept = append(v.kept, text)
	}
}

func (v *violations) list() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.kept...)
}

func (v *violations) total() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count
}

func (v *violations) reset() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.kept, v.count = nil, 0
}

// raw copies JSON out of a body that will be used again.
func raw(b []byte) json.RawMessage {
	if len(b) == 0 {
		return nil
	}
	return append(json.RawMessage(nil), b...)
}
