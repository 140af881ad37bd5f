package salesforcefake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Knobs are what can go wrong, now. The zero Knobs are an org that is well. Probabilities are from 0 to 1.
type Knobs struct {
	LatencyMin time.Duration `json:"latency_min,omitzero"`
	LatencyMax time.Duration `json:"latency_max,omitzero"`

	Down        bool          `json:"down,omitzero"`         // everything is answered 503, tokens too
	P503        float64       `json:"p503,omitzero"`         // per call: 503, not applied
	P503After   float64       `json:"p503_after,omitzero"`   // per call: 503, applied all the same
	PHTML       float64       `json:"p_html,omitzero"`       // per call: 200 with a page, applied
	PShort      float64       `json:"p_short,omitzero"`      // per collections call: an answer without its last row, applied
	PLock       float64       `json:"p_lock,omitzero"`       // per row: UNABLE_TO_LOCK_ROW
	PRowError   float64       `json:"p_row_error,omitzero"`  // per row: FIELD_CUSTOM_VALIDATION_EXCEPTION
	ExpireAfter int           `json:"expire_after,omitzero"` // tokens given from now on are good for so many calls
	StrictCall  bool          `json:"strict_call,omitzero"`  // an unknown field in one row is a 400 for its call
	JobPolls    int           `json:"job_polls,omitzero"`    // how often a job says that it is under way; 1 when 0
	JobStops    int           `json:"job_stops,omitzero"`    // a job fails after so many rows, the others are unprocessed
	PTwice      float64       `json:"p_twice,omitzero"`      // per message to others: sent again although acknowledged
	TellAfter   time.Duration `json:"tell_after,omitzero"`   // how long a change waits before others are told
}

func (k *Knobs) check() error {
	for name, p := range map[string]float64{
		"p503": k.P503, "p503_after": k.P503After, "p_html": k.PHTML, "p_short": k.PShort, "p_lock": k.PLock,
		"p_row_error": k.PRowError, "p_twice": k.PTwice,
	} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("knob %s: %v is no probability from 0 to 1", name, p)
		}
	}
	if k.LatencyMin < 0 || k.LatencyMax < 0 || k.TellAfter < 0 || k.ExpireAfter < 0 || k.JobPolls < 0 || k.JobStops < 0 {
		return fmt.Errorf("knobs: one is negative")
	}
	return nil
}

// Knobs returns the knobs as they stand.
func (s *Sandbox) Knobs() Knobs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knobs
}

// SetKnobs turns all knobs at once.
func (s *Sandbox) SetKnobs(k Knobs) error {
	if err := k.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.knobs = k
	return nil
}

const (
	mishap503   = "503 after applying"
	mishapHTML  = "200 with a page"
	mishapShort = "a short answer"
)

func (k *Knobs) mishap(dice *rand.Rand) string {
	switch {
	case chance(dice, k.P503After):
		return mishap503
	case chance(dice, k.PHTML):
		return mishapHTML
	case chance(dice, k.PShort):
		return mishapShort
	}
	return ""
}

// spoil makes of an answer what arrives.
func (c *call) spoil(mishap string, a answer) answer {
	switch mishap {
	case mishap503:
		return answer{status: http.StatusServiceUnavailable, text: []byte("<html>Server Unavailable</html>"), kind: "text/html"}
	case mishapHTML:
		return answer{status: http.StatusOK, text: []byte("<html>Please stand by</html>"), kind: "text/html"}
	}
	if rows, ok := a.value.([]rowAnswer); ok && len(rows) > 0 {
		a.value = rows[:len(rows)-1]
	}
	return a
}

func (k *Knobs) latency(dice *rand.Rand) time.Duration {
	if k.LatencyMax <= k.LatencyMin {
		return k.LatencyMin
	}
	return k.LatencyMin + time.Duration(dice.Int64N(int64(k.LatencyMax-k.LatencyMin)+1))
}

func chance(dice *rand.Rand, p float64) bool { return p > 0 && dice.Float64() < p }

// wait passes the time; false when the client has gone.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// readKnobs reads knobs over those that stand, strictly.
func readKnobs(text []byte, k *Knobs) error {
	return json.Unmarshal(text, k, json.RejectUnknownMembers(true), json.WithUnmarshalers(spansIn))
}

// Lengths of time are written as 1m30s.
var (
	spansOut = json.MarshalToFunc(func(out *jsontext.Encoder, d time.Duration) error {
		return out.WriteToken(jsontext.String(d.String()))
	})
	spansIn = json.UnmarshalFromFunc(func(in *jsontext.Decoder, d *time.Duration) (err error) {
		var text string
		if err := json.UnmarshalDecode(in, &text); err != nil {
			return err
		}
		*d, err = time.ParseDuration(text)
		return err
	})
)
