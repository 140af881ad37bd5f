package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/sluicehq/sluice/services/ingest/feed"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// A feed is fetched whole, to a file, and read twice: first to its end, so that nothing is told of one that is
// cut off, broken or suddenly almost empty; then to tell what is different from what was known. Memory holds
// what is known, a number for each row, and the rows of a portion.

// Of a feed a portion is what is told at once.
const (
	portionRows  = 500
	portionBytes = 4 << 20
)

// feedRound fetches the feed, and tells the difference.
func (w *worker) feedRound(ctx context.Context) error {
	// From its beginning, whatever an earlier attempt came to: it may have been another feed.
	w.state.Round = w.next(time.Now())
	r := w.state.Round
	defer w.progress(ctx, r, true)()
	where, err := w.target(r.From, "")
	if err != nil {
		return &failure{refused, err, 0}
	}
	a, err := w.client.ask(ctx, where, w.state.Validators)
	if err != nil {
		return err
	}
	if a.unchanged {
		return w.finish(ctx, "", w.state.Validators)
	}
	defer a.feed.Close()
	w.stats.page()
	s, err := w.survey(ctx, a.feed)
	if err != nil {
		return w.unread(ctx, err)
	}
	if err := w.believe(s); err != nil {
		return err
	}
	// That this is what the last one was must not be said of it before all of it is told: should that fail and
	// the last one be back, it has to be told too.
	if w.state.Validators != (validators{}) {
		w.state.Validators = validators{}
		if err := w.save(ctx, nil); err != nil {
			return err
		}
	}
	if err := w.tellRows(ctx, a.feed, s); err != nil {
		return w.unread(ctx, err)
	}
	w.stats.doubled(s.twice)
	return w.finish(ctx, "", validatorsOf(where, a))
}

// survey is what the first reading finds.
type survey struct {
	last   map[uint64]uint32 // by the hash of an id, the last row that has it
	rows   int
	twice  int   // rows that do not count, since another one of the same id comes behind them
	weight int64 // about what it takes to know all of them, as JSON
}

// Bounds on what is known of a feed, so that each of its parts fits a record.
const (
	maxWeight    = parts * 850_000
	sightingSize = 45 // of an item in a part, without its id
)

var (
	errTooManyRows = fmt.Errorf("the feed has more than %d rows, with those that have gone lately, or ids that are too long for so many", maxKnown)
	errNothingLeft = errors.New("the feed has no rows any more, and is not believed")
)

// survey reads the feed to its end.
func (w *worker) survey(ctx context.Context, file *os.File) (*survey, error) {
	rows, err := w.rows(file)
	if err != nil {
		return nil, err
	}
	s := &survey{last: map[uint64]uint32{}}
	for {
		id, err := rows.NextID(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return s, nil
		case err != nil:
			return nil, err
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		if id != "" {
			h := idHash(id)
			if _, there := s.last[h]; there {
				s.twice++
			} else {
				s.weight += int64(len(id)) + sightingSize
			}
			s.last[h] = uint32(s.rows)
		}
		s.rows++
		if len(s.last) > maxKnown || s.weight > maxWeight {
			return nil, &failure{refused, errTooManyRows, 0}
		}
	}
}

// rows begins to read the feed.
func (w *worker) rows(file *os.File) (*webhook.Rows, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, &failure{again, fmt.Errorf("reading the feed again: %w", err), 0}
	}
	return w.polling.Rows(file)
}

// unread is what to do about an error of reading. A feed is asked for again no sooner than it would be anyway:
// what is broken is mended where it is made.
func (w *worker) unread(ctx context.Context, err error) error {
	var f *failure
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &f):
		return err
	case errors.Is(err, feed.ErrTooLong):
		return &failure{refused, fmt.Errorf("%w: raise poll.max_bytes", err), 0}
	case errors.Is(err, feed.ErrCutOff):
		return &failure{again, err, 0} // its transfer, most likely
	}
	return &failure{refused, fmt.Errorf("reading the feed: %w", err), 0}
}

