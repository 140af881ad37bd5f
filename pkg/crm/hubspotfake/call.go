package hubspotfake

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// call is one call to the API.
type call struct {
	number int // from 1
	r      *http.Request
	body   []byte
}

// reply is an answer.
type reply struct {
	status int
	body   any
}

// errorBody is how HubSpot says that a call failed.
type errorBody struct {
	Status        string `json:"status"`
	Message       string `json:"message"`
	ErrorType     string `json:"errorType,omitzero"`
	CorrelationID string `json:"correlationId"`
	Policy        string `json:"policyName,omitzero"`
	Category      string `json:"category,omitzero"`
}

const correlation = "aeb5f871-7f07-4993-9211-075dc63e7cbf"

func invalid(message string) *reply {
	return &reply{status: http.StatusBadRequest, body: errorBody{Status: "error", Message: message, CorrelationID: correlation, Category: "VALIDATION_ERROR"}}
}

func (p reply) send(w http.ResponseWriter) {
	text, err := json.Marshal(p.body, json.Deterministic(true))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(p.status)
	_, _ = w.Write(text)
}

// maxBody bounds what is read of a call: a hundred inputs of some long texts.
const maxBody = 10 << 20

// api is the way of every call to the CRM API.
func (s *Sandbox) api(do func(*call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			status := http.StatusBadRequest
			if _, long := errors.AsType[*http.MaxBytesError](err); long {
				status = http.StatusRequestEntityTooLarge
			}
			reply{status: status, body: errorBody{Status: "error", Message: "the body cannot be read", CorrelationID: correlation}}.send(w)
			return
		}
		s.serve(w, r, body, do)
	}
}

func (s *Sandbox) serve(w http.ResponseWriter, r *http.Request, body []byte, do func(*call) reply) {
	s.mu.Lock()
	s.count++
	_, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/crm/"), "/")
	s.calls[strings.TrimPrefix(name, "objects/")]++
	c := &call{number: s.count, r: r, body: body}
	answer, fault := s.decide(w.Header(), c, do)
	s.mu.Unlock()
	if fault.happens() {
		fault.answer(w)
		return
	}
	answer.send(w)
}

// decide is what becomes of a call. The lock is held.
func (s *Sandbox) decide(h http.Header, c *call, do func(*call) reply) (reply, Fault) {
	h.Set("X-HubSpot-Correlation-Id", correlation)
	oauth, bad := s.authorize(c.r)
	if bad != nil {
		return *bad, Fault{}
	}
	if !strings.HasPrefix(c.r.Header.Get("Content-Type"), "application/json") {
		return reply{status: http.StatusUnsupportedMediaType, body: errorBody{Status: "error", Message: "only JSON is taken", CorrelationID: correlation}}, Fault{}
	}
	fault := s.fault()
	if fault.happens() && !fault.After {
		return reply{}, fault
	}
	if full := s.spend(h, oauth); full != nil {
		return *full, Fault{}
	}
	return do(c), fault
}
