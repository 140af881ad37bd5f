package brazefake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

const (
	bodyTimeout = 30 * time.Second
	maxDrained  = 16 << 20 // of a body too large, read so that its sender reads the answer
)

// call is one request on its way through.
type call struct {
	number   int64
	endpoint *braze.Endpoint
	at       time.Time
	knobs    Knobs
	dice     *rand.Rand
	size     int
	items    int // of another endpoint than /users/track
	counts   [3]int
	present  [3]bool
	objects  []object
	refused  int
	batch    *batch
	flight   flight
	mishap   mishap
	fate     Fate
}

// track answers POST /users/track, and its siblings bulk and sync.
func (s *Sandbox) track(w http.ResponseWriter, r *http.Request, e *braze.Endpoint) {
	c := s.begin(e)
	buf := bodies.Get().(*bytes.Buffer)
	buf.Reset()
	answer, kept := s.treat(c, w, r, buf)
	if !kept {
		bodies.Put(buf)
	}
	s.end(c, w, answer)
}

// begin takes a request in.
func (s *Sandbox) begin(e *braze.Endpoint) *call {
	c := &call{number: s.numbers.Add(1), endpoint: e, at: time.Now(), knobs: s.Knobs()}
	c.dice = s.dice(c.number)
	s.counters.requests.Add(1)
	s.counters.asked(e)
	return c
}