// believe holds the feed against what was known: a catalogue does not shrink by a third overnight, but its export
// may well have failed.
func (w *worker) believe(s *survey) error {
	living, missing, known, weight := 0, 0, len(s.last), s.weight
	for id, is := range w.known.items {
		_, there := s.last[idHash(id)]
		switch {
		case is.Gone && !there:
			known, weight = known+1, weight+int64(len(id))+2*sightingSize
		case is.Gone:
		case !there:
			living, missing, known, weight = living+1, missing+1, known+1, weight+int64(len(id))+2*sightingSize
		default:
			living++
		}
	}
	switch {
	case known > maxKnown || weight > maxWeight:
		return &failure{refused, errTooManyRows, 0}
	case living > 0 && len(s.last) == 0:
		w.stats.suspect()
		return &failure{refused, errNothingLeft, 0}
	case missing*100 > living*w.polling.MaxLoss:
		w.stats.suspect()
		return &failure{refused, fmt.Errorf("%d of %d rows are missing at once, and poll.max_loss is %d percent: the feed is not believed", missing, living, w.polling.MaxLoss), 0}
	}
	return nil
}

// tellRows reads the feed once more and makes records of what is different.
func (w *worker) tellRows(ctx context.Context, file *os.File, s *survey) error {
	rows, err := w.rows(file)
	if err != nil {
		return err
	}
	var portion []webhook.Item
	size := 0
	tell := func() error {
		if len(portion) == 0 {
			return nil
		}
		_, err := w.take(ctx, portion)
		portion, size = portion[:0], 0
		w.stats.under(w.state.Round)
		return err
	}
	for n := 0; ; n++ {
		it, err := rows.Next(ctx)
		if errors.Is(err, io.EOF) {
			return tell()
		}
		if err != nil {
			return err
		}
		if it.ID != "" && s.last[idHash(it.ID)] != uint32(n) {
			continue
		}
		portion, size = append(portion, it), size+len(it.JSON)
		if len(portion) == portionRows || size > portionBytes {
			if err := tell(); err != nil {
				return err
			}
		}
	}
}

// buryMissing tells what the feed does not show any more. It was read whole, so once is enough.
func (w *worker) buryMissing(ctx context.Context) error {
	r := w.state.Round
	if r.Pages == 0 { // unchanged, or empty as it was
		return nil
	}
	round := r.Begun.Unix()
	ids := sorted(w.known.gone(round))
	for len(ids) > 0 {
		n := min(len(ids), portionRows)
		items := make([]webhook.Item, n)
		for i, id := range ids[:n] {
			items[i] = w.polling.Missed(id, fmt.Sprintf("missed-%d", round))
		}
		if err := w.doubt(ctx, items); err != nil {
			return err
		}
		if err := w.sink.Take(ctx, w.polling, items); err != nil {
			return err
		}
		for _, id := range ids[:n] {
			w.state.Recent.drop(w.known.bury(id, round))
		}
		w.state.Items += int64(n)
		ids = ids[n:]
	}
	return nil
}

// keep puts a feed into a file of its own, which has no name once it is open.
func (c *client) keep(resp *http.Response) (answer, error) {
	file, err := os.CreateTemp("", "sluice-feed-*")
	if err != nil {
		return answer{}, &failure{again, fmt.Errorf("making a file for the feed: %w", err), 0}
	}
	_ = os.Remove(file.Name()) // where that is not allowed, whoever cleans up the folder will
	n, err := io.Copy(file, io.LimitReader(resp.Body, c.polling.MaxBytes+1))
	switch {
	case err != nil: // fewer bytes than were announced among them
		err = &failure{again, fmt.Errorf("fetching the feed: %w", withoutURL(err)), 0}
	case n > c.polling.MaxBytes:
		err = &failure{refused, fmt.Errorf("the feed has more than %d bytes: raise poll.max_bytes", c.polling.MaxBytes), 0}
	default:
		return answer{header: resp.Header, feed: file}, nil
	}
	return answer{}, errors.Join(err, file.Close())
}
