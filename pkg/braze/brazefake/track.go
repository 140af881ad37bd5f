package brazefake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
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

// reply is an answer to be written.
type reply struct {
	status  int
	body    []byte
	message string // for the log of requests
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

// tooLarge refuses a body; /users/track/bulk answers 400 and not 413 (braze-docs: post_user_track_bulk).
func (s *Sandbox) tooLarge(c *call) reply {
	s.violations.add(fmt.Sprintf("request %d is larger than %d bytes", c.number, c.endpoint.MaxBody))
	status := http.StatusRequestEntityTooLarge
	if c.endpoint == braze.UsersTrackBulk {
		status = http.StatusBadRequest
	}
	return fatal(status, fmt.Sprintf("the body is larger than %d MB", c.endpoint.MaxBody>>20))
}

// gate is what is asked before the body is read. The zero reply lets the request through.
func (s *Sandbox) gate(c *call, h http.Header, r *http.Request) reply {
	h.Set("X-Request-Id", "sandbox-"+strconv.FormatInt(c.number, 10))
	if c.knobs.Down {
		c.mishap = mishap{status: http.StatusServiceUnavailable}
		return fault(c.mishap.status)
	}
	if r.Method != c.endpoint.Method {
		h.Set("Allow", c.endpoint.Method)
		return fatal(http.StatusMethodNotAllowed, "only "+c.endpoint.Method+" is allowed")
	}
	if status, message := s.authorize(r, c.endpoint.Permission); status != 0 {
		return fatal(status, message)
	}
	if status, message := acceptable(r); status != 0 {
		return fatal(status, message)
	}
	// Whether a send is a broadcast, and draws from another pool, its body says.
	if !sendsMessages(c.endpoint) {
		if answer := s.spend(c, h, c.endpoint.Pool); answer.status != 0 {
			return answer
		}
	}
	if chance(c.dice, c.knobs.P429) {
		c.mishap = mishap{status: http.StatusTooManyRequests}
		clearQuota(h)
		limit := c.endpoint.Pool.Rate.Count
		if rate := c.knobs.rateOf(c.endpoint.Pool); !rate.IsZero() {
			limit = rate.Count
		}
		quotaHeaders(h, &c.knobs, limit, true, 0, c.at, c.at.Add(c.knobs.RetryAfter))
		return fatal(http.StatusTooManyRequests, "Rate limit exceeded")
	}
	return reply{}
}

var errTooLarge = errors.New("too large")

// readBody reads a body of at most that many bytes.
func (s *Sandbox) readBody(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer, most int64) ([]byte, error) {
	// The deadline is lifted again because the server goes on reading, to learn when the client leaves.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	if n := r.ContentLength; n > 0 && n <= most {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(r.Body, most+1))
	if err == nil && int64(buf.Len()) > most {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
		return buf.Bytes(), errTooLarge
	}
	return buf.Bytes(), err
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

// accepted is the answer of an accepted request (braze-docs: post_user_track, recommended_events).
func (c *call) accepted() reply {
	status, message := http.StatusCreated, "success"
	if c.endpoint == braze.UsersTrackBulk {
		status = c.knobs.PlainStatus
	}
	if c.refused > 0 && c.refused == len(c.objects) && c.knobs.AllFailedStatus != http.StatusCreated {
		status, message = c.knobs.AllFailedStatus, "no valid objects"
	}
	processed := c.counts
	for i := range c.objects {
		if c.objects[i].refusal != "" {
			processed[c.objects[i].array]--
		}
	}
	body := append(make([]byte, 0, 128), `{"message":"`...)
	body = append(append(body, message...), '"')
	for a, sent := range c.present {
		if sent {
			body = append(append(append(body, `,"`...), braze.Array(a).String()...), `_processed":`...)
			body = strconv.AppendInt(body, int64(processed[a]), 10)
		}
	}
	if c.refused > 0 {
		body = append(body, `,"errors":[`...)
		for i := range c.objects {
			o := &c.objects[i]
			if o.refusal == "" {
				continue
			}
			body = append(strconv.AppendInt(append(body, `{"index":`...), int64(o.index), 10), `,"input_array":"`...)
			body = append(append(body, o.array.String()...), `","type":`...)
			body = append(braze.AppendString(body, o.refusal), `},`...)
		}
		body[len(body)-1] = ']'
	}
	return reply{status: status, body: append(body, '}')}
}

// fatal refuses a whole request.
func fatal(status int, message string) reply {
	body := append(braze.AppendString([]byte(`{"message":`), message), '}')
	if message == errNotJSON.Error() {
		body = append(braze.AppendString([]byte(`{"error":`), message), '}')
	}
	return reply{status: status, body: body, message: message}
}

// fault is the answer of a server that cannot, or of the gateway before it.
func fault(status int) reply {
	text := http.StatusText(status)
	if status == http.StatusBadGateway || status == http.StatusGatewayTimeout {
		return reply{status: status, body: []byte("<html><title>" + text + "</title></html>"), message: text}
	}
	return fatal(status, text)
}

// write writes the answer, and reports whether it went through to the client as far as we can tell.
func (s *Sandbox) write(w http.ResponseWriter, c *call, answer reply) bool {
	if c.mishap.drop {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if len(answer.body) > 0 && answer.body[0] == '<' {
		h.Set("Content-Type", "text/html")
	}
	h.Set("Content-Length", strconv.Itoa(len(answer.body)))
	w.WriteHeader(answer.status)
	if _, err := w.Write(answer.body); err != nil {
		return false
	}
	return s.options.Forget || http.NewResponseController(w).Flush() == nil
}
