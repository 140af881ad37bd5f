// Package probe sends one marked event in through the front door and waits for it everywhere it has
// to pass, up to the far end. It is what an operator does by hand to know that all is well, with the
// time that each hop took.
package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Config says where to go in, and where to wait.
type Config struct {
	Door    string // URL of the front door
	Key     string // an API key of it
	Kafka   stream.Config
	Sandbox string        // URL of the Braze sandbox; empty when events go to a real Braze
	User    string        // whom the event concerns; "sluice-probe" when empty
	Timeout time.Duration // for the whole way; 30 s when 0
}

// Hop is a place that the event has to pass.
type Hop struct {
	Name string `json:"hop"`
	OK   bool   `json:"ok"`
	// After is how long after the start of the request the event was seen there, in milliseconds.
	After  float64 `json:"after_ms"`
	Detail string  `json:"detail"`
}

// Result is how a probe went.
type Result struct {
	EventID string `json:"event_id"`
	User    string `json:"user"`
	OK      bool   `json:"ok"`
	Hops    []Hop  `json:"hops"`
	// Stuck names the first hop that the event did not pass.
	Stuck string `json:"stuck,omitempty"`
}

// Run sends the event and waits for it; each is told of every hop in the order in which the event
// passes them, as soon as it is known. An event that does not arrive is no error but a Result.
func Run(ctx context.Context, c Config, each func(Hop)) (Result, error) {
	if c.User == "" {
		c.User = "sluice-probe"
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("not seen within %v", c.Timeout))
	defer cancel()
	id, err := uuid.NewV7()
	if err != nil {
		return Result{}, fmt.Errorf("making an id: %w", err)
	}
	p := &probe{Config: c, id: "probe-" + id.String(), start: time.Now()}
	r := Result{EventID: p.id, User: c.User}
	pass := func(hop Hop) bool {
		r.Hops = append(r.Hops, hop)
		each(hop)
		if !hop.OK {
			r.Stuck = hop.Name
		}
		return hop.OK
	}
	if !pass(p.time("front door", p.enter(ctx))) {
		return r, nil
	}
	// The hops are watched all at once, so that each is seen when it happens.
	var waiting []<-chan Hop
	for _, w := range p.watches() {
		seen := make(chan Hop, 1)
		waiting = append(waiting, seen)
		go func() { seen <- p.time(w.name, w.wait(ctx)) }()
	}
	for _, seen := range waiting {
		if !pass(<-seen) {
			return r, nil
		}
	}
	r.OK = true
	return r, nil
}

// probe is one event on its way.
type probe struct {
	Config
	id    string
	start time.Time
}

// sight is what was seen of the event at a hop.
type sight struct {
	detail string
	err    error
}

// watch is a hop behind the front door.
type watch struct {
	name string
	wait func(context.Context) sight
}

func (p *probe) watches() []watch {
	list := []watch{{schema.CustomerEvents, p.onTopic}}
	if p.Sandbox != "" {
		list = append(list, watch{"braze sandbox", p.inSandbox})
	}
	return append(list, watch{schema.BrazeDeliveries, p.delivered})
}

// time makes a hop of what was seen just now.
func (p *probe) time(name string, s sight) Hop {
	h := Hop{Name: name, OK: s.err == nil, After: float64(time.Since(p.start).Microseconds()) / 1000, Detail: s.detail}
	if s.err != nil {
		h.Detail = s.err.Error()
	}
	return h
}

