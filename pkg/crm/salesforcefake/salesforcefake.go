// Package salesforcefake is a Salesforce org that runs anywhere: an [http.Handler] that answers the part of the REST API by
// which records are written as strictly as the documentation says Salesforce does, remembers what it was told, has bad
// days when it is asked to, and tells of every change as an org does.
//
//	token.go                     tokens, for client credentials and for a signed assertion     400 401
//	gate.go, knobs.go            may this be asked, are there calls left, what goes wrong      401 403 404 503
//	collections.go               composite/sobjects: up to 200 records in one call             200 400 404
//	record.go                    sobjects: a single record, by id or by external id
//	query.go                     SELECT … FROM … WHERE … IN (…)
//	bulk.go, bulkrun.go          Bulk API 2.0 ingest
//	rows.go, validate.go, relation.go   the rules for one record
//	schema.go, store.go          which objects and which records there are
//	received.go                  what came in, call by call and row by row
//	changes.go, outbound.go      what really changed, told to others again and again until they acknowledge it
//	telling.go, soap.go          in which words
//	hand.go, inspect.go          edits by a person; all of it from outside, under /_sandbox/
//
// Where the documentation is silent the sandbox has a knob, or one of these choices: an unknown field or a value of the
// wrong type is an error of its row alone; of two records with one external id in a call the second fails; external
// ids match without regard to case; a record that is written with the values it has is not changed, and nobody is told;
// a bulk job does its work when it has been asked for its state often enough, so that it can be aborted before.
package salesforcefake

import (
	"crypto/rsa"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Options say what org the sandbox plays. The zero Options play one with [DefaultObjects], in which nothing goes wrong.
type Options struct {
	Objects    []Object // nil: DefaultObjects
	URL        string   // instance_url of tokens; the URL that was asked when empty
	Clients    []Client // of client credentials; none: id and secret "sandbox"
	Apps       []App    // of signed assertions
	DailyLimit int      // calls in 24 hours; 100,000 when 0
	Outbound   []Outbound
	Knobs      Knobs
	Seed       uint64 // of everything that is left to chance
	// MaxWrites bounds how many rows and calls are remembered; the oldest go first. 0 means no bound, for tests.
	MaxWrites int
	HTTP      *http.Client // for Outbound; one with a timeout of 10 s when nil
	Now       func() time.Time
}

// Client is a connected app for client credentials.
type Client struct {
	ID     string
	Secret config.Secret
	User   string // id of the user that it runs as; DefaultUser when empty
}

// App is a connected app for signed assertions.
type App struct {
	ConsumerKey string
	Username    string
	User        string // DefaultUser when empty
	Key         *rsa.PublicKey
	Audience    string // https://login.salesforce.com when empty
}

// The users of the sandbox, as actors of changes.
const (
	DefaultUser = "0055e00000Demo3AAC" // whom integrations write as
	Person      = "0055e00000Demo7AAC" // who edits by hand
)

// organization is the id of the org.
const organization = "00D5e000000DemoEAG"

// Sandbox is the org. It is an [http.Handler], safe for concurrent use.
type Sandbox struct {
	opts Options
	mux  *http.ServeMux
	out  []*outlet

	mu      sync.Mutex
	objects map[string]*table // by name in small letters
	order   []string
	tokens  map[string]*session
	jobs    map[string]*job
	ids     map[string]int64 // last number by prefix
	calls   []Call
	writes  []Write
	counted int // calls, forgotten ones among them
	usage   int
	day     time.Time // when usage began
	seq     int64     // of changes
	knobs   Knobs
	dice    *rand.Rand
}

// New makes an org. It must be closed, for the sake of what it tells others.
func New(o Options) (*Sandbox, error) {
	if o.Objects == nil {
		o.Objects = DefaultObjects()
	}
	if o.Clients == nil && o.Apps == nil {
		o.Clients = []Client{{ID: "sandbox", Secret: "sandbox"}}
	}
	if o.DailyLimit == 0 {
		o.DailyLimit = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	s := &Sandbox{
		opts: o, objects: map[string]*table{}, tokens: map[string]*session{}, jobs: map[string]*job{}, ids: map[string]int64{},
		dice: rand.New(rand.NewPCG(o.Seed, 7)), day: o.Now(), knobs: o.Knobs,
	}
	if err := o.Knobs.check(); err != nil {
		return nil, err
	}
	if err := s.define(o.Objects); err != nil {
		return nil, err
	}
	s.route()
	for i := range o.Outbound {
		out, err := s.outlet(o.Outbound[i])
		if err != nil {
			s.Close()
			return nil, err
		}
		s.out = append(s.out, out)
	}
	return s, nil
}

// Close stops telling others. What they have not acknowledged is forgotten.
func (s *Sandbox) Close() {
	for _, out := range s.out {
		out.close()
	}
}

// ServeHTTP answers as the org does.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Sandbox) route() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("POST /services/oauth2/token", s.serveToken)
	api := func(pattern, name string, f func(*call) answer) {
		method, path, _ := strings.Cut(pattern, " ")
		s.mux.HandleFunc(method+" /services/data/{version}"+path, s.gate(name, f))
	}
	api("PATCH /composite/sobjects/{object}/{field}", "collections", s.upsertMany)
	api("PATCH /composite/sobjects", "collections", s.updateMany)
	api("POST /composite/sobjects", "collections", s.createMany)
	api("PATCH /sobjects/{object}/{field}/{key}", "record", s.upsertOne)
	api("GET /sobjects/{object}/{field}/{key}", "record", s.getByKey)
	api("PATCH /sobjects/{object}/{id}", "record", s.updateOne)
	api("GET /sobjects/{object}/{id}", "record", s.getByID)
	api("GET /query", "query", s.query)
	api("POST /jobs/ingest", "bulk", s.createJob)
	api("GET /jobs/ingest/{id}", "bulk", s.getJob)
	api("PATCH /jobs/ingest/{id}", "bulk", s.closeJob)
	api("PUT /jobs/ingest/{id}/batches", "bulk", s.fillJob)
	api("GET /jobs/ingest/{id}/{list}", "bulk", s.jobList)
	api("GET /jobs/ingest/{id}/{list}/{$}", "bulk", s.jobList)
	s.mux.HandleFunc("/services/", s.gate("unknown", func(*call) answer { return notFound() }))
	s.inspection()
}
