package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Follower reads partitions of a topic and goes on behind their ends, without a group. Which partitions those
// are changes while it reads. It is for whoever keeps a copy of what the topic says, like a Changelog, but one
// that is never finished.
type Follower struct {
	topic  string
	client *kgo.Client
	admin  *kadm.Client

	mu    sync.Mutex
	reads map[int32]int64 // partitions, and the offset wanted next
}

// NewFollower dials nothing yet.
func NewFollower(c Config, topic string) (*Follower, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts,
		patient(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(8<<20),
		kgo.FetchMaxPartitionBytes(1<<20))...)
	if err != nil {
		return nil, fmt.Errorf("creating a Kafka reader: %w", err)
	}
	return &Follower{topic: topic, client: client, admin: kadm.NewClient(client), reads: map[int32]int64{}}, nil
}

// Close ends the reading.
func (f *Follower) Close() { f.client.Close() }

// Follow begins to read a partition at an offset, or at its beginning where that is later. One that was left is
// followed on from there: for an earlier offset another Follower is needed, since this one may have records in hand.
func (f *Follower) Follow(partition int32, from int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads[partition] = from
	f.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{f.topic: {partition: kgo.NewOffset().At(from)}})
}

// Leave ends reading a partition: none of its records comes any more when Poll is called the next time.
func (f *Follower) Leave(partition int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.reads, partition)
	f.client.RemoveConsumePartitions(map[string][]int32{f.topic: {partition}})
}

// Poll waits for records and calls each with those of one partition after the other, in order. It returns nil
// when something came; an error says that something could not be read, and that it is tried again.
func (f *Follower) Poll(ctx context.Context, each func(partition int32, records []*Record)) error {
	fetches := f.client.PollRecords(ctx, maxPoll)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		f.mu.Lock()
		next, wanted := f.reads[p.Partition]
		records := p.Records
		for len(records) > 0 && records[0].Offset < next {
			records = records[1:]
		}
		if wanted && len(records) > 0 {
			f.reads[p.Partition] = records[len(records)-1].Offset + 1
		}
		f.mu.Unlock()
		if wanted && len(records) > 0 {
			each(p.Partition, records)
		}
	})
	return readError(fetches)
}
