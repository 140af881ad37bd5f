package currentsfanout

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// settlement is what came of a batch.
type settlement struct {
	what  []outcome.Outcome // of each event that was handed over; nil when none was
	split bool
	// deferred says that some of it has to come again.
	deferred bool
	whole    bool // all of it
	probe    bool // it tried whether the far end is up
}

// noAnswer is what a sink has made of an event of which it says nothing.
var noAnswer = outcome.Outcome{Kind: outcome.Deferred, Reason: "no_answer", Detail: "the sink says nothing of it"}

// make decodes and shapes a record for the sink.
func (r *runner) make(ctx context.Context, it *item, e *sink.Event, d draft) outcome.Outcome {
	rec := it.delivery
	for {
		err := r.feeds.decode(ctx, it.of, rec.Value(), d)
		if err == nil {
			break
		}
		if what, ok := refusal(err); ok {
			return what
		}
		if ctx.Err() != nil {
			return outcome.Outcome{Kind: outcome.Deferred, Reason: "registry"}
		}
		r.health.Set("registry", err)
		if !wait(ctx, time.Second) {
			return outcome.Outcome{Kind: outcome.Deferred, Reason: "registry"}
		}
	}
	e.Partition, e.Offset = rec.Partition().Number, rec.Offset()
	d.vouched = vouched(rec.Headers())
	return r.redactor.shape(e, it.of, d, string(rec.Key()))
}

// conclude reads an answer, and tells the gate.
func (r *runner) conclude(p pass, events []*sink.Event, a sink.Answer, now time.Time) settlement {
	s := settlement{what: make([]outcome.Outcome, len(events)), probe: p.probe}
	deferred := 0
	if a.Each != nil && len(a.Each) != len(events) {
		r.log.Error().Int("events", len(events)).Int("answers", len(a.Each)).Msg("the sink has answered for another number of events: nothing of it counts")
		a = sink.Answer{All: noAnswer}
	}
	for i := range events {
		what := a.Of(i)
		if !what.Kind.Final() && what.Kind != outcome.Deferred {
			what = noAnswer
		}
		if what.Kind == outcome.Deferred {
			deferred++
			r.metrics.deferred(what)
		}
		s.what[i] = what
	}
	s.split = a.Split && deferred == len(events) && len(events) > 1
	s.deferred, s.whole = deferred > 0, deferred == len(events)
	failed := deferred == len(events) && !s.split
	if len(events) == 0 { // a stretch in which there is nothing for the sink
		failed = !a.All.Kind.Final()
		s.deferred = failed
	}
	switch {
	case a.Halt:
		r.fared(r.gate.fail(p, now, a.RetryAfter, orElse(firstDetail(s.what), "it takes nothing")))
	case failed && p.lone && !p.probe: // it says nothing of what others have to expect
		if a.RetryAfter > 0 {
			r.gate.rest(now, a.RetryAfter)
		}
	case failed:
		r.fared(r.gate.fail(p, now, a.RetryAfter, ""))
	default: // it takes something, or judges it at least
		was := r.gate.succeed()
		if was == broken || was == halted {
			r.hurry(false)
		}
		r.fared(was, running)
		r.metrics.budget.Set(0)
		if a.RetryAfter > 0 {
			r.gate.rest(now, a.RetryAfter)
		}
	}
	return s
}

// fared logs when the state of the sink is another one, and lets the lanes know.
func (r *runner) fared(was, is state) {
	r.wakeLanes()
	if was == is {
		return
	}
	_, words, since := r.gate.look()
	switch is {
	case halted:
		r.log.Error().Str("said", words).Msg("the sink takes nothing until somebody mends this; it is asked now and then, and nothing is given up")
	case broken:
		r.log.Warn().Time("since", since).Msg("the sink has failed several times in a row: it is tried now and then with a small batch")
	case failing:
		r.log.Info().Msg("a batch came to nothing; it comes again")
	case running:
		r.log.Info().Str("was", string(was)).Msg("the sink takes events again")
	case paused:
	}
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// firstDetail is what the far end has said.
func firstDetail(what []outcome.Outcome) string {
	for _, o := range what {
		if o.Detail != "" || o.Reason != "" {
			return fmt.Sprintf("%s: %s", o.Reason, o.Detail)
		}
	}
	return ""
}
