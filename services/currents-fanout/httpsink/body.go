package httpsink

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/gzip"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// fill puts the next events of the batch into a body, as many as one request may have. Of those that do
// not belong into it, it says what became of them. It returns an error only when the context has
// ended.
func (s *Sink) fill(ctx context.Context, w *work) error {
	w.items, w.body = w.items[:0], append(w.body[:0], s.before...)
	for ; w.next < len(w.batch) && !s.full(w); w.next++ {
		e := w.batch[w.next]
		if w.holds(e.Key) {
			w.set(w.next, outcome.Outcome{Kind: outcome.Deferred, Reason: reasonBehind})
			continue
		}
		start := len(w.body)
		if len(w.items) > 0 && s.Format == formatArray {
			w.body = append(w.body, ',')
		}
		fate, err := s.item(ctx, w, e)
		if err != nil {
			w.body = w.body[:start]
			return err
		}
		if s.Format == formatNDJSON {
			w.body = append(w.body, '\n')
		}
		switch {
		case fate.Kind != 0:
			w.body = w.body[:start]
			w.set(w.next, fate)
			continue
		case len(w.body)+len(s.after) <= s.MaxBytes:
			w.items = append(w.items, w.next)
			continue
		case len(w.items) > 0:
			w.body = w.body[:start] // it begins the next request
			w.body = append(w.body, s.after...)
			return nil
		}
		w.body = w.body[:start]
		w.set(w.next, outcome.Outcome{
			Kind: outcome.Refused, Reason: reasonEventTooBig,
			Detail: fmt.Sprintf("alone it makes a body of more than %d bytes", s.MaxBytes),
		})
	}
	w.body = append(w.body, s.after...)
	return nil
}

func (s *Sink) full(w *work) bool {
	return len(w.items) > 0 && (s.Format == formatSingle || len(w.items) == s.MaxEvents)
}

// item appends what is sent for an event, or says why nothing is.
func (s *Sink) item(ctx context.Context, w *work, e *sink.Event) (outcome.Outcome, error) {
	start := len(w.body)
	if s.template == nil {
		w.body = append(w.body, e.JSON...)
	} else {
		item, err := s.template.render(ctx, e)
		switch {
		case err != nil && ctx.Err() != nil:
			return outcome.Outcome{}, context.Cause(ctx)
		case err != nil:
			return outcome.Outcome{Kind: outcome.Refused, Reason: reasonTemplate, Detail: printable([]byte(err.Error()))}, nil
		case item == nil:
			return outcome.Outcome{Kind: outcome.Skipped, Reason: reasonLeftOut}, nil
		}
		w.body = append(w.body, item...)
	}
	switch size := len(w.body) - start; {
	case size == 0: // a comma with nothing behind it would spoil the whole request
		return outcome.Outcome{Kind: outcome.Refused, Reason: reasonEmpty}, nil
	case size > s.MaxEventBytes:
		return outcome.Outcome{
			Kind: outcome.Refused, Reason: reasonEventTooBig,
			Detail: fmt.Sprintf("it has %d bytes as it would be sent, and %d are allowed", size, s.MaxEventBytes),
		}, nil
	}
	return outcome.Outcome{}, nil
}

// compress is the body as it goes over the wire.
func (s *Sink) compress(w *work) ([]byte, error) {
	if s.Compress != compressGzip {
		return w.body, nil
	}
	w.zipped.Reset()
	if w.zipper == nil {
		zipper, err := gzip.NewWriterLevel(&w.zipped, gzip.BestSpeed)
		if err != nil {
			return nil, fmt.Errorf("compressing: %w", err)
		}
		w.zipper = zipper
	} else {
		w.zipper.Reset(&w.zipped)
	}
	if _, err := w.zipper.Write(w.body); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	if err := w.zipper.Close(); err != nil {
		return nil, fmt.Errorf("compressing: %w", err)
	}
	return w.zipped.Bytes(), nil
}
