package poll

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

var errTooManyPages = errors.New("the round has more pages than poll.max_pages")

// round reads from the first page, or from where an earlier attempt got to, to the last. The cursor
// moves only behind the last.
func (w *worker) round(ctx context.Context) error {
	if w.polling.IsFeed() {
		return w.feedRound(ctx)
	}
	if w.state.Round == nil {
		w.state.Round = w.next(time.Now())
		w.previous, w.places = nil, nil
	}
	r := w.state.Round
	defer w.progress(ctx, r, r.Whole)()
	for {
		at := r.At
		page, answer, where, err := w.page(ctx, r.From, at)
		if err != nil {
			return err
		}
		if date, err := http.ParseTime(answer.header.Get("Date")); err == nil && r.Pages == 0 && date.Before(r.Limit) {
			r.Limit = date
		}
		if answer.unchanged {
			return w.finish(ctx, w.state.Cursor, w.state.Validators)
		}
		shifted, err := w.lookBack(ctx)
		if err != nil {
			return err
		}
		last, err := w.take(ctx, page.Items)
		if err != nil {
			return err
		}
		next, more, err := w.following(at, &page, answer.header)
		if err != nil {
			return &failure{broken, err, 0}
		}
		if !more && !shifted {
			validators := validators{}
			if r.Pages == 1 {
				validators = validatorsOf(where, answer)
			}
			if !w.polling.Paging.Lasting {
				next = ""
			}
			return w.finish(ctx, next, validators)
		}
		if r.Pages >= int64(w.polling.MaxPages) {
			w.state.Round = nil // from its beginning, once somebody has raised it
			return &failure{refused, errTooManyPages, 0}
		}
		if err := w.advance(&page, at, next, last, shifted); err != nil {
			return err
		}
		if err := w.save(ctx, nil); err != nil {
			return err
		}
	}
}

// next is the round that is due now.
func (w *worker) next(now time.Time) *round {
	s := &w.state
	r := &round{Begun: now.UTC(), Limit: now.UTC(), From: w.scale.back(s.Since, w.scale.overlap), At: s.Cursor}
	first := s.Begun.IsZero()
	switch whole := w.polling.FullEvery > 0 && now.Sub(s.Whole) >= w.polling.FullEvery; {
	case first, whole, !w.polling.AsksSince():
		r.Whole, r.From, r.At = true, w.scale.start, ""
	}
	return r
}

// page asks for one and reads it.
func (w *worker) page(ctx context.Context, from mark, at string) (page webhook.Page, a answer, where target, err error) {
	if where, err = w.target(from, at); err != nil {
		return page, a, where, &failure{refused, err, 0}
	}
	var known validators
	if at == "" {
		known = w.state.Validators
	}
	if a, err = w.client.ask(ctx, where, known); err != nil || a.unchanged {
		return page, a, where, err
	}
	w.stats.page()
	if page, err = w.polling.Read(ctx, a.body); err != nil {
		if ctx.Err() != nil {
			return page, a, where, context.Cause(ctx)
		}
		return page, a, where, &failure{broken, fmt.Errorf("reading a page: %w", err), 0}
	}
	return page, a, where, nil
}

// finish ends the round: now the cursor moves.
func (w *worker) finish(ctx context.Context, cursor string, v validators) error {
	s := &w.state
	r := s.Round
	last := r.Last
	if w.scale.isTime() {
		// In no order, pages that we had behind us may have changed before what is on the last ones. In
		// order, a clock that runs ahead must still not hide what comes until it is right.
		limit := r.Limit
		if w.sorted() {
			limit = time.Now()
		}
		last.At = min(last.At, limit.UnixMicro())
	}
	if err := w.findMissing(ctx); err != nil {
		return err
	}
	s.Since = latest(s.Since, last)
	if w.polling.Since.Value != "" {
		s.Recent.forgetBefore(w.scale.back(s.Since, w.scale.overlap+w.scale.unit()).At)
	}
	s.Cursor, s.Validators, s.Round, s.Begun, s.Done = cursor, v, nil, r.Begun, time.Now().UTC()
	if r.Whole {
		s.Whole = r.Begun
	}
	w.previous, w.places = nil, nil
	if err := w.saveAll(ctx); err != nil {
		return err
	}
	w.log.Debug().Int64("items", r.Items).Int64("pages", r.Pages).Dur("took", s.Done.Sub(r.Begun)).Msg("a round is finished")
	return nil
}

// findMissing makes records of what a round over everything has not shown, the second time. A round
// that another process began has shown things that nobody here has seen: it says nothing.
func (w *worker) findMissing(ctx context.Context) error {
	r := w.state.Round
	if w.polling.IsFeed() {
		return w.buryMissing(ctx)
	}
	if !w.polling.Missing || !r.Whole || r.Resumed || r.Pages == 0 {
		return nil
	}
	gone, suspicious := w.known.missing(r.Begun.Unix())
	if suspicious {
		w.stats.suspect()
		w.log.Error().Int64("items", r.Items).Msg("more than half of what was there is missing: nothing counts as gone")
		return nil
	}
	var items []webhook.Item
	for _, id := range sorted(gone) {
		items = append(items, w.polling.Missed(id, fmt.Sprintf("missed-%d", gone[id])))
	}
	if len(items) > 0 {
		if err := w.doubt(ctx, items); err != nil {
			return err
		}
		if err := w.sink.Take(ctx, w.polling, items); err != nil {
			return err
		}
		w.state.Items += int64(len(items))
	}
	for id := range gone {
		w.state.Recent.drop(w.known.bury(id, r.Begun.Unix()))
	}
	return nil
}

func validatorsOf(where target, a answer) validators {
	v := validators{Of: placeOf(where), ETag: a.header.Get("ETag"), LastModified: a.header.Get("Last-Modified")}
	if v.ETag == "" && v.LastModified == "" {
		return validators{}
	}
	return v
}

// placeOf stands for what is asked for by its address alone; nothing for what is asked for by a body.
func placeOf(where target) string {
	if where.body != "" {
		return ""
	}
	return hashOf(where.url)
}
