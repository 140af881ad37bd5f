package webhook

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Handshake is a question that a vendor asks before it sends anything, without a signature: Adobe's
// GET ?challenge=…, Intercom's HEAD, the OPTIONS of CloudEvents. It is answered, and nothing else
// happens. A ping that is signed like any other message is for ignore instead.
type Handshake struct {
	Method string `yaml:"method"` // GET, HEAD or OPTIONS
	// Query is the parameter that must be there; its value is the answer's body unless Body is said.
	Query  string `yaml:"query"`
	Status int    `yaml:"status"` // 200
	Type   string `yaml:"type"`   // of the body: text/plain unless said
	// Body is the answer; {value} in it is the parameter's value, as JSON writes it in quotes where the
	// type is application/json.
	Body    string            `yaml:"body"`
	Headers map[string]string `yaml:"headers"` // of the answer
	// Echo gives the answer headers the values of the question's: {Webhook-Request-Origin: WebHook-Allowed-Origin}.
	Echo map[string]string `yaml:"echo"`
}

// Answer is what to say to a handshake.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// longestEcho bounds what a stranger can make us repeat.
const longestEcho = 1024

func (h *Handshake) settle() {
	orElse(&h.Status, http.StatusOK)
	orElse(&h.Type, "text/plain; charset=utf-8")
	if h.Query != "" {
		orElse(&h.Body, "{value}")
	}
}

func (h Handshake) problems(i int) []error {
	var all []error
	say := func(field, allowed string) {
		all = append(all, problem(fmt.Sprintf("handshake[%d].%s", i, field), allowed))
	}
	if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, h.Method) {
		say("method", "GET, HEAD or OPTIONS")
	}
	if h.Status < 200 || h.Status > 299 {
		say("status", "from 200 to 299")
	}
	if strings.Contains(strings.ToLower(h.Type), "html") {
		say("type", "anything but HTML: what is repeated comes from strangers")
	}
	return all
}

// Handshake answers a vendor's question, if it is one that the source knows.
func (s *Source) Handshake(r *http.Request) (Answer, bool) {
	for _, h := range s.spec.Handshake {
		if h.Method != r.Method || h.Query != "" && !r.URL.Query().Has(h.Query) {
			continue
		}
		value := r.URL.Query().Get(h.Query)
		if len(value) > longestEcho || !printable(value) {
			continue
		}
		a := Answer{Status: h.Status, Header: http.Header{"X-Content-Type-Options": {"nosniff"}}}
		for name, text := range h.Headers {
			a.Header.Set(name, text)
		}
		for from, to := range h.Echo {
			if text := r.Header.Get(from); text != "" && len(text) <= longestEcho {
				a.Header.Set(to, text)
			}
		}
		if h.Body != "" {
			a.Header.Set("Content-Type", h.Type)
			if strings.HasPrefix(h.Type, "application/json") {
				value = quoted(value)
			}
			a.Body = []byte(strings.ReplaceAll(h.Body, "{value}", value))
		}
		return a, true
	}
	return Answer{}, false
}
