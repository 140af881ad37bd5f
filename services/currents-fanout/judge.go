package currentsfanout

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// judge finds out what becomes of a record before the sink is asked: nothing yet (no Kind), skipped or refused. It is
// not ready while that cannot be known.
func (r *runner) judge(p *part, rec stream.Delivery, d draft) (of feed, what outcome.Outcome, ready bool) {
	of = p.of
	if of == ofNothing {
		if of, what = r.judgeRetry(rec); what.Kind != 0 {
			return of, what, true
		}
	} else if repeats := r.repeats(p); repeats != nil {
		double, known := repeats.Repeat(p.Number, rec.Offset())
		switch {
		case !known:
			return ofNothing, what, false
		case double:
			return of, outcome.Outcome{Kind: outcome.Skipped, Reason: "double"}, true
		}
	}
	if r.selector.all { // it is read when it is shaped
		return of, what, true
	}
	if !r.feeds.known(of, rec.Value()) {
		return of, what, false
	}
	if err := r.feeds.decode(context.Background(), of, rec.Value(), d); err != nil {
		what, ready = refusal(err)
		return of, what, ready
	}
	if why := r.selector.skips(of, d); why != "" {
		what = outcome.Outcome{Kind: outcome.Skipped, Reason: why}
	}
	return of, what, true
}

// Headers of a record of the retries.
const (
	sinkHeader   = "sink"         // which sink it is for
	originHeader = "origin-topic" // which topic it stood on, without prefix
)

// judgeRetry finds out what a record of the retries is, and whether it is for this sink.
func (r *runner) judgeRetry(rec stream.Delivery) (feed, outcome.Outcome) {
	if headerOf(rec, sinkHeader) != r.config.Name {
		return ofNothing, outcome.Outcome{Kind: outcome.Skipped, Reason: "other_sink"}
	}
	origin := headerOf(rec, originHeader)
	of := named(origin)
	if of == ofNothing {
		return of, outcome.Outcome{Kind: outcome.Refused, Reason: "no_origin", Detail: "the header " + originHeader + " names no topic that sinks read"}
	}
	return of, outcome.Outcome{}
}

func headerOf(rec stream.Delivery, key string) string {
	for _, h := range rec.Headers() {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// learn asks the registry for a schema. It reports whether it is known now.
func (r *runner) learn(ctx context.Context, u unread) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := r.feeds.learn(ctx, u.of, u.value)
	if err != nil && ctx.Err() == nil {
		r.log.Warn().Err(err).Msg("waiting for the schema registry")
	}
	r.health.Set("registry", err)
	return err == nil
}
