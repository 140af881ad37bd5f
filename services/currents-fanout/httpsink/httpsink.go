// Package httpsink is the sink that speaks HTTP: an analytics collector, a warehouse with an HTTP
// interface, a webhook of one's own.
//
// The way of a batch: its events' documents, as they are or as a jq template makes them (template.go),
// are put into a body (body.go); the body goes out signed and with credentials (send.go, sign.go,
// auth.go); what the answer means is said by one function (classify.go), and of single events by the
// operator's program that reads the answer (verdict.go). A batch that is more than one request may
// hold goes in several, one after another. In format single each event is a request.
//
// A preset (preset.go) is a set of options for a well-known receiver; HTTP.md beside the service's README
// says for each how to use it.
//
// Redirects are never followed: a far end that has moved is told by the operator, not by whoever answers
// in its place, since credentials go with every request. Nothing is tried again here but a request
// whose token has run out.
package httpsink

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// Sink sends events to one URL. It may be used from several goroutines.
type Sink struct {
	*settings
	transport http.RoundTripper
	own       *http.Transport // the transport, where it is not somebody else's
	tokens    *tokens         // nil where the credentials never change
	metrics   *metrics
}

// maxFailures is after how many requests in a row that failed the rest of a batch is not tried in format
// single: a far end that is down should not cost a timeout for each event.
const maxFailures = 3

// Open makes a sink of options. It reads the files that they name, and dials nothing.
func Open(_ context.Context, o Options, d sink.Deps) (sink.Sink, error) {
	set, err := o.settle()
	if err != nil {
		return nil, err
	}
	s := &Sink{settings: set, metrics: newMetrics(d.Metrics)}
	if err := s.connect(d.HTTP); err != nil {
		return nil, fmt.Errorf("opening the HTTP sink %s: %w", d.Name, err)
	}
	if err := s.identify(); err != nil {
		return nil, fmt.Errorf("opening the HTTP sink %s: %w", d.Name, err)
	}
	return s, nil
}

// Write sends a batch. Events that the template leaves out are Skipped in Answer.Each.
func (s *Sink) Write(ctx context.Context, batch []*sink.Event) sink.Answer {
	w := begin(batch)
	defer w.end()
	for w.next < len(batch) {
		if err := s.fill(ctx, w); err != nil {
			v := deferred(reasonInterrupted, "")
			w.settle(v)
			w.stop(v.all)
			break
		}
		if len(w.items) == 0 {
			continue
		}
		v := s.send(ctx, w)
		if done, answer := s.judge(w, v); done {
			return answer
		}
	}
	return w.result()
}

// judge books what became of a request, and decides whether the batch goes on behind it.
func (s *Sink) judge(w *work, v verdict) (done bool, a sink.Answer) {
	w.answered.RetryAfter = max(w.answered.RetryAfter, v.after)
	w.answered.Halt = w.answered.Halt || v.halt
	switch {
	case v.all.Kind != outcome.Deferred:
		w.failures = 0
		w.settle(v)
		return false, a
	case v.split && !w.delivered:
		return true, sink.Answer{All: v.all, RetryAfter: v.after, Split: true}
	case v.rows == nil && w.fates == nil && w.sofar == 0 && (!s.goesOn(v) || len(w.batch) == 1):
		// The simple and common case: nothing of the batch was taken.
		return true, sink.Answer{All: v.all, RetryAfter: v.after, Halt: v.halt}
	}
	w.failures++
	w.settle(v)
	if !s.goesOn(v) || w.failures == maxFailures {
		w.stop(v.all)
		return true, w.result()
	}
	return false, a
}

// goesOn reports whether other customers' events are sent although one could not be.
func (s *Sink) goesOn(v verdict) bool { return v.pass && s.Format == formatSingle }

// Close lets go of idle connections.
func (s *Sink) Close() error {
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	return nil
}
