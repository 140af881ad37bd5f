package kafkasink

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// Reasons of outcomes.
const (
	reasonRefused     = "record_refused" // Kafka will never take this record
	reasonNoRecord    = "no_record"      // the event has no form that is asked for
	reasonTooLarge    = "too_large"      // the broker takes no batch of records as large as it came in
	reasonUnavailable = "unavailable"
	reasonInterrupted = "interrupted"
	reasonDenied      = "denied" // a right, a credential or the topic is missing
	reasonSchema      = "schema_not_accepted"
	reasonRegistry    = "registry_unavailable"
)

// pending is the batch under way. Verdicts may come after nobody waits for them any more.
type pending struct {
	all chan struct{} // closed when every verdict is there

	mu    sync.Mutex
	left  int
	over  bool
	fates []outcome.Outcome
	halt  bool
	bad   bool // something was not delivered
	large bool // something came in a batch that was too large
}

func newPending(n int) *pending {
	return &pending{all: make(chan struct{}), left: n, fates: make([]outcome.Outcome, n)}
}

func (p *pending) done(i int, err error) {
	if err == nil {
		p.set(i, outcome.Outcome{Kind: outcome.Delivered}, false)
		return
	}
	o, halt := classify(err)
	if o.Kind == outcome.Refused && len(p.fates) > 1 && inCompany(err) {
		// What is too large is what the client has put together: of its parts nobody has judged.
		o.Kind, o.Reason = outcome.Deferred, reasonTooLarge
	}
	p.set(i, o, halt)
}

// inCompany says of a record that was refused as too large whether the broker did so, who sees batches. What the
// client refuses is too large alone, and was never compressed.
func inCompany(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "MESSAGE_TOO_LARGE") && strings.Contains(text, " compressed_bytes=")
}

// refuse is for an event of which no record can be made: a webhook where engagements are wanted in Avro, or
// one without a document. An empty value would be read as a tombstone by some.
func (p *pending) refuse(i int) {
	p.set(i, outcome.Outcome{Kind: outcome.Refused, Reason: reasonNoRecord, Detail: "the event has no document, or is a webhook and value is avro"}, false)
}

func (p *pending) set(i int, o outcome.Outcome, halt bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.fates[i] = o
	p.halt = p.halt || halt
	p.bad = p.bad || o.Kind != outcome.Delivered
	p.large = p.large || o.Reason == reasonTooLarge
	if p.left--; p.left == 0 {
		close(p.all)
	}
}

// answer is what became of the batch by now. Of what has no verdict nobody knows whether it was taken:
// it comes again, under the same id.
func (p *pending) answer() sink.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if p.left == 0 && !p.bad {
		return sink.Delivered()
	}
	if p.left == 0 && p.large && !slices.ContainsFunc(p.fates, func(o outcome.Outcome) bool { return o.Reason != reasonTooLarge }) {
		return sink.Answer{All: p.fates[0], Split: true}
	}
	for i := range p.fates {
		if p.fates[i].Kind == 0 {
			p.fates[i] = outcome.Outcome{Kind: outcome.Deferred, Reason: reasonInterrupted}
		}
	}
	return sink.Answer{Each: p.fates, Halt: p.halt}
}

// denials are the protocol's names of errors that stay until a person has changed something. The errors of
// package stream begin with them.
var denials = []string{
	"TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
	"SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE",
	"UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "POLICY_VIOLATION",
}

// longestDetail bounds what is repeated of an error.
const longestDetail = 1_000

// classify is the one place that knows what an error of a record means.
func classify(err error) (o outcome.Outcome, halt bool) {
	detail := err.Error()
	if len(detail) > longestDetail {
		detail = strings.ToValidUTF8(detail[:longestDetail], "") + "…"
	}
	switch {
	case stream.Permanent(err):
		return outcome.Outcome{Kind: outcome.Refused, Reason: reasonRefused, Detail: detail}, false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return outcome.Outcome{Kind: outcome.Deferred, Reason: reasonInterrupted}, false
	}
	for _, name := range denials {
		if strings.Contains(detail, name) {
			return outcome.Outcome{Kind: outcome.Deferred, Reason: reasonDenied, Detail: detail}, true
		}
	}
	return outcome.Outcome{Kind: outcome.Deferred, Reason: reasonUnavailable, Detail: detail}, false
}
