package filesink

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// Begun says where the stretch ends that begins at an offset: the one whose intent is there, or the rest
// of a longer one that the offset lies in.
func (s *Sink) Begun(ctx context.Context, topic string, partition int32, first int64) (end int64, ok bool, err error) {
	o, err := s.objects(ctx)
	if err != nil {
		return 0, false, err
	}
	st := sink.Stretch{Topic: topic, Partition: partition, First: first, End: first}
	in, err := readIntent(ctx, o, intentKey(st))
	switch {
	case err == nil:
		return in.End, true, nil
	case !errors.Is(err, errAbsent):
		return 0, false, err
	case s.follows(st):
		return 0, false, nil
	}
	longer, covers, err := cover(ctx, o, topic, partition, first)
	return longer.in.End, covers && err == nil, err
}

// WriteStretch writes the files of a stretch: intent, files, manifest, in this order, each only when
// what comes before it is there. Whichever of these steps it fails or dies in, the same again leaves the
// same objects with the same bytes.
func (s *Sink) WriteStretch(ctx context.Context, st sink.Stretch, events []*sink.Event) sink.Answer {
	if st.End < st.First || st.First < 0 {
		return halt("stretch", "it ends before it begins")
	}
	o, err := s.objects(ctx)
	if err != nil {
		return s.failed(ctx, err)
	}
	refused, err := s.write(ctx, o, st, events)
	switch {
	case errors.Is(err, errOvertaken):
		return sink.Deferred(sink.Overtaken, "another stretch was begun there, with another end", 0)
	case errors.Is(err, errCovered):
		s.log.Info().Str("topic", st.Topic).Int32("partition", st.Partition).Int64("first", st.First).Int64("end", st.End).
			Msg("these events are in the files of a stretch that began earlier")
		return sink.Delivered()
	case err != nil:
		return s.failed(ctx, err)
	}
	return answer(len(events), refused)
}

// answer is that all is delivered but what is refused.
func answer(events int, refused map[int]error) sink.Answer {
	if len(refused) == 0 {
		return sink.Delivered()
	}
	a := sink.Answer{Each: make([]outcome.Outcome, events)}
	for i := range a.Each {
		a.Each[i].Kind = outcome.Delivered
		if err := refused[i]; err != nil {
			a.Each[i] = outcome.Outcome{Kind: outcome.Refused, Reason: "unencodable", Detail: err.Error()}
		}
	}
	return a
}

func (s *Sink) write(ctx context.Context, o objects, st sink.Stretch, events []*sink.Event) (refused map[int]error, err error) {
	pieces, err := s.pieces(st, events)
	if err != nil {
		return nil, err
	}
	planned := make([]string, len(pieces))
	for i := range pieces {
		planned[i] = pieces[i].path
	}
	slices.Sort(planned)
	left, again, err := s.claim(ctx, o, st, planned)
	if err != nil {
		return nil, err
	}
	files, refused, err := s.upload(ctx, o, pieces, events, again)
	if err != nil {
		return nil, err
	}
	if err := s.conclude(ctx, o, st, files, left, again); err != nil {
		return nil, err
	}
	s.finished(st)
	return refused, nil
}

// upload encodes the pieces one after another and writes them some at a time.
func (s *Sink) upload(ctx context.Context, o objects, pieces []piece, events []*sink.Event, again bool) (files []manifestFile, refused map[int]error, err error) {
	refused = map[int]error{}
	for i, e := range events {
		if e.Engagement == nil && e.Action == nil {
			refused[i] = errNothing
		}
	}
	uploads, uploading := errgroup.WithContext(ctx)
	uploads.SetLimit(s.options.Uploads)
	for i := range pieces {
		if uploading.Err() != nil {
			break
		}
		done, err := s.encode(uploading, &pieces[i], events)
		if err != nil {
			if first := uploads.Wait(); first != nil {
				err = first // which has ended the context that this one speaks of
			}
			return nil, nil, err
		}
		for i, err := range done.refused {
			refused[i] = err
		}
		s.metrics.misfits.Add(float64(done.misfits))
		if done.file.Rows == 0 {
			continue
		}
		files = append(files, done.file)
		uploads.Go(func() error {
			if again && s.swept != nil {
				if err := s.swept(done.file.Path); err != nil {
					return err
				}
			}
			if err := o.put(uploading, done.file.Path, done.data); err != nil {
				return err
			}
			s.metrics.wrote(done.file)
			return nil
		})
	}
	if err := uploads.Wait(); err != nil {
		return nil, nil, err
	}
	return files, refused, ctx.Err()
}

// encode borrows one of the sink's few encoders, so that many partitions at once take no more memory.
func (s *Sink) encode(ctx context.Context, p *piece, events []*sink.Event) (encoded, error) {
	select {
	case e := <-s.encoders:
		defer func() { s.encoders <- e }()
		return e.encode(p, events)
	case <-ctx.Done():
		return encoded{}, context.Cause(ctx)
	}
}

// conclude removes the files that an earlier attempt has left and this one has not, and writes the
// manifest. A stretch without a row has none.
func (s *Sink) conclude(ctx context.Context, o objects, st sink.Stretch, files []manifestFile, left []string, again bool) error {
	have := make(map[string]bool, len(files))
	for _, f := range files {
		have[f.Path] = true
	}
	for _, path := range left {
		if have[path] {
			continue
		}
		if err := o.remove(ctx, path); err != nil {
			return err
		}
	}
	if len(files) > 0 {
		data, err := newManifest(st, files).bytes()
		if err != nil {
			return err
		}
		return o.put(ctx, manifestKey(st), data)
	}
	if again {
		return o.remove(ctx, manifestKey(st))
	}
	return nil
}

var errNothing = errors.New("neither an engagement nor an action")
