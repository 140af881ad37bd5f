package loyaltyfake

import (
	"crypto/subtle"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// call is one call to the API.
type call struct {
	number int // from 1
	r      *http.Request
	body   []byte
	key    string // Idempotency-Key
}

// reply is an answer.
type reply struct {
	status int
	body   any
}

// replay is what a call with an idempotency key was answered.
type replay struct {
	request string // method, path and body
	answer  reply
}

func (p reply) send(w http.ResponseWriter) {
	text, err := json.Marshal(p.body, json.Deterministic(true))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.status)
	_, _ = w.Write(text)
}

// Fault is what goes wrong with one call.
type Fault struct {
	Status     int // the answer's; 0 with Drop
	Drop       bool
	After      bool          // the call was applied
	RetryAfter time.Duration // header of the answer; none when 0
}

// FailNext says what goes wrong with the next calls, one after another. The zero Fault lets one pass.
func (s *Sandbox) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, faults...)
}

// Knobs are how likely it is that something goes wrong with a call, from 0 to 1.
type Knobs struct {
	P5xxBefore, P5xxAfter   float64 // answered 502: not applied, or applied all the same
	PDropBefore, PDropAfter float64 // connection closed without an answer, likewise
}

// SetKnobs turns all knobs at once.
func (s *Sandbox) SetKnobs(k Knobs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
}

// fault decides what goes wrong with a call. The lock is held.
func (s *Sandbox) fault() (f Fault) {
	if s.down {
		return Fault{Status: http.StatusServiceUnavailable}
	}
	if len(s.script) > 0 {
		f, s.script = s.script[0], s.script[1:]
		return f
	}
	luck := func(p float64) bool { return p > 0 && s.dice.Float64() < p }
	switch {
	case luck(s.knobs.P5xxBefore):
		return Fault{Status: http.StatusBadGateway}
	case luck(s.knobs.PDropBefore):
		return Fault{Drop: true}
	case luck(s.knobs.P5xxAfter):
		return Fault{Status: http.StatusBadGateway, After: true}
	case luck(s.knobs.PDropAfter):
		return Fault{Drop: true, After: true}
	}
	return Fault{}
}

// SetDown answers everything with 503 until it is taken back.
func (s *Sandbox) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

const maxBody = 1 << 20

// api is the way of every call.
func (s *Sandbox) api(name string, do func(*call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			refused(http.StatusRequestEntityTooLarge, "too_large", "the body cannot be read").send(w)
			return
		}
		s.mu.Lock()
		s.calls[name]++
		s.count++
		c := &call{number: s.count, r: r, body: body, key: r.Header.Get("Idempotency-Key")}
		answer, fault, again := s.decide(c, do)
		s.mu.Unlock()
		if again {
			w.Header().Set("Idempotent-Replayed", "true")
		}
		if fault.Status == 0 && !fault.Drop {
			answer.send(w)
			return
		}
		fault.answer(w)
	}
}

// decide is what becomes of a call. The lock is held.
func (s *Sandbox) decide(c *call, do func(*call) reply) (answer reply, fault Fault, again bool) {
	if subtle.ConstantTimeCompare([]byte(c.r.Header.Get("Authorization")), []byte("Bearer "+s.options.Key)) != 1 {
		return refused(http.StatusUnauthorized, "unauthorized", "the key is not known"), Fault{}, false
	}
	fault = s.fault()
	if (fault.Status != 0 || fault.Drop) && !fault.After {
		return reply{}, fault, false
	}
	request := c.r.Method + " " + c.r.URL.Path + "\n" + string(c.body)
	before, known := s.replays[c.key]
	switch {
	case c.key != "" && known && before.request != request:
		return refused(http.StatusUnprocessableEntity, "idempotency_mismatch", "another request had that Idempotency-Key"), fault, false
	case c.key != "" && known:
		return before.answer, fault, true
	}
	answer = do(c)
	if c.key != "" && answer.status < 300 {
		s.replays[c.key] = replay{request, answer}
		s.order = append(s.order, c.key)
		if most := s.options.MaxWrites; most > 0 && len(s.order) > most {
			delete(s.replays, s.order[0])
			s.order = s.order[1:]
		}
	}
	return answer, fault, false
}

// answer answers as the fault has it.
func (f Fault) answer(w http.ResponseWriter) {
	if f.Drop {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
			return
		}
		panic(http.ErrAbortHandler) // HTTP/2 cannot be hijacked; the server understands this
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	refused(f.Status, "bad_day", http.StatusText(f.Status)).send(w)
}
