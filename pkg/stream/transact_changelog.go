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

// Changelog reads partitions of a topic to their ends, for whoever keeps a copy of what they say.
type Changelog struct {
	topic  string
	opts   []kgo.Opt
	client *kgo.Client
	admin  *kadm.Client
}

// Layout is what a topic is, apart from what stands in it.
type Layout struct {
	ID         [16]byte // another one after the topic was deleted and created again
	Partitions int32
	Configs    map[string]string // those asked for
}

// NewChangelog dials nothing yet.
func NewChangelog(c Config, topic string) (*Changelog, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts, patient())...)
	if err != nil {
		return nil, fmt.Errorf("creating a Kafka reader: %w", err)
	}
	return &Changelog{topic, opts, client, kadm.NewClient(client)}, nil
}

// Close ends the connection.
func (l *Changelog) Close() { l.client.Close() }

// Layout asks what the topic is.
func (l *Changelog) Layout(ctx context.Context, configs ...string) (Layout, error) {
	details, err := l.admin.ListTopics(ctx, l.topic)
	if err == nil {
		err = details.Error()
	}
	d := details[l.topic]
	if err == nil && d.Topic == "" {
		err = kerr.UnknownTopicOrPartition
	}
	if err != nil {
		return Layout{}, fmt.Errorf("describing topic %s: %w", l.topic, err)
	}
	out := Layout{ID: d.ID, Partitions: int32(len(d.Partitions)), Configs: map[string]string{}}
	if len(configs) == 0 {
		return out, nil
	}
	described, err := l.admin.DescribeTopicConfigs(ctx, l.topic)
	if err != nil {
		return Layout{}, fmt.Errorf("describing configs of %s: %w", l.topic, err)
	}
	for _, t := range described {
		if t.Err != nil {
			return Layout{}, fmt.Errorf("describing configs of %s: %w", l.topic, t.Err)
		}
		for _, c := range t.Configs {
			for _, wanted := range configs {
				if c.Key == wanted {
					out.Configs[wanted] = c.MaybeValue()
				}
			}
		}
	}
	return out, nil
}

// AwaitStable waits until no open transaction holds offsets of a group back. What such a transaction has
// written elsewhere stands before the ends that Extents says from then on.
func (l *Changelog) AwaitStable(ctx context.Context, group string, topics []string) error {
	for {
		offsets, err := l.admin.FetchOffsetsForTopics(kadm.RequireStable(ctx), group, topics...)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return fmt.Errorf("fetching offsets of group %s: %w", group, err)
		}
		pause(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for open transactions of group %s: %w", group, context.Cause(ctx))
		}
	}
}

// Extents asks what each partition holds. Its End is behind the last record of all, also of transactions that
// are still open, other than Admin.Extents says it: whoever reads up to there waits for their outcome.
func (l *Changelog) Extents(ctx context.Context) (map[int32]Extent, error) {
	starts, err := l.listed(l.admin.ListStartOffsets(ctx, l.topic))
	if err != nil {
		return nil, fmt.Errorf("listing first offsets of %s: %w", l.topic, err)
	}
	ends, err := l.listed(l.admin.ListEndOffsets(ctx, l.topic))
	if err != nil {
		return nil, fmt.Errorf("listing last offsets of %s: %w", l.topic, err)
	}
	extents := map[int32]Extent{}
	for number, end := range ends {
		extents[number] = Extent{starts[number], end}
	}
	return extents, nil
}

// Since asks for the first offset of each partition whose record is not older than a time; the end, where there
// is none.
func (l *Changelog) Since(ctx context.Context, at time.Time) (map[int32]int64, error) {
	offsets, err := l.listed(l.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), l.topic))
	if err != nil {
		return nil, fmt.Errorf("listing offsets of %s by time: %w", l.topic, err)
	}
	return offsets, nil
}

func (l *Changelog) listed(offsets kadm.ListedOffsets, err error) (map[int32]int64, error) {
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, err
	}
	out := map[int32]int64{}
	offsets.Each(func(o kadm.ListedOffset) { out[o.Partition] = o.Offset })
	return out, nil
}

// Stretch is what to read of a partition: the offsets From to To-1.
type Stretch struct{ From, To int64 }

// Read calls each with the records of partitions in order, many at a time, and with the offset that the partition is
// read up to, which may be beyond the last of the records. It returns when every stretch is read. What
// belongs to an open transaction is waited for, and what was aborted is left out. An offset that is not there any
// more is an error.
func (l *Changelog) Read(ctx context.Context, stretches map[int32]Stretch, each func(partition int32, records []*Record, next int64) error) error {
	left, from := map[int32]Stretch{}, map[int32]kgo.Offset{}
	for number, s := range stretches {
		if s.From < s.To {
			left[number], from[number] = s, kgo.NewOffset().At(s.From)
		}
	}
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(l.opts[:len(l.opts):len(l.opts)],
		patient(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a transaction's marker may be the last offset there is
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(250*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.FetchMaxPartitionBytes(2<<20),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.topic: from}))...)
	if err != nil {
		return fmt.Errorf("creating a Kafka reader: %w", err)
	}
	defer client.Close()
	for len(left) > 0 {
		poll, cancel := context.WithTimeout(ctx, quiet)
		fetches := client.PollRecords(poll, maxPoll)
		cancel()
		if ctx.Err() != nil {
			return fmt.Errorf("reading %s: %w", l.topic, context.Cause(ctx))
		}
		if err := readError(fetches); err != nil {
			return fmt.Errorf("reading %s: %w", l.topic, err)
		}
		if fetches.NumRecords() == 0 {
			if err := l.dropEmpty(ctx, left, each); err != nil {
				return err
			}
		}
		var failed error
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			s, wanted := left[p.Partition]
			if !wanted || len(p.Records) == 0 || failed != nil {
				return
			}
			next := p.Records[len(p.Records)-1].Offset + 1
			failed = each(p.Partition, content(p.Records), next)
			if next >= s.To {
				delete(left, p.Partition)
				client.PauseFetchPartitions(map[string][]int32{l.topic: {p.Partition}})
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// readError finds an error that waiting does not cure.
func readError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if !kerr.IsRetriable(e.Err) && !errors.Is(e.Err, context.DeadlineExceeded) {
			return e.Err
		}
	}
	return nil
}

// content leaves the markers out.
func content(records []*Record) []*Record {
	kept := records[:0]
	for _, r := range records {
		if !r.Attrs.IsControl() {
			kept = append(kept, r)
		}
	}
	return kept
}

// dropEmpty ends stretches whose records were all deleted while we read: nothing will come of them.
func (l *Changelog) dropEmpty(ctx context.Context, left map[int32]Stretch, each func(int32, []*Record, int64) error) error {
	extents, err := l.Extents(ctx)
	if err != nil {
		return err
	}
	for number, s := range left {
		if e, ok := extents[number]; ok && e.First >= s.To {
			if err := each(number, nil, e.First); err != nil {
				return err
			}
			delete(left, number)
		}
	}
	return nil
}
