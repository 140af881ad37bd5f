package hubspotfake

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// Knobs are what can be turned while the sandbox runs. Probabilities are from 0 to 1, per call unless they say
// otherwise. The zero Knobs are a HubSpot that is well.
type Knobs struct {
	Down        bool    // everything is answered 503
	P5xxBefore  float64 // answered 502, not applied
	P5xxAfter   float64 // answered 502, applied all the same
	PDropBefore float64 // connection closed without an answer, not applied
	PDropAfter  float64 // connection closed without an answer, applied
	PLocked     float64 // answered 423, not applied
	PRow        float64 // per row: not taken
}

// Fault is what goes wrong with one call.
type Fault struct {
	Status     int // the answer's; 0 with Drop
	Drop       bool
	After      bool          // the call was applied
	Policy     string        // of a 429: TEN_SECONDLY_ROLLING, DAILY
	RetryAfter time.Duration // header of the answer; none when 0
	Body       string        // instead of what HubSpot would say
}

// SetKnobs turns all knobs at once.
func (s *Sandbox) SetKnobs(k Knobs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
}

// FailNext says what goes wrong with the next calls, one after another. The zero Fault lets one pass.
func (s *Sandbox) FailNext(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, faults...)
}

// fault decides what goes wrong with a call. The lock is held.
func (s *Sandbox) fault() Fault {
	if len(s.script) > 0 {
		f := s.script[0]
		s.script = s.script[1:]
		return f
	}
	switch k := &s.knobs; {
	case k.Down:
		return Fault{Status: http.StatusServiceUnavailable}
	case chance(s.dice, k.PDropBefore):
		return Fault{Drop: true}
	case chance(s.dice, k.P5xxBefore):
		return Fault{Status: http.StatusBadGateway}
	case chance(s.dice, k.PLocked):
		return Fault{Status: http.StatusLocked, RetryAfter: 2 * time.Second}
	case chance(s.dice, k.PDropAfter):
		return Fault{Drop: true, After: true}
	case chance(s.dice, k.P5xxAfter):
		return Fault{Status: http.StatusBadGateway, After: true}
	}
	return Fault{}
}

func (f Fault) happens() bool { return f.Status != 0 || f.Drop }

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
	if f.Body != "" {
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body))
		return
	}
	e := errorBody{Status: "error", Message: http.StatusText(f.Status), CorrelationID: correlation, Policy: f.Policy}
	if f.Status == http.StatusTooManyRequests {
		e.ErrorType = "RATE_LIMIT"
	}
	reply{status: f.Status, body: e}.send(w)
}

func chance(dice *rand.Rand, p float64) bool { return p > 0 && dice.Float64() < p }
