package brazesender_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
)

// front stands before a sandbox. It keeps every request as it came over the wire, and may answer in the
// sandbox's place: so an answer can be strict and follow a script, too.
type front struct {
	sandbox *brazefake.Sandbox
	mu      sync.Mutex
	changed sync.Cond
	came    int    // how many requests
	noted   int    // how many of them are answered
	wires   []wire // that are answered, in the order in which they came
	// instead is asked about every request before the sandbox is; nil, or the zero reply, lets the sandbox
	// answer. It may block, which holds the request up.
	instead func(w wire) reply
}

// wire is a request as it came in, and the status that it was answered with; 0 for none.
type wire struct {
	Place  int // in the order in which requests came
	Path   string
	Body   string
	Status int
	At     time.Time
}

// reply is an answer in the sandbox's place.
type reply struct {
	status int // dropConnection resets the connection
	header http.Header
	body   string
	passOn bool // the sandbox has the request all the same, and its own answer is lost
}

// thing is what a request asked for one user: an event object, a recipient of a send and so on.
type thing struct {
	User string
	What string // the event's name, or campaign c-1
	Seq  string // as the event's properties or the trigger's say, "" where they do not
}

// things takes a request apart, in the order of its body.
func (w *wire) things(t *testing.T) []thing {
	t.Helper()
	type user struct {
		ExternalID     string `json:"external_id"`
		ExternalUserID string `json:"external_user_id"`
		Properties     struct {
			Seq json.Number `json:"seq"`
		} `json:"properties"`
		Trigger struct {
			Seq json.Number `json:"seq"`
		} `json:"trigger_properties"`
		Context struct {
			Seq json.Number `json:"seq"`
		} `json:"context"`
		Name    string `json:"name"`
		Product string `json:"product_id"`
	}
	var body struct {
		Attributes []user `json:"attributes"`
		Events     []user `json:"events"`
		Purchases  []user `json:"purchases"`
		Campaign   string `json:"campaign_id"`
		Canvas     string `json:"canvas_id"`
		Recipients []user `json:"recipients"`
		Recipient  *user  `json:"recipient"`
		Trigger    struct {
			Seq json.Number `json:"seq"`
		} `json:"trigger_properties"`
		Group       string   `json:"subscription_group_id"`
		State       string   `json:"subscription_state"`
		ExternalIDs []string `json:"external_id"`
	}
	if err := json.Unmarshal([]byte(w.Body), &body); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	var list []thing
	for _, a := range body.Attributes {
		list = append(list, thing{a.ExternalID, "attributes", ""})
	}
	for _, e := range body.Events {
		list = append(list, thing{e.ExternalID, e.Name, e.Properties.Seq.String()})
	}
	for _, p := range body.Purchases {
		list = append(list, thing{p.ExternalID, "purchase " + p.Product, p.Properties.Seq.String()})
	}
	for _, r := range body.Recipients {
		seq := r.Trigger.Seq
		if body.Canvas != "" {
			seq = r.Context.Seq
		}
		list = append(list, thing{r.ExternalUserID, strings.TrimSpace("campaign " + body.Campaign + body.Canvas), seq.String()})
	}
	if body.Recipient != nil {
		list = append(list, thing{body.Recipient.ExternalUserID, "transactional", body.Trigger.Seq.String()})
	}
	for _, id := range body.ExternalIDs {
		list = append(list, thing{id, body.State + " " + body.Group, ""})
	}
	return list
}

// newSandboxScene is a scene whose Braze is the strict sandbox. The options' zero values play an account
// that may do everything.
func newSandboxScene(t *testing.T, o brazefake.Options) *scene {
	t.Helper()
	s := newScene(t)
	s.sandbox(t, o)
	return s
}

// sandbox makes the strict sandbox the scene's Braze.
func (s *scene) sandbox(t *testing.T, o brazefake.Options) {
	t.Helper()
	if o.Keys == nil {
		o.Keys = []brazefake.Key{{Value: s.config.Braze.APIKey.Reveal()}}
	}
	f := &front{sandbox: brazefake.New(o)}
	f.changed.L = &f.mu
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	s.front, s.config.Braze.Endpoint = f, server.URL
}

