package brazesender

import (
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/retry"
)

// gate closes an endpoint while asking makes no sense: Braze says slow down, does not know our key, or
// has not been there for many requests in a row. A closed gate lets one request through
// now and then; an answer to it opens the gate.
type gate struct {
	until    time.Time
	stopped  error // 401, 403, a wrong URL: an operator has to act
	failures int   // requests in a row that nobody answered, or with 5xx
	refusals int   // answers in a row that shut the gate
	probing  bool  // the next request is a probe: no other beside it
}

// tooManyFailures in a row are no accident of single requests any more.
const tooManyFailures = 20

var probes = retry.Schedule{Base: 500 * time.Millisecond, Cap: 15 * time.Second}

// closed reports whether no request may start now, and until when if only time will tell.
func (g *gate) closed(now time.Time, flights int) (until time.Time, closed bool) {
	switch {
	case now.Before(g.until):
		return g.until, true
	case g.probing && flights > 0:
		return time.Time{}, true // the answer to the probe will tell
	}
	return time.Time{}, false
}

// learn takes note of how a request ended.
func (g *gate) learn(f *flight, now time.Time) {
	switch f.verdict {
	case braze.Accepted, braze.Malformed:
		*g = gate{}
	case braze.Throttled:
		g.refusals++
		g.failures = 0
		if f.hint.Wait(now) == 0 { // no header says how long: the quota cannot know
			g.until = now.Add(probes.Next(g.refusals-1, 0))
		}
	case braze.Stopped:
		g.refusals++
		g.probing = true
		e := f.line.outlet.endpoint
		g.stopped = fmt.Errorf("%s answered %d, nothing is sent to it: check BRAZE_REST_ENDPOINT and BRAZE_API_KEY and its permission %s: %s", e.Path, f.status, e.Permission, f.message)
		g.until = now.Add(probes.Next(g.refusals-1, 0))
	case braze.Unavailable, braze.InDoubt, braze.NotSent:
		g.failures++
		if g.failures >= tooManyFailures || g.probing {
			g.probing = true
			g.until = now.Add(probes.Next(g.failures/tooManyFailures, f.hint.Wait(now)))
		}
	}
}

// tellKafka turns readiness red while nothing is sent because no receipt becomes durable.
func (s *Sender) tellKafka(flowing bool) {
	if flowing == s.flowing {
		return
	}
	s.flowing = flowing
	if flowing {
		s.health.Set("kafka", nil)
		s.log.Info().Msg("receipts are written again")
		return
	}
	err := fmt.Errorf("no receipt has become durable for %v, so nothing is sent: check KAFKA_BROKERS and the cluster", overdue)
	s.health.Set("kafka", err)
	s.log.Error().Err(err).Msg("Kafka does not take receipts")
}

// tellHealth turns readiness red while an operator has to act, and names every endpoint that is stopped.
func (s *Sender) tellHealth() {
	var stopped error
	for _, e := range braze.Endpoints() {
		if err := s.lines.outlets[e].gate.stopped; err != nil {
			stopped = errors.Join(stopped, err)
		}
	}
	words := ""
	if stopped != nil {
		words = stopped.Error()
	}
	if words == s.stopped {
		return
	}
	s.stopped = words
	s.health.Set("braze", stopped)
	if stopped == nil {
		s.log.Info().Msg("Braze lets us in again")
	} else {
		s.log.Error().Err(stopped).Msg("Braze does not let us in")
	}
}
