package filesink

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// intent is the first object that is written of a stretch, and only if there is none: it says where
// the stretch ends, for whoever begins there again, and which files may be found of it.
type intent struct {
	End int64 `json:"end"`
	// Files are those that any attempt has planned. nil says that there was no attempt yet: only the end
	// was fixed.
	Files []string `json:"files"`
}

func intentKey(st sink.Stretch) string {
	return intentFolder + stretchName(st.Topic, st.Partition, st.First) + ".json"
}

func readIntent(ctx context.Context, o objects, key string) (intent, error) {
	data, err := o.get(ctx, key)
	if err != nil {
		return intent{}, err
	}
	var in intent
	if err := json.Unmarshal(data, &in); err != nil {
		return intent{}, fmt.Errorf("reading %s: %w", key, errors.Join(errUnreadable, err))
	}
	return in, nil
}

func createIntent(ctx context.Context, o objects, key string, in intent) error {
	data, err := in.bytes()
	if err != nil {
		return err
	}
	return o.create(ctx, key, data)
}

func (in intent) bytes() ([]byte, error) {
	data, err := json.Marshal(in, json.FormatNilSliceAsNull(true))
	if err != nil {
		return nil, fmt.Errorf("writing an intent: %w", err)
	}
	return append(data, '\n'), nil
}

// errUnreadable says that an object of ours holds something else: a person has been there.
var errUnreadable = errors.New("not as it was written")

// Why a stretch is not to be written.
var (
	errOvertaken = errors.New("another stretch was begun there")
	errCovered   = errors.New("its events are in the files of a longer stretch")
)

// claim makes a stretch known before anything else of it is written, and returns the files that earlier
// attempts at it may have left.
func (s *Sink) claim(ctx context.Context, o objects, st sink.Stretch, planned []string) (left []string, again bool, err error) {
	key := intentKey(st)
	if !s.follows(st) {
		in, err := readIntent(ctx, o, key)
		switch {
		case err == nil:
			return s.resume(ctx, o, st, in, planned)
		case !errors.Is(err, errAbsent):
			return nil, false, err
		}
		if err := s.makeRoom(ctx, o, st); err != nil {
			return nil, false, err
		}
	}
	err = createIntent(ctx, o, key, intent{End: st.End, Files: planned})
	if errors.Is(err, errPresent) {
		in, err := readIntent(ctx, o, key)
		if err != nil {
			return nil, false, err
		}
		return s.resume(ctx, o, st, in, planned)
	}
	if err == nil {
		err = s.prove(ctx, o, key, st, planned)
	}
	return nil, false, err
}

// prove finds out once whether the store keeps its word: what was created cannot be created again. Some
// that speak S3 know nothing of conditions and write over what is there.
func (s *Sink) prove(ctx context.Context, o objects, key string, st sink.Stretch, planned []string) error {
	if s.proven.Load() {
		return nil
	}
	err := createIntent(ctx, o, key, intent{End: st.End, Files: planned})
	switch {
	case err == nil:
		s.log.Warn().Msg("the store writes over what it should create only if absent: two processes that own a partition for a moment may write two files with the same events")
	case !errors.Is(err, errPresent):
		return err
	}
	s.proven.Store(true)
	return nil
}

// resume goes on with a stretch that was begun. What will be written now may be other files than then,
// since a filter has changed or the catalogue: those are made known too, before they are there.
func (s *Sink) resume(ctx context.Context, o objects, st sink.Stretch, in intent, planned []string) (left []string, again bool, err error) {
	if in.End != st.End {
		return nil, false, errOvertaken
	}
	all := slices.Concat(in.Files, planned)
	slices.Sort(all)
	all = slices.Compact(all)
	if in.Files == nil || len(all) != len(in.Files) {
		in.Files = append([]string{}, all...)
		data, err := in.bytes()
		if err != nil {
			return nil, false, err
		}
		if err := o.put(ctx, intentKey(st), data); err != nil {
			return nil, false, err
		}
	}
	return all, true, nil
}
