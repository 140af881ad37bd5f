package ingest

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
)

// Handler answers the front door's requests. Echo is the router and nothing more: what its middleware
// would do (request ids, limits, recovering) costs less in one place, around, below.
func (s *Service) Handler() http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.answerError
	e.POST("/v1/events", s.around(routeEvents, s.postItems(routeEvents, parseEvents)))
	e.POST("/v1/profiles", s.around(routeProfiles, s.postItems(routeProfiles, parseProfiles)))
	e.POST("/v1/commerce", s.around(routeCommerce, s.postItems(routeCommerce, parseCommerce)))
	e.POST("/v1/cases", s.around(routeCases, s.postItems(routeCases, parseCases)))
	e.POST("/v1/content", s.around(routeContent, s.postItems(routeContent, parseContent)))
	e.POST("/v1/crm/changes", s.around(routeChanges, s.postItems(routeChanges, parseChanges)))
	e.DELETE("/v1/content/:collection/*", s.around(routeContent, s.deleteContent))
	e.DELETE("/v1/users/:external_id", s.around(routeErase, s.deleteUser))
	s.segmentRoutes(e)
	s.hookRoutes(e)
	s.brazeRoutes(e)
	return e
}

// exchange is a request on its way to its answer.
type exchange struct {
	echo.Context
	rq    *request
	leave bool // to the garbage collector: the request's memory is still in use
}

// around is what every route has in common.
func (s *Service) around(route int, answer func(*exchange) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		x := &exchange{Context: c, rq: s.newRequest()}
		h := c.Response().Header()
		id := requestID(c.Request(), x.rq.received)
		h["X-Request-Id"] = []string{id}
		if s.draining.Load() {
			h.Set("Connection", "close")
		}
		err := s.guarded(x, answer)
		if err != nil {
			s.answerError(err, c)
		}
		code, took := c.Response().Status, time.Since(x.rq.received)
		s.metrics.observe(route, code, took)
		if e := s.log.Debug(); e.Enabled() {
			s.logRequest(e, x, id, took, err)
		}
		if x.rq.unhold(); !x.leave {
			x.rq.release()
		}
		return nil
	}
}

// guarded turns a panic into an answer. It leaves the request's memory alone: records may still be on
// their way.
func (s *Service) guarded(x *exchange, answer func(*exchange) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Str("path", x.Request().URL.Path).Msg("answering panicked")
			x.leave, err = true, errPanic
		}
	}()
	return answer(x)
}

func (s *Service) logRequest(e *zerolog.Event, x *exchange, id string, took time.Duration, err error) {
	e.Str("request_id", id).Str("method", x.Request().Method).Str("path", x.Request().URL.Path).
		Int("code", x.Response().Status).Dur("took", took).Int("items", len(x.rq.items)).Err(err)
	if x.rq.holder != nil {
		e.Str("source", x.rq.holder.source)
	}
	e.Msg("answered")
}

// requestID is the client's own, if it can stand in a log, or a new one.
func requestID(r *http.Request, now time.Time) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 128 && isToken(id) {
		return id
	}
	var buf [36]byte
	return string(appendID(buf[:0], now))
}

// authorize finds out who sends the request, by the key that is given, and whether they may.
func (x *exchange) authorize(key []byte, route int, unknown error) error {
	rq := x.rq
	rq.holder = rq.service.ring.find(key)
	if rq.holder == nil {
		return unknown
	}
	rq.counts = &rq.holder.counts[route]
	if l := rq.holder.limiter; l != nil {
		if r := l.ReserveN(rq.received, 1); r.DelayFrom(rq.received) > 0 {
			wait := r.DelayFrom(rq.received)
			r.CancelAt(rq.received)
			return errRate(wait)
		}
	}
	x.origin()
	return nil
}

// origin notes where the request came to, and the trace that it belongs to.
func (x *exchange) origin() {
	x.rq.path = x.Request().URL.Path
	if trace := x.Request().Header.Get("Traceparent"); isTraceparent(trace) {
		x.rq.trace = []byte(trace)
	}
}

// bearer is the key of our own API.
func bearer(r *http.Request) []byte {
	if key := r.Header.Get("X-Api-Key"); key != "" {
		return []byte(key)
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") {
		return []byte(strings.TrimSpace(key))
	}
	return nil
}

// isTraceparent reports whether a header is a trace context of version 00 (W3C): a trace and a span,
// in lower-case hexadecimal, neither all zeros.
func isTraceparent(h string) bool {
	if len(h) != 55 || h[:3] != "00-" || h[35] != '-' || h[52] != '-' {
		return false
	}
	trace, span, flags := h[3:35], h[36:52], h[53:]
	return isLowerHex(trace) && isLowerHex(span) && isLowerHex(flags) &&
		strings.Trim(trace, "0") != "" && strings.Trim(span, "0") != ""
}

func isLowerHex(s string) bool {
	for i := 0; i < len(s); i++ {
		if !('0' <= s[i] && s[i] <= '9') && !('a' <= s[i] && s[i] <= 'f') {
			return false
		}
	}
	return true
}

// answerError answers for what failed as a whole.
func (s *Service) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	var r *refusal
	var routing *echo.HTTPError
	switch {
	case errors.As(err, &r):
	case errors.As(err, &routing) && routing.Code == http.StatusNotFound:
		r = &refusal{status: routing.Code, code: "not_found", message: "there is nothing at this path"}
	case errors.As(err, &routing) && routing.Code == http.StatusMethodNotAllowed:
		r = &refusal{status: routing.Code, code: "method_not_allowed", message: "this path does not know that method"}
	default:
		s.log.Error().Err(err).Str("path", c.Request().URL.Path).Msg("answering failed")
		r = errPanic
	}
	h := c.Response().Header()
	if r.retry > 0 {
		h["Retry-After"] = []string{strconv.Itoa(seconds(r.retry))}
	}
	if r.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="sluice"`)
	}
	writeJSON(c, r.status, appendRefusal(nil, r))
}

// seconds rounds up, as Retry-After wants it.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
