package salesforcefake

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// call is a request that has come through the gate.
type call struct {
	r      *http.Request
	body   []byte
	number int
	user   string
	knobs  Knobs
	api    string
	rows   int // set by whoever answers
}

// answer is what a call is answered: text as it is, or a value as JSON.
type answer struct {
	status int
	value  any
	text   []byte
	kind   string // content type of text
}

type fault struct {
	Message string   `json:"message"`
	Code    string   `json:"errorCode"`
	Fields  []string `json:"fields,omitempty"`
}

func failed(status int, code, format string, args ...any) answer {
	return answer{status: status, value: []fault{{Code: code, Message: strings.ToValidUTF8(fmt.Sprintf(format, args...), "?")}}}
}

func notFound() answer {
	return failed(http.StatusNotFound, "NOT_FOUND", "The requested resource does not exist")
}

func noJSON(err error) answer {
	return failed(http.StatusBadRequest, "JSON_PARSER_ERROR", "%v", err)
}

// largestBody bounds what is taken in.
const largestBody = 100 << 20

var version = regexp.MustCompile(`^v[0-9]{2,3}\.0$`)

// window of the daily limit. It is fixed here, and moves with the clock in an org; nobody is told where it ends.
const window = 24 * time.Hour

// gate lets a call through if it may be made, plays the mishaps, and notes what came of it.
func (s *Sandbox) gate(api string, f func(*call) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largestBody))
		if err != nil {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		}
		c := &call{r: r, body: body, api: api}
		s.mu.Lock()
		c.knobs = s.knobs
		latency := c.knobs.latency(s.dice)
		s.mu.Unlock()
		if !wait(r.Context(), latency) {
			return
		}
		s.mu.Lock()
		a, mishap := s.admit(c)
		if a.status == 0 {
			a = f(c)
			if mishap != "" {
				a = c.spoil(mishap, a)
			}
		}
		s.note(c, a)
		used := s.usage
		s.mu.Unlock()
		w.Header().Set("Sforce-Limit-Info", fmt.Sprintf("api-usage=%d/%d", used, s.opts.DailyLimit))
		w.Header().Set("X-SFDC-Request-Id", "sandbox-"+strconv.Itoa(c.number))
		a.write(w)
	}
}

// admit says why a call is not let through; and what will go wrong with its answer.
func (s *Sandbox) admit(c *call) (answer, string) {
	if now := s.opts.Now(); now.Sub(s.day) >= window {
		s.day, s.usage = now, 0
	}
	s.counted++
	c.number = s.counted
	switch {
	case c.knobs.Down || chance(s.dice, c.knobs.P503):
		return answer{status: http.StatusServiceUnavailable, text: []byte("<html>Server Unavailable</html>"), kind: "text/html"}, ""
	case !version.MatchString(c.r.PathValue("version")):
		return notFound(), ""
	}
	token := strings.TrimPrefix(c.r.Header.Get("Authorization"), "Bearer ")
	held := s.tokens[token]
	if held == nil || held.left == 0 {
		delete(s.tokens, token)
		return failed(http.StatusUnauthorized, "INVALID_SESSION_ID", "Session expired or invalid"), ""
	}
	if held.left > 0 {
		held.left--
	}
	c.user = held.user
	if s.usage >= s.opts.DailyLimit {
		return failed(http.StatusForbidden, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), ""
	}
	s.usage++
	kind := c.r.Header.Get("Content-Type")
	if len(c.body) > 0 && !strings.HasPrefix(kind, "application/json") && !strings.HasPrefix(kind, "text/csv") {
		return failed(http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "the entity is in a format not supported by the requested resource"), ""
	}
	return answer{}, c.knobs.mishap(s.dice)
}

func (a answer) write(w http.ResponseWriter) {
	if a.text != nil {
		w.Header().Set("Content-Type", a.kind)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.text)
		return
	}
	if a.value == nil {
		w.WriteHeader(a.status)
		return
	}
	send(w, a.status, a.value)
}

func send(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value, json.WithMarshalers(spansOut))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
