package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Range is a stretch of a topic to read without a group, without a trace.
type Range struct {
	Topic string // on the cluster
	// From names the partitions to read and the first offset wanted in each; nil is all of them from
	// the beginning, or from Since on.
	From  map[int32]int64
	Since time.Time
	// Until names offsets before which to end, where that is earlier than the end that the topic has.
	Until map[int32]int64
	// Follow keeps reading behind the end that the topic has now, until the context ends.
	Follow bool
}

// ErrStop returned by the function given to Read, ends the reading without an error.
var ErrStop = errors.New("enough")

// Read calls each with every record of the range, in order within each partition, and returns when
// the end that the topic had at the start is reached, or, following, when the context ends.
func Read(ctx context.Context, c Config, r Range, each func(*Record) error) error {
	opts, err := c.options()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a transaction's marker may be the last offset there is
		kgo.FetchMaxWait(250*time.Millisecond))...)
	if err != nil {
		return fmt.Errorf("creating a Kafka reader: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	from, left, err := r.bounds(ctx, admin)
	if err != nil {
		return err
	}
	if len(left) == 0 && !r.Follow {
		return nil
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: from})
	return r.drain(ctx, client, admin, left, each)
}

// bounds finds the first offset of each partition and the end of those that have anything to read.
func (r Range) bounds(ctx context.Context, admin *kadm.Client) (map[int32]kgo.Offset, map[int32]int64, error) {
	starts, err := admin.ListStartOffsets(ctx, r.Topic)
	if err == nil && !r.Since.IsZero() {
		starts, err = admin.ListOffsetsAfterMilli(ctx, r.Since.UnixMilli(), r.Topic)
	}
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listing first offsets of %s: %w", r.Topic, err)
	}
	ends, err := admin.ListCommittedOffsets(ctx, r.Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listing last offsets of %s: %w", r.Topic, err)
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	known := false
	ends.Each(func(end kadm.ListedOffset) {
		wanted, named := r.From[end.Partition]
		if r.From != nil && !named {
			return
		}
		known = true
		start, _ := starts.Lookup(r.Topic, end.Partition)
		first, last := max(start.Offset, wanted), end.Offset
		if until, ok := r.Until[end.Partition]; ok {
			last = min(last, until)
		}
		if first >= last && !r.Follow {
			return // fetching what nobody wants would only keep the broker busy
		}
		from[end.Partition] = kgo.NewOffset().At(first)
		if first < last {
			left[end.Partition] = last
		}
	})
	if !known {
		return nil, nil, fmt.Errorf("reading %s: it has none of the partitions wanted", r.Topic)
	}
	return from, left, nil
}

// quiet is how long nothing may come before the range is looked at again.
const quiet = 5 * time.Second

// forgetExpired drops partitions whose records up to the end were deleted while we read: by retention
// or by somebody, and nothing will come of them.
func (r Range) forgetExpired(ctx context.Context, admin *kadm.Client, left map[int32]int64) error {
	starts, err := admin.ListStartOffsets(ctx, r.Topic)
	if err != nil {
		return fmt.Errorf("listing first offsets of %s: %w", r.Topic, err)
	}
	for partition, end := range left {
		if start, ok := starts.Lookup(r.Topic, partition); ok && start.Err == nil && start.Offset >= end {
			delete(left, partition)
		}
	}
	return nil
}

// drain polls until every partition in left has come to its end.
func (r Range) drain(ctx context.Context, client *kgo.Client, admin *kadm.Client, left map[int32]int64, each func(*Record) error) error {
	follow := r.Follow
	for follow || len(left) > 0 {
		poll, cancel := context.WithTimeout(ctx, quiet)
		fetches := client.PollFetches(poll)
		cancel()
		if ctx.Err() != nil {
			if follow {
				return nil
			}
			return context.Cause(ctx)
		}
		if fetches.NumRecords() == 0 && !follow {
			if err := r.forgetExpired(ctx, admin, left); err != nil {
				return err
			}
		}
		for _, e := range fetches.Errors() {
			if !kerr.IsRetriable(e.Err) && !errors.Is(e.Err, context.DeadlineExceeded) {
				return fmt.Errorf("reading %s/%d: %w", e.Topic, e.Partition, e.Err)
			}
		}
		var failed error
		fetches.EachRecord(func(rec *Record) {
			end, bounded := left[rec.Partition]
			if bounded && rec.Offset+1 >= end {
				delete(left, rec.Partition)
				if !follow { // others go on
					client.PauseFetchPartitions(map[string][]int32{rec.Topic: {rec.Partition}})
				}
			}
			if failed != nil || !follow && (!bounded || rec.Offset >= end) {
				return
			}
			if !rec.Attrs.IsControl() {
				failed = each(rec)
			}
		})
		if errors.Is(failed, ErrStop) {
			return nil
		}
		if failed != nil {
			return failed
		}
	}
	return nil
}
