package filesink

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// Stretches of a partition lie one behind the other as long as offsets go on from where they were
// committed. When they are set back, for a replay, the first one after that may begin in the middle of
// one that is there, or run into it; either would put events into two files. So a stretch that lies
// before what this process has written is held against its neighbours first.

// last is where the newest stretch of a partition ended that this process has written.
type last struct {
	end  int64
	next int64 // where the next known one begins; none is noNext
}

const noNext = -1

type place struct {
	topic     string
	partition int32
}

// Owned forgets what was known of a partition: while another process had it, stretches were written that are not
// remembered here, and when the offset is set back then, the next one may run into them.
func (s *Sink) Owned(topic string, partition int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lasts, place{topic, partition})
}

// follows reports whether a stretch lies behind the last one and runs into no known one. There may be a gap
// between the two: stretches without events need not be written, and another process may have had
// the partition in between. Its stretches ended where this one begins, else the offset that it
// committed were another.
func (s *Sink) follows(st sink.Stretch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.lasts[place{st.Topic, st.Partition}]
	return ok && l.end <= st.First && (l.next == noNext || st.End <= l.next)
}

// finished remembers a stretch, and keeps what is known of the one behind it.
func (s *Sink) finished(st sink.Stretch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := place{st.Topic, st.Partition}
	l, ok := s.lasts[at]
	if ok && l.end <= st.First && (l.next == noNext || st.End <= l.next) {
		s.lasts[at] = last{end: st.End, next: l.next}
		return
	}
	delete(s.lasts, at) // to be looked at anew
}

// seen remembers what was found around a stretch that is about to be written.
func (s *Sink) seen(st sink.Stretch, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lasts[place{st.Topic, st.Partition}] = last{end: st.First, next: next}
}

// makeRoom compares a stretch that nobody has begun with its neighbours. It returns [errOvertaken] when
// it has to end elsewhere, where [Sink.Begun] will say, and [errCovered] when it is written already.
func (s *Sink) makeRoom(ctx context.Context, o objects, st sink.Stretch) error {
	before, covers, err := cover(ctx, o, st.Topic, st.Partition, st.First)
	if err != nil {
		return err
	}
	if covers {
		if before.in.End != st.End {
			return errOvertaken
		}
		return s.shorten(ctx, o, st, before)
	}
	next, err := nextFirst(ctx, o, st.Topic, st.Partition, st.First)
	if err != nil {
		return err
	}
	if next != noNext && next < st.End {
		err := createIntent(ctx, o, intentKey(st), intent{End: next})
		if err != nil && !errors.Is(err, errPresent) {
			return err
		}
		return errOvertaken
	}
	s.seen(st, next)
	return nil
}

// shorten deals with a stretch that is the end of a longer one. Where the longer one was finished there
// is nothing to do. Where it was not, somebody has moved the offsets into the middle of it: what there
// is of it goes, since it would hold the same events.
func (s *Sink) shorten(ctx context.Context, o objects, st sink.Stretch, longer stretchFound) error {
	done, err := isDone(ctx, o, longer)
	if err != nil {
		return err
	}
	if done {
		return errCovered
	}
	for _, f := range longer.in.Files {
		if err := o.remove(ctx, f); err != nil {
			return err
		}
	}
	if err := o.remove(ctx, intentFolder+longer.name+".json"); err != nil {
		return err
	}
	s.log.Warn().Str("topic", st.Topic).Int32("partition", st.Partition).Int64("first", st.First).
		Str("stretch", longer.name).Msg("the offsets were moved into an unfinished stretch: what was written of it is removed")
	return nil
}

func isDone(ctx context.Context, o objects, f stretchFound) (bool, error) {
	if f.in.Files != nil && len(f.in.Files) == 0 {
		return true, nil
	}
	_, err := o.get(ctx, manifestFolder+f.name+".json")
	if errors.Is(err, errAbsent) {
		return false, nil
	}
	return err == nil, err
}

// stretchFound is a stretch that was begun once.
type stretchFound struct {
	name string
	in   intent
}

// cover finds the stretch that begins before an offset and ends behind it.
func cover(ctx context.Context, o objects, topic string, partition int32, offset int64) (f stretchFound, covers bool, err error) {
	first, err := previousFirst(ctx, o, topic, partition, offset)
	if err != nil || first < 0 {
		return f, false, err
	}
	f.name = stretchName(topic, partition, first)
	f.in, err = readIntent(ctx, o, intentFolder+f.name+".json")
	if errors.Is(err, errAbsent) {
		return f, false, nil // removed in this moment
	}
	return f, err == nil && f.in.End > offset, err
}

// previousFirst is the greatest offset before another at which a stretch begins; negative for none. The
// stores list in ascending order only, so it asks for the names that share all digits but the last with
// the offset, then all but the last two: the first window that has one is a small one.
func previousFirst(ctx context.Context, o objects, topic string, partition int32, offset int64) (int64, error) {
	prefix := intentFolder + partitionPrefix(topic, partition)
	found := int64(-1)
	take := func(key string) bool {
		first, ok := firstOf(key, prefix)
		if ok && first >= offset {
			return false
		}
		if ok {
			found = first
		}
		return true
	}
	// A partition without any is the usual case at the start, and known by one question.
	empty := true
	if err := o.list(ctx, prefix, "", func(key string) bool {
		first, ok := firstOf(key, prefix)
		empty = !ok || first >= offset
		return !ok
	}); err != nil || empty {
		return -1, err
	}
	digits := fmt.Sprintf("%020d", offset)
	for n := len(digits) - 1; n >= 0; n-- {
		if err := o.list(ctx, prefix+digits[:n], "", take); err != nil || found >= 0 {
			return found, err
		}
	}
	return -1, nil
}

// nextFirst is the least offset behind another at which a stretch begins; [noNext] for none.
func nextFirst(ctx context.Context, o objects, topic string, partition int32, offset int64) (int64, error) {
	prefix := intentFolder + partitionPrefix(topic, partition)
	next := int64(noNext)
	err := o.list(ctx, prefix, fmt.Sprintf("%s%020d.json", prefix, offset), func(key string) bool {
		first, ok := firstOf(key, prefix)
		if ok && first > offset {
			next = first
			return false
		}
		return true
	})
	return next, err
}

// firstOf reads the offset in an intent's key; ok is false for what is none.
func firstOf(key, prefix string) (first int64, ok bool) {
	digits, isIntent := strings.CutSuffix(strings.TrimPrefix(key, prefix), ".json")
	if !isIntent || len(digits) != 20 {
		return 0, false
	}
	first, err := strconv.ParseInt(digits, 10, 64)
	return first, err == nil && first >= 0
}