func (f *front) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	w := wire{Path: r.URL.EscapedPath(), Body: string(body), At: time.Now()}
	f.mu.Lock()
	w.Place = f.came
	f.came++
	instead := f.instead
	f.mu.Unlock()
	var answer reply
	if instead != nil {
		answer = instead(w)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case answer.status == 0:
		seen := &watched{ResponseWriter: rw}
		f.sandbox.ServeHTTP(seen, r)
		w.Status = seen.status
		f.note(w)
		return
	case answer.passOn:
		f.sandbox.ServeHTTP(httptest.NewRecorder(), r)
	}
	if answer.status == dropConnection {
		f.note(w)
		reset(rw)
		return
	}
	w.Status = answer.status
	f.note(w)
	for name, values := range answer.header {
		rw.Header()[name] = values
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(answer.status)
	_, _ = io.WriteString(rw, answer.body)
}

// watched remembers the status that was answered.
type watched struct {
	http.ResponseWriter
	status int
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *watched) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// reset closes a connection the rude way: the client's next read finds a RST.
func reset(rw http.ResponseWriter) {
	conn, _, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (f *front) note(w wire) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// The client may have the answer, and have sent the next request, before we come to this.
	at, _ := slices.BinarySearchFunc(f.wires, w, func(a, b wire) int { return a.Place - b.Place })
	f.wires = slices.Insert(f.wires, at, w)
	f.noted++
	f.changed.Broadcast()
}

// script changes what is answered instead of the sandbox.
func (f *front) script(instead func(w wire) reply) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.instead = instead
}

// seen are the requests that have been answered so far, in the order in which they came; they are forgotten
// then. None may be under way for long.
func (f *front) seen() []wire {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.noted < f.came {
		f.changed.Wait()
	}
	wires := f.wires
	f.wires = nil
	return wires
}

// await waits until the requests so far are as cond wants them.
func (f *front) await(t *testing.T, what string, cond func(wires []wire) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, f.changed.Broadcast)()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !cond(f.wires) {
		if ctx.Err() != nil {
			t.Fatalf("waiting for %s: %d requests", what, len(f.wires))
		}
		f.changed.Wait()
	}
}

// accepted are the things that Braze was asked for and took, by user, in the order in which
// they came.
func accepted(t *testing.T, wires []wire) map[string][]thing {
	t.Helper()
	byUser := map[string][]thing{}
	for i := range wires {
		if wires[i].Status < 200 || wires[i].Status > 299 {
			continue
		}
		for _, th := range wires[i].things(t) {
			byUser[th.User] = append(byUser[th.User], th)
		}
	}
	return byUser
}

// assertManners fails the test if a user was in two requests at once, or a request was too large.
func (s *scene) assertManners(t *testing.T) {
	t.Helper()
	for _, v := range s.front.sandbox.Violations() {
		t.Error(v)
	}
}

// assertBooks holds the sender's own metrics to the law: accepted = delivered + skipped + refused + held.
func (r *running) assertBooks(t *testing.T, held int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for {
		accepted, ended, now := r.sum(t, "sluice_sender_accepted_total"), r.sum(t, "sluice_sender_settled_total"), r.sum(t, "sluice_sender_held")
		ended += r.sum(t, "sluice_sender_recalled_total")
		if now == float64(held) && accepted == ended+now {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Errorf("accepted %v, ended %v, held %v, want %d held and the sum to be even", accepted, ended, now, held)
			return
		}
	}
}

// sum adds up all series of a metric.
func (r *running) sum(t *testing.T, name string) (total float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return total
}

// route gives the scene a file of routes.
func (s *scene) route(t *testing.T, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.config.Sender.RoutesFile = path
}

// byID are receipts by the events' ids.
func byID(slips map[place]receipt.Receipt) map[string]receipt.Receipt {
	m := map[string]receipt.Receipt{}
	for _, slip := range slips {
		m[slip.EventID] = slip
	}
	return m
}

// outcomes are what became of events, by their ids, without the words.
func outcomes(slips map[place]receipt.Receipt) map[string]outcome.Outcome {
	m := map[string]outcome.Outcome{}
	for _, slip := range slips {
		m[slip.EventID] = outcome.Outcome{Kind: slip.Outcome.Kind, Reason: slip.Outcome.Reason}
	}
	return m
}
