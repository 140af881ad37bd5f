package poll

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// worker asks one source for as long as its partition is ours.
type worker struct {
	polling *webhook.Polling
	scale   scale
	client  *client
	sink    Sink
	store   store
	stats   *stats
	log     zerolog.Logger

	state checkpoint
	known *known // nil for a source that is never read whole

	// previous is the page before the one that the round stands before, while pages are counted among
	// items of the same mark (advance.go).
	previous *counted
	// places are hashes of those where the round was, since {since} was last another.
	places map[string]bool
	// amiss is how many attempts in a row came to a page that was none.
	amiss int
}

// Waits between attempts.
var (
	backoff = retry.Schedule{Base: time.Second, Cap: 5 * time.Minute}
	saving  = retry.Schedule{Base: 200 * time.Millisecond, Cap: 5 * time.Second}
)

// patience is how often a page that is none is asked for in a row before the place where it ought to be is
// given up: a cursor that has run out is told by some with an answer that looks like a success.
const patience = 4

// gently is how often a source is asked that does not know us any more: somebody may have seen to it.
const gently = 15 * time.Minute

// run takes up the checkpoint and begins a round whenever one is due, until the context ends.
func (w *worker) run(ctx context.Context) {
	if !w.takeUp(ctx) {
		return
	}
	w.stats.own(true)
	defer w.stats.own(false)
	w.log.Info().Int64("epoch", w.state.Epoch).Bool("resumes", w.state.Round != nil).Msg("this replica polls the source now")
	wait := time.Duration(0)
	if r := w.state; r.Round == nil && !r.Begun.IsZero() {
		wait = time.Until(r.Begun.Add(w.polling.Every))
	}
	for attempt := 0; ; {
		if sleep(ctx, wait) != nil {
			return
		}
		began := time.Now()
		err := w.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			w.stats.fine()
			w.amiss = 0
			attempt, wait = 0, max(0, w.polling.Every-time.Since(w.state.Begun))
			continue
		}
		wait = w.afterFailure(err, attempt)
		attempt++
		w.log.Warn().Err(err).Dur("took", time.Since(began)).Dur("again_in", wait).Msg(w.stats.failed(err))
	}
}

// afterFailure says when to try again. Where the place that we were at is not good any more, the round
// begins anew: the cursor has not moved.
func (w *worker) afterFailure(err error, attempt int) time.Duration {
	var f *failure
	if !errors.As(err, &f) {
		return backoff.Next(attempt, 0)
	}
	switch f.kind {
	case locked:
		return max(gently, w.polling.Every)
	case refused:
		if w.giveUpPlace() {
			return backoff.Next(attempt, 0)
		}
		return max(time.Minute, w.polling.Every)
	case broken:
		if w.amiss++; w.amiss >= patience {
			w.amiss = 0
			w.giveUpPlace()
		}
	case again:
	}
	return backoff.Next(attempt, f.hint)
}

// giveUpPlace forgets where the next page is, if there is such a place, and the round that has come to it.
func (w *worker) giveUpPlace() bool {
	if w.state.Cursor == "" && (w.state.Round == nil || w.state.Round.At == "") {
		return false
	}
	w.log.Warn().Msg("where the next page was said to be is given up: the round begins anew, from the last change that was seen")
	w.state.Round, w.state.Cursor, w.previous, w.places = nil, "", nil, nil
	return true
}

// takeUp reads the checkpoint and claims it. It reports false when the context ends.
func (w *worker) takeUp(ctx context.Context) bool {
	for attempt := 0; ; attempt++ {
		err := w.store.load(ctx, w.polling.Name(), &w.state, w.known)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return false
		}
		w.log.Warn().Err(err).Msg("reading the checkpoint")
		if sleep(ctx, saving.Next(attempt, 0)) != nil {
			return false
		}
	}
	w.settleDoubts()
	w.heedFile()
	if r := w.state.Round; r != nil {
		r.Resumed = true
		if w.sorted() {
			r.At = "" // pages are counted from r.From, and that may be another place by now
		}
	}
	w.state.Epoch++
	return w.save(ctx, nil) == nil
}

// saveAll makes all durable that is known, and then nothing of it is in doubt.
func (w *worker) saveAll(ctx context.Context) error {
	if w.known == nil {
		return w.save(ctx, nil)
	}
	changed, err := w.known.changed(w.state.Epoch)
	if err != nil {
		return err
	}
	w.state.Doubted, w.state.AllDoubted = nil, false
	if err := w.save(ctx, changed); err != nil {
		return err
	}
	w.known.saved()
	return nil
}

// save makes the checkpoint durable, and what is known where it has changed. It tries until it can.
func (w *worker) save(ctx context.Context, changed map[int][]byte) error {
	for attempt := 0; ; attempt++ {
		err := w.store.save(ctx, w.polling.Name(), &w.state, changed)
		if err == nil {
			w.stats.at(&w.state, w.scale)
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		w.log.Warn().Err(err).Msg("writing the checkpoint")
		if err := sleep(ctx, saving.Next(attempt, 0)); err != nil {
			return err
		}
	}
}
