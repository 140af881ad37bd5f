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

// PartitionOf is the partition of a topic with that many in which records with the key stand, as
// Kafka's own clients place them (murmur2). It is 0 for no key, which has no place of its own.
func PartitionOf(key []byte, partitions int32) int32 {
	if key == nil || partitions <= 1 {
		return 0
	}
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic("").Partition(&Record{Key: key}, int(partitions)))
}

// Extent is what a partition holds: the offsets from First up to, and without, End.
type Extent struct{ First, End int64 }

// Extents returns what each partition of a topic (on the cluster) holds.
func (a *Admin) Extents(ctx context.Context, topic string) (map[int32]Extent, error) {
	starts, err := a.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing first offsets of %s: %w", topic, err)
	}
	ends, err := a.admin.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing last offsets of %s: %w", topic, err)
	}
	extents := map[int32]Extent{}
	ends.Each(func(end kadm.ListedOffset) {
		start, _ := starts.Lookup(topic, end.Partition)
		extents[end.Partition] = Extent{min(start.Offset, end.Offset), end.Offset}
	})
	return extents, nil
}

// OffsetsAt returns, of each partition of a topic (on the cluster), the offset of the first record that
// is stamped then or later; its end where there is none.
func (a *Admin) OffsetsAt(ctx context.Context, topic string, at time.Time) (map[int32]int64, error) {
	listed, err := a.admin.ListOffsetsAfterMilli(ctx, at.UnixMilli(), topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("listing offsets of %s by time: %w", topic, err)
	}
	offsets := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { offsets[o.Partition] = o.Offset })
	return offsets, nil
}

// Committed returns what a group (on the cluster) has committed, by topic and partition. It is empty
// for a group that there is not.
func (a *Admin) Committed(ctx context.Context, group string) (map[string]map[int32]int64, error) {
	fetched, err := a.admin.FetchOffsets(ctx, group)
	if err == nil {
		err = fetched.Error()
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, fmt.Errorf("fetching committed offsets of %s: %w", group, err)
	}
	committed := map[string]map[int32]int64{}
	fetched.Each(func(o kadm.OffsetResponse) {
		if o.Err != nil || o.At < 0 {
			return
		}
		if committed[o.Topic] == nil {
			committed[o.Topic] = map[int32]int64{}
		}
		committed[o.Topic][o.Partition] = o.At
	})
	return committed, nil
}

// Member is a process that belongs to a group.
type Member struct{ ClientID, Host string }

// Members returns who belongs to a group (on the cluster) now: nobody, when there is no such group. A
// member that was killed belongs to it until its session ends.
func (a *Admin) Members(ctx context.Context, group string) ([]Member, error) {
	groups, err := a.admin.DescribeGroups(ctx, group)
	if err != nil {
		return nil, fmt.Errorf("describing the group %s: %w", group, err)
	}
	described := groups[group]
	switch {
	case errors.Is(described.Err, kerr.GroupIDNotFound):
		return nil, nil
	case described.Err != nil:
		return nil, fmt.Errorf("describing the group %s: %w", group, described.Err)
	}
	members := make([]Member, 0, len(described.Members))
	for _, m := range described.Members {
		members = append(members, Member{m.ClientID, m.ClientHost})
	}
	return members, nil
}

// MoveOffsets is MoveOffset for several partitions of a topic at once. Kafka refuses it while the group
// has members.
func (a *Admin) MoveOffsets(ctx context.Context, group, topic string, to map[int32]int64) error {
	var offsets kadm.Offsets
	for partition, offset := range to {
		offsets.AddOffset(topic, partition, offset, -1)
	}
	if err := a.admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		return fmt.Errorf("moving the offsets of %s on %s: %w", group, topic, err)
	}
	return nil
}