// enter posts the event.
func (p *probe) enter(ctx context.Context) sight {
	body, err := json.Marshal(map[string]any{
		"id": p.id, "user": map[string]any{"external_id": p.User},
		"name": "Sluice Probe", "properties": map[string]any{"probe_id": p.id},
	})
	if err != nil {
		return sight{err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(p.Door, "/")+"/v1/events", bytes.NewReader(body))
	if err != nil {
		return sight{err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+p.Key)
	status, answer, err := ask(req)
	switch {
	case err != nil:
		return sight{err: cause(ctx, err)}
	case status != http.StatusAccepted:
		return sight{err: fmt.Errorf("it answers %d: %s", status, bytes.TrimSpace(answer[:min(len(answer), 300)]))}
	}
	return sight{detail: "accepted as " + p.id}
}

// skew is how far our clock may be ahead of the one that stamps records.
const skew = 10 * time.Second

// find reads a topic until a record matches.
func (p *probe) find(ctx context.Context, topic string, match func(*stream.Record) (found bool, err error)) error {
	found := false
	err := stream.Read(ctx, p.Kafka, stream.Range{Topic: p.Kafka.Topic(topic), Since: p.start.Add(-skew), Follow: true},
		func(r *stream.Record) error {
			ok, err := match(r)
			if ok {
				found, err = true, errors.Join(err, stream.ErrStop)
			}
			return err
		})
	if err == nil && !found {
		err = context.Cause(ctx)
	}
	return cause(ctx, err)
}

func (p *probe) onTopic(ctx context.Context) sight {
	var s sight
	s.err = p.find(ctx, schema.CustomerEvents, func(r *stream.Record) (bool, error) {
		for _, h := range r.Headers {
			if h.Key == "event-id" && string(h.Value) == p.id {
				s.detail = fmt.Sprintf("partition %d, offset %d", r.Partition, r.Offset)
				return true, nil
			}
		}
		return false, nil
	})
	return s
}

// delivered waits for the receipt. One that says deferred is not the last.
func (p *probe) delivered(ctx context.Context) sight {
	var s sight
	waiting := ""
	err := p.find(ctx, schema.BrazeDeliveries, func(r *stream.Record) (bool, error) {
		slip, err := receipt.Read(r.Value)
		if err != nil || slip.EventID != p.id {
			return false, nil //nolint:nilerr // somebody else's record
		}
		said := strings.TrimSpace(fmt.Sprintf("%s %s %s", slip.Outcome.Kind, slip.Outcome.Reason, slip.Outcome.Detail))
		switch slip.Outcome.Kind {
		case outcome.Delivered:
			s.detail = fmt.Sprintf("delivered: %s answered %d after %d ms, request %s, attempt %d",
				slip.Endpoint, slip.Status, slip.Latency.Milliseconds(), slip.RequestID, slip.Attempts)
			return true, nil
		case outcome.Skipped, outcome.Refused:
			s.err = errors.New(said)
			return true, nil
		case outcome.Deferred:
			waiting = said
		}
		return false, nil
	})
	switch {
	case s.err != nil:
	case err != nil && waiting != "":
		s.err = fmt.Errorf("%w; last: %s", err, waiting)
	default:
		s.err = err
	}
	return s
}

// lookEvery is how often the sandbox is asked.
const lookEvery = 25 * time.Millisecond

func (p *probe) inSandbox(ctx context.Context) sight {
	at := strings.TrimRight(p.Sandbox, "/") + "/_sandbox/events?limit=100&user=" + url.QueryEscape(p.User)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return sight{err: err}
		}
		status, answer, err := ask(req)
		if err == nil && status != http.StatusOK {
			return sight{err: fmt.Errorf("%s answers %d", p.Sandbox, status)}
		}
		if applied, refusal := p.received(answer); refusal != "" {
			return sight{err: errors.New("refused: " + refusal)}
		} else if applied {
			return sight{detail: p.Sandbox + "/_sandbox/users/" + url.PathEscape(p.User)}
		}
		select {
		case <-ctx.Done():
			return sight{err: errors.Join(context.Cause(ctx), err)}
		case <-tick.C:
		}
	}
}

// received looks for the event among those that the sandbox has got. One whose request came to nothing
// will come again.
func (p *probe) received(answer []byte) (applied bool, refusal string) {
	var events []struct {
		Fate       string
		Refusal    string
		Properties struct {
			ID string `json:"probe_id"`
		}
	}
	if json.Unmarshal(answer, &events) != nil {
		return false, "" // no answer, or not from a sandbox: the time limit will tell
	}
	for _, e := range events {
		if e.Properties.ID != p.id {
			continue
		}
		switch e.Fate {
		case "refused_item":
			return false, e.Refusal
		case "answered", "applied_unanswered", "client_gone":
			return true, ""
		}
	}
	return false, ""
}

// ask makes a request and reads its answer, which is short.
func ask(req *http.Request) (status int, answer []byte, err error) {
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	return resp.StatusCode, answer, err
}

// cause puts the reason for which a context ended in the place of its bare end.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
