package chaos

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// witness stands at the sandbox's door and notes who asks: each start of a sender has an API key of
// its own. What became of a request the sandbox knows itself.
type witness struct {
	sandbox *brazefake.Sandbox
	url     string

	mu    sync.Mutex
	seen  map[int64]*sighting // by the sandbox's number of the request
	bells map[string]*bell    // by post: who stands there may change while somebody waits
	count int
}

type sighting struct {
	sender   string
	at, left time.Time
	status   int
}

// mishaps are what Braze suffers throughout.
var mishaps = brazefake.Knobs{
	LatencyMin: 2 * time.Millisecond, LatencyMax: 40 * time.Millisecond,
	P429: 0.004, RetryAfter: 100 * time.Millisecond,
	P5xxBefore: 0.01, P5xxAfter: 0.006,
	PDropBefore: 0.01, PDropAfter: 0.006,
	PItemError: 0.001,
}

func startWitness(t testing.TB, seed uint64) *witness {
	t.Helper()
	w := &witness{
		sandbox: brazefake.New(brazefake.Options{Knobs: mishaps, Seed: seed}),
		seen:    map[int64]*sighting{}, bells: map[string]*bell{},
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := brazefake.NewServer(w.sandbox)
	server.Handler = w
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-served })
	w.url = "http://" + l.Addr().String()
	return w
}

// ServeHTTP notes a request and hands it on.
func (w *witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	sender := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	r.Header.Set("Authorization", "Bearer "+brazefake.DefaultKey)
	s := &sighting{sender: sender, at: time.Now()}
	w.arrived(sender)
	noted := &notingWriter{ResponseWriter: out, s: s}
	defer func() {
		s.left = time.Now()
		number, err := strconv.ParseInt(strings.TrimPrefix(out.Header().Get("X-Request-Id"), "sandbox-"), 10, 64)
		if err == nil {
			w.mu.Lock()
			w.seen[number] = s
			w.mu.Unlock()
		}
	}()
	w.sandbox.ServeHTTP(noted, r)
}

// arrived tells whoever waits for a sender, and lets Braze change the dialect in which it says 429.
func (w *witness) arrived(sender string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	post, _, _ := strings.Cut(sender, ".")
	w.bell(post).ring()
	if w.count++; w.count%200 == 0 {
		k := w.sandbox.Knobs()
		k.Dialect = brazefake.DialectDelta
		if w.count%400 == 0 {
			k.Dialect = brazefake.DialectEpoch
		}
		_ = w.sandbox.SetKnobs(k) // none that it has refused before
	}
}

func (w *witness) bell(post string) *bell {
	b := w.bells[post]
	if b == nil {
		b = &bell{}
		w.bells[post] = b
	}
	return b
}

// nextOf is closed when the next request arrives of whoever stands on a post.
func (w *witness) nextOf(post string) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bell(post).heard()
}

// notingWriter notes the status that goes out.
type notingWriter struct {
	http.ResponseWriter
	s *sighting
}

// WriteHeader implements [http.ResponseWriter].
func (n *notingWriter) WriteHeader(status int) {
	n.s.status = status
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the sandbox hang up.
func (n *notingWriter) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// requests are all that reached Braze, in order, and the rules that the sandbox saw broken.
func (w *witness) requests(strange *[]string) ([]Request, []string) {
	violations := w.sandbox.Violations()
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Request
	listed := map[int64]bool{}
	for o := range w.sandbox.Received() {
		if !listed[o.Request] {
			listed[o.Request] = true
			q := Request{Arrived: o.At, Applied: o.Fate != brazefake.NotApplied}
			if s := w.seen[o.Request]; s != nil {
				q.Sender, q.Status, q.Answered = s.sender, s.status, s.left
			} else {
				*strange = append(*strange, fmt.Sprintf("the sandbox's request %d came past the witness", o.Request))
			}
			list = append(list, q)
		}
		q := &list[len(list)-1]
		object, err := readObject(&o)
		if err != nil {
			*strange = append(*strange, fmt.Sprintf("the sandbox's request %d: %s: %v", o.Request, o.Properties, err))
			continue
		}
		if o.Array == braze.Attributes {
			q.Marks = append(q.Marks, object)
		} else {
			q.Events = append(q.Events, object)
		}
	}
	for number, s := range w.seen {
		if !listed[number] { // it was not even read
			list = append(list, Request{Sender: s.sender, Arrived: s.at, Answered: s.left, Status: s.status})
		}
	}
	return list, violations
}

// readObject reads which event an object is.
func readObject(o *brazefake.Received) (Object, error) {
	var which struct {
		Seq     int `json:"seq"`
		LastSeq int `json:"last_seq"`
	}
	if err := json.Unmarshal(o.Properties, &which); err != nil {
		return Object{}, err
	}
	return Object{Event{o.User, max(which.Seq, which.LastSeq)}, o.Fate == brazefake.RefusedItem}, nil
}