// end answers it and writes it down.
func (s *Sandbox) end(c *call, w http.ResponseWriter, answer reply) {
	if c.mishap.happened() {
		s.counters.mishap(c.mishap.String())
	}
	if c.mishap.drop {
		answer.status = 0
	}
	s.counters.status[answer.status].Add(1)
	written := s.write(w, c, answer)
	if !written && c.fate == Answered {
		c.fate = ClientGone
		if c.batch != nil {
			s.log.settle(c.batch, c.fate, c.mishap.String())
		}
	}
	s.note(c, answer)
	if c.mishap.drop {
		hangUp(w)
	}
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// treat does everything but write the answer. Kept says that the body is still needed.
func (s *Sandbox) treat(c *call, w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) (answer reply, kept bool) {
	if answer := s.gate(c, w.Header(), r); answer.status != 0 {
		return answer, false
	}
	body, err := s.readBody(w, r, buf, int64(c.endpoint.MaxBody))
	c.size = len(body)
	s.counters.bytes.Add(int64(c.size))
	switch {
	case errors.Is(err, errTooLarge):
		return s.tooLarge(c), false
	case err != nil:
		return fatal(http.StatusBadRequest, errNotJSON.Error()), false
	}
	if s.options.Forget {
		return s.count(r.Context(), c, body), false
	}
	if answer := s.takeIn(r.Context(), c, body); answer.status != 0 {
		return answer, false
	}
	return s.carryOut(c)
}

// count is the whole treatment when everything is to be forgotten.
func (s *Sandbox) count(ctx context.Context, c *call, body []byte) reply {
	c.counts, c.present = countObjects(body)
	for a, n := range c.counts {
		s.counters.received[a].Add(int64(n))
	}
	if c.mishap = c.knobs.throwBefore(c.dice); c.mishap.happened() {
		return fault(c.mishap.status)
	}
	for a, n := range c.counts {
		s.counters.applied[a].Add(int64(n))
	}
	wait(ctx, between(c.dice, c.knobs.LatencyMin, c.knobs.LatencyMax))
	if c.mishap = c.knobs.throwAfter(c.dice); c.mishap.happened() {
		return fault(c.mishap.status)
	}
	return c.accepted()
}

// takeIn takes the body apart, writes down what came in and puts its users in flight. The zero reply
// means that all went well.
func (s *Sandbox) takeIn(ctx context.Context, c *call, body []byte) reply {
	var err error
	if c.objects, c.present, err = parseBody(body); err != nil {
		return fatal(http.StatusBadRequest, err.Error())
	}
	entries := make([]Received, len(c.objects))
	place := s.counters.receivedPlace.Add(int64(len(entries))) - int64(len(entries))
	for i := range c.objects {
		o := &c.objects[i]
		o.parse()
		c.counts[o.array]++
		entries[i] = Received{
			Request: c.number, Place: place + int64(i) + 1, Array: o.array, Index: o.index,
			User: o.user, Name: string(o.name), At: c.at, Refusal: o.refusal,
		}
		if o.array == braze.Attributes {
			entries[i].Properties = raw(o.raw)
		} else {
			entries[i].Properties = raw(o.properties)
		}
		o.entry = &entries[i]
		if o.user != "" && (len(c.flight.users) == 0 || c.flight.users[len(c.flight.users)-1] != o.user) {
			c.flight.users = append(c.flight.users, o.user)
		}
	}
	for a, n := range c.counts {
		s.counters.received[a].Add(int64(n))
	}
	c.batch = &batch{entries: entries, fate: InFlight}
	s.log.add(c.batch)
	c.flight.number, c.flight.ctx = c.number, ctx
	s.flights.take(&c.flight)
	if allowed := s.tooMany(c); allowed != "" {
		s.flights.land(&c.flight)
		s.violations.add(fmt.Sprintf("request %d holds %v objects, allowed are %s", c.number, c.counts, allowed))
		s.settle(c, NotApplied)
		return fatal(http.StatusBadRequest, "Max Input Length Exceeded")
	}
	return reply{}
}

// tooMany says how many objects would be allowed, when there are more, or nothing.
func (s *Sandbox) tooMany(c *call) (allowed string) {
	n := c.counts[0] + c.counts[1] + c.counts[2]
	switch c.endpoint {
	case braze.UsersTrackBulk:
		perUser := map[string]int{}
		for i := range c.objects {
			if perUser[c.objects[i].user]++; c.objects[i].user != "" && perUser[c.objects[i].user] > braze.MaxBulkPerUser {
				return fmt.Sprintf("%d of one user", braze.MaxBulkPerUser)
			}
		}
		if n > c.endpoint.MaxItems {
			return fmt.Sprintf("%d in all", c.endpoint.MaxItems)
		}
	case braze.UsersTrackSync:
		if n > 1 {
			return "1 in all"
		}
	default:
		if s.options.LegacyArrays && max(c.counts[0], c.counts[1], c.counts[2]) > s.options.MaxObjects {
			return fmt.Sprintf("%d in each array", s.options.MaxObjects)
		}
		if !s.options.LegacyArrays && n > s.options.MaxObjects {
			return fmt.Sprintf("%d in all", s.options.MaxObjects)
		}
	}
	return ""
}

// carryOut applies a request and finds its answer, with whatever goes wrong before and after. Its users
// are in flight, and are no more when it returns.
func (s *Sandbox) carryOut(c *call) (answer reply, kept bool) {
	if c.mishap = c.knobs.throwBefore(c.dice); c.mishap.happened() {
		wait(c.flight.ctx, between(c.dice, c.knobs.LatencyMin, c.knobs.LatencyMax))
		s.flights.land(&c.flight)
		s.settle(c, NotApplied)
		return fault(c.mishap.status), false
	}
	for i := range c.objects {
		o := &c.objects[i]
		if o.refusal == "" {
			o.refusal = s.check(o, &c.knobs, c.at)
		}
		if o.refusal == "" && chance(c.dice, c.knobs.PItemError) {
			o.refusal = "refused by chance"
			s.counters.mishap(o.refusal)
		}
		if o.refusal != "" {
			s.counters.refused[o.array].Add(1)
			c.refused++
		}
	}
	s.log.judge(c.objects)
	answer = c.accepted()
	if c.refused < len(c.objects) {
		delay := between(c.dice, c.knobs.ApplyDelayMin, c.knobs.ApplyDelayMax)
		if c.endpoint == braze.UsersTrackSync {
			delay = 0 // its answer means applied (braze-docs: post_user_track_synchronous)
		}
		kept = !s.applySoon(c.objects, &c.knobs, delay)
	}
	if c.endpoint == braze.UsersTrackSync && c.refused == 0 {
		answer.body = s.touched(&c.objects[0])
	}
	wait(c.flight.ctx, between(c.dice, c.knobs.LatencyMin, c.knobs.LatencyMax))
	c.mishap = c.knobs.throwAfter(c.dice)
	gone := s.flights.land(&c.flight)
	switch {
	case c.mishap.happened():
		s.settle(c, AppliedUnanswered)
		return fault(c.mishap.status), kept
	case gone:
		s.settle(c, ClientGone)
	default:
		s.settle(c, Answered)
	}
	return answer, kept
}

// settle writes down what became of a request's objects.
func (s *Sandbox) settle(c *call, fate Fate) {
	c.fate = fate
	s.log.settle(c.batch, fate, c.mishap.String())
}

// note counts fates, and writes the request down, when all is over.
func (s *Sandbox) note(c *call, answer reply) {
	if c.batch != nil {
		s.counters.fate(c.fate, len(c.objects)-c.refused)
		s.counters.fate(RefusedItem, c.refused)
	}
	if s.options.Forget {
		return
	}
	s.requests.add(Request{
		Number: c.number, At: c.at, Endpoint: c.endpoint.String(), Items: c.items, Status: answer.status, Bytes: c.size, Objects: c.counts, Refused: c.refused,
		Fate: c.fate, Mishap: c.mishap.String(), Message: answer.message, Took: time.Since(c.at).Round(time.Microsecond).String(),
	})
}
