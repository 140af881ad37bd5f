package ingest

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"
)

// Paths of the tracking API for single messages, and the kind that each stands for. Browsers use the
// letters.
var messagePaths = map[string]string{
	"/v1/track": "track", "/v1/t": "track",
	"/v1/identify": "identify", "/v1/i": "identify",
	"/v1/page": "page", "/v1/p": "page",
	"/v1/screen": "screen", "/v1/s": "screen",
	"/v1/group": "group", "/v1/g": "group",
	"/v1/alias": "alias", "/v1/a": "alias",
}

// segmentRoutes adds the tracking API, for clients that nobody here can change.
func (s *Service) segmentRoutes(e *echo.Echo) {
	add := func(method, path string, answer func(*exchange) error) {
		handler := s.around(routeSegment, answer)
		for _, p := range []string{path, path + "/"} {
			e.Add(method, p, handler)
			e.OPTIONS(p, s.around(routeSegment, s.preflight))
		}
	}
	for path, kind := range messagePaths {
		add(http.MethodPost, path, s.postSegment(kind))
	}
	for _, path := range []string{"/v1/batch", "/v1/b"} {
		add(http.MethodPost, path, s.postSegment(""))
	}
	add(http.MethodPost, "/v1/m", s.postClientMetrics)
	add(http.MethodGet, "/v1/projects/:key/settings", s.getSettings)
}

// success is what tracking clients want to read: some take any other 2xx, or any other body, for a
// failure.
var success = []byte(`{"success":true}`)

// postSegment answers for messages of one kind, or for a batch where there is none. Clients never learn
// of single messages, and one that cannot be used must not sink its batch: it is kept as a dead letter,
// and the answer is yes. What is wrong with the whole is 400, after which they drop it.
func (s *Service) postSegment(kind string) func(*exchange) error {
	return func(x *exchange) error {
		s.allowOrigin(x)
		err := s.takeMessages(x, kind)
		var r *refusal
		if errors.As(err, &r) && (r.status == http.StatusRequestEntityTooLarge || r.status == http.StatusUnsupportedMediaType || r.status == http.StatusRequestTimeout) {
			asTheyKnowIt := *r
			if asTheyKnowIt.status = http.StatusBadRequest; r == errSlow {
				asTheyKnowIt.status = http.StatusServiceUnavailable // worth another try
			}
			return &asTheyKnowIt
		}
		return err
	}
}

func (s *Service) takeMessages(x *exchange, kind string) error {
	rq := x.rq
	if err := rq.readBody(x.Request()); err != nil {
		return err
	}
	env := &rq.envelope
	*env = envelope{messages: env.messages[:0]}
	rq.scan.reset(rq.body)
	if err := rq.parseMessages(env, kind); err != nil {
		return err
	}
	if err := x.authorizeWriteKey(env.writeKey); err != nil {
		return err
	}
	rq.items = rq.items[:0]
	for i := range env.messages {
		it := translate(&env.messages[i], env, rq.received, &rq.inner)
		states, said := statesOf(&it, &rq.inner)
		rq.items = append(rq.items, it)
		if said {
			rq.items = append(rq.items, states)
		}
		if link, ok := linkOf(&env.messages[i], &it); ok {
			rq.items = append(rq.items, link)
		}
	}
	rq.tracking = true
	x.leave = !rq.accept()
	if t := rq.tally(); t[unavailable] > 0 {
		return errKafkaAway
	}
	writeJSON(x, http.StatusOK, success)
	return nil
}

func (rq *request) parseMessages(env *envelope, kind string) (err error) {
	if kind != "" {
		err = parseMessage(&rq.scan, env, kind)
	} else {
		err = parseBatch(&rq.scan, env)
	}
	var f fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return errNotJSON(f)
	}
	return &refusal{status: http.StatusBadRequest, code: "bad_batch", message: err.Error(), field: "batch"}
}

// authorizeWriteKey looks for a key in each place where clients put it: Basic authorization (with or
// without the colon, the password empty), Bearer or X-Api-Key, the body.
func (x *exchange) authorizeWriteKey(inBody string) error {
	r := x.Request()
	for _, key := range [][]byte{basic(r), bearer(r), []byte(inBody)} {
		if len(key) > 0 && x.rq.service.ring.find(key) != nil {
			return x.authorize(key, routeSegment, errNoWriteKey)
		}
	}
	return errNoWriteKey
}

// basic is the user name of Basic authorization.
func basic(r *http.Request) []byte {
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(credentials))
	if err != nil {
		return nil
	}
	user, _, _ := strings.Cut(string(plain), ":")
	return []byte(user)
}

// postClientMetrics takes what clients tell about themselves, and throws it away.
func (s *Service) postClientMetrics(x *exchange) error {
	s.allowOrigin(x)
	writeJSON(x, http.StatusOK, success)
	return nil
}

// getSettings tells a browser or mobile client that there is one destination, and that it is here.
func (s *Service) getSettings(x *exchange) error {
	s.allowOrigin(x)
	key := x.Param("key")
	if s.ring.find([]byte(key)) == nil {
		return echo.ErrNotFound
	}
	host, err := jsontext.AppendQuote(nil, x.Request().Host+"/v1")
	if err != nil {
		return echo.ErrNotFound
	}
	body := appendQuoted([]byte(`{"integrations":{"Segment.io":{"apiKey":`), key)
	body = append(append(body, `,"apiHost":`...), host...)
	writeJSON(x, http.StatusOK, append(body, `}}}`...))
	return nil
}

// preflight answers a browser that asks whether a page may send what it is about to send.
func (s *Service) preflight(x *exchange) error {
	if s.allowOrigin(x) {
		h := x.Response().Header()
		h.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Retry-Count")
		h.Set("Access-Control-Max-Age", "86400")
	}
	x.Response().WriteHeader(http.StatusNoContent)
	return nil
}

// allowOrigin lets pages of the configured origins read the answer, and reports whether it did.
func (s *Service) allowOrigin(x *exchange) bool {
	h := x.Response().Header()
	allowed := "*"
	if !slices.Contains(s.options.CORSOrigins, "*") {
		h.Set("Vary", "Origin")
		if allowed = x.Request().Header.Get("Origin"); !slices.Contains(s.options.CORSOrigins, allowed) {
			return false
		}
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	h.Set("Access-Control-Expose-Headers", "Retry-After")
	return true
}
