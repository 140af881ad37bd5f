package ingest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// hook is a source of webhooks with its books.
type hook struct {
	source *webhook.Source
	holder *holder
}

// newHooks keeps books for every source.
func (s *Service) newHooks(sources *webhook.Sources) {
	s.hooks = map[string]*hook{}
	for _, source := range sources.All() {
		s.hooks[source.Name()] = &hook{source, newHolder(source.Name(), nil, s.window, s.metrics)}
	}
}

// hookRoutes adds the paths that vendors call.
func (s *Service) hookRoutes(e *echo.Echo) {
	const path = "/v1/hooks/:source"
	e.POST(path, s.around(routeHooks, s.postHook))
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
		e.Add(method, path, s.around(routeHooks, s.handshake))
	}
}

// postHook answers POST /v1/hooks/{source}. Who sends is found out over the raw bytes before anything
// is parsed. From then on a message that cannot be used is no reason to refuse it: the vendor would
// send it again, to the same end, and in time give the subscription up. It is kept as a dead letter and
// acknowledged, once that is durable.
func (s *Service) postHook(x *exchange) error {
	rq, r := x.rq, x.Request()
	h := s.hooks[x.Param("source")]
	switch {
	case h == nil || !h.source.Calls():
		return echo.ErrNotFound
	case h.source.Disabled() != "":
		return errDisabled
	case !h.source.Takes(r.Header.Get("Content-Type")):
		return errHookType
	}
	ack := h.source.Ack()
	if err := rq.readBody(r); err != nil {
		return askedToWait(err, ack)
	}
	call := callOf(r, rq.body, rq.received)
	if err := h.source.Verify(call); err != nil {
		s.doubt(h.source, call, err)
		return errSignature(ack.BadSignature)
	}
	x.origin()
	// A client that hangs up must not leave half a body translated.
	messages := h.source.Translate(context.WithoutCancel(r.Context()), call)
	rq.kept = keptHeaders(h.source, call)
	rq.tracking = true // nobody would learn of an item that Kafka refuses, so the vendor sends it again
	if t := x.produce(h.holder, routeHooks, hookItems(messages)); t[unavailable] > 0 {
		return askedToWait(errKafkaAway, ack)
	}
	acknowledge(x, ack)
	return nil
}

// askedToWait is a refusal that asks the source to come again when it likes to.
func askedToWait(err error, ack webhook.Ack) error {
	var r *refusal
	if ack.RetryAfter == 0 || !errors.As(err, &r) || r.retry == 0 {
		return err
	}
	later := *r
	later.retry = ack.RetryAfter
	return &later
}

// doubt notes a webhook that did not prove who sent it. One that is signed well and came too late is worth
// a line that somebody reads: its sender will not repeat it, and a tolerance that is too short for the
// sender's retries looks exactly so.
func (s *Service) doubt(source *webhook.Source, call *webhook.Request, err error) {
	if at, ok := source.SignedAt(call); ok && errors.Is(err, webhook.ErrOld) {
		s.log.Warn().Str("source", source.Name()).Time("signed_at", at).Dur("age", call.Received.Sub(at)).
			Msg("a webhook is signed well but too old; raise auth.tolerance if its sender repeats so late")
		return
	}
	s.log.Debug().Str("source", source.Name()).Err(err).Msg("a webhook did not prove who sent it")
}

// callOf is a request as sources see it.
func callOf(r *http.Request, body []byte, received time.Time) *webhook.Request {
	return &webhook.Request{
		Method: r.Method, URL: r.URL, Host: r.Host, Header: r.Header, TLS: r.TLS, Body: body, Received: received,
	}
}

// keptHeaders go with a dead letter: much of what some vendors say stands in no body.
func keptHeaders(source *webhook.Source, call *webhook.Request) []stream.Header {
	var kept []stream.Header
	for _, h := range source.Headers(call) {
		kept = append(kept, stream.Header{Key: "http-" + h.Name, Value: []byte(h.Value)})
	}
	if query := source.Query(call).Encode(); query != "" {
		kept = append(kept, stream.Header{Key: "http-query", Value: []byte(query)})
	}
	return kept
}

func acknowledge(x *exchange, ack webhook.Ack) {
	w := x.Response()
	if ack.Body == "" {
		w.WriteHeader(ack.Status)
		return
	}
	w.Header().Set("Content-Type", ack.Type)
	w.WriteHeader(ack.Status)
	_, _ = w.Write([]byte(ack.Body))
}

// handshake answers what a vendor asks before it sends anything.
func (s *Service) handshake(x *exchange) error {
	h := s.hooks[x.Param("source")]
	if h == nil {
		return echo.ErrNotFound
	}
	answer, ok := h.source.Handshake(x.Request())
	if !ok {
		x.Response().Header().Set("Allow", http.MethodPost)
		return echo.ErrMethodNotAllowed
	}
	w := x.Response()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Status)
	if x.Request().Method != http.MethodHead {
		_, _ = w.Write(answer.Body)
	}
	return nil
}
