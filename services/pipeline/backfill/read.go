package backfill

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/event"
)

// Count reads every file and writes nothing: what a backfill would do.
func Count(ctx context.Context, o Order) (Report, error) {
	return o.run(ctx, nil)
}

// stopped carries an error of our own through a reader of files, so that it is told apart from the reader's.
type stopped struct{ error }

func (s stopped) Unwrap() error { return s.error }

// run reads the files that are not done, and writes their events where there is somebody who does.
func (o Order) run(ctx context.Context, w *writer) (Report, error) {
	report := Report{Types: map[string]int{}, Bad: []Bad{}}
	files, err := find(o.Path)
	if err != nil {
		return report, err
	}
	done, err := openCheckpoint(o.Checkpoint, w != nil)
	if err != nil {
		return report, err
	}
	defer func() { _ = done.Close() }() // every line is synced
	report.Files = len(files)
	var read []file // whose events may be on their way still
	since := 0
	settle := func() error {
		if w == nil {
			return nil
		}
		flushed := w.flush(ctx)
		report.Sent, report.Unfit = w.counts()
		if flushed != nil {
			return flushed
		}
		err := done.add(read)
		read, since = read[:0], 0
		return err
	}
	for _, f := range files {
		if done.has(f) {
			report.Known++
			report.Files--
			continue
		}
		err := o.each(f, func(e *event.Engagement) error {
			if ctx.Err() != nil {
				return stopped{context.Cause(ctx)}
			}
			report.count(e)
			since++
			if w == nil {
				return nil
			}
			if err := w.write(ctx, e); err != nil {
				return stopped{err}
			}
			return nil
		})
		var ours stopped
		switch {
		case errors.As(err, &ours):
			err := errors.Join(ours.error, settle())
			return report, err
		case err != nil:
			report.Bad = append(report.Bad, Bad{f.path, err.Error()})
		default:
			read = append(read, f)
		}
		report.Done++
		if since >= settleEvery {
			if err := settle(); err != nil {
				return report, err
			}
		}
		if o.Progress != nil {
			o.Progress(report)
		}
	}
	err = settle()
	return report, err
}

// each hands over the events of a file.
func (o Order) each(f file, do func(*event.Engagement) error) error {
	from, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // only read
	now := time.Now().UTC().Truncate(time.Millisecond)
	return currents.ReadFile(from, f.path, func(e event.Engagement) error {
		e.Workspace, e.ReceivedAt = o.Workspace, now
		return do(&e)
	})
}

// settleEvery is how many events go out before they are waited for: Braze's files may hold a single one.
const settleEvery = 5_000
