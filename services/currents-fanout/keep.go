package currentsfanout

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
)

// keepEvery is how often somebody joins a paused sink's group for a moment.
//
// Kafka forgets the offsets of a group that has had no members for offsets.retention.minutes, 7 days unless somebody has said
// otherwise, and counts from when the last one left: a sink that is paused for longer would begin at start again.
// Committing the offsets anew from outside does not help, since that is not what is counted; and a member that stays
// would not let them be moved, which is what many a sink is paused for.
const keepEvery = 24 * time.Hour

// visitTimeout bounds a visit. A group that is shared out anew takes a few seconds at most.
const visitTimeout = time.Minute

// untilVisit is how long it is until a paused sink's group is joined next: at the time of day at which it was paused, whatever was
// started meanwhile, and some minutes later, so that replicas do not all come at once.
func (r *runner) untilVisit(p Pause, now time.Time) time.Duration {
	gone := max(now.Sub(p.Since), 0) % r.keepEvery
	return r.keepEvery - gone + rand.N(r.keepEvery/24+1)
}

// keepOffsets joins a paused sink's group, commits its offsets as they are, and leaves it. It ends early when the context does.
func (r *runner) keepOffsets(ctx context.Context, told <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-told:
			cancel()
		case <-ended:
		}
	}()
	switch n, err := r.visit(ctx); {
	case err != nil && !errors.Is(ctx.Err(), context.Canceled):
		r.log.Warn().Err(err).Msg("keeping the offsets of a paused sink from being forgotten; it is tried again tomorrow")
	case err == nil && n > 0:
		r.log.Info().Int("partitions", n).Msg("the offsets of a paused sink are committed anew, so that Kafka does not forget them")
	}
}

// visit says of how many partitions it has committed the offsets anew: of none where there are none, or where somebody belongs
// to the group, who sees to them.
func (r *runner) visit(ctx context.Context) (partitions int, err error) {
	admin, err := stream.NewAdmin(r.service.Kafka)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	group := r.service.Kafka.Group(Group(r.config.Name))
	committed, err := admin.Committed(ctx, group)
	if err != nil || len(committed) == 0 {
		return 0, err
	}
	if members, err := admin.Members(ctx, group); err != nil || len(members) > 0 {
		return 0, err
	}
	consumer, err := stream.NewConsumer(r.service.Kafka, r.membership(window{records: 1, bytes: 1, fetch: 1 << 10}), visitor{})
	if err != nil {
		return 0, err
	}
	stay, leave := context.WithCancel(ctx)
	defer leave()
	left := make(chan error, 1)
	go func() { left <- consumer.Run(stay) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for partitions == 0 {
		select {
		case <-tick.C:
			partitions = consumer.Stats().Partitions // those whose first commit is through
		case err := <-left:
			return 0, err
		case <-ctx.Done():
			return 0, errors.Join(fmt.Errorf("joining the group %s: %w", group, context.Cause(ctx)), <-left)
		}
	}
	leave()
	return partitions, <-left
}

// visitor is a member of a group that wants nothing: what it is lent it never settles, so that no offset moves.
type visitor struct{}

func (visitor) Assigned(context.Context, []*stream.Partition) error { return nil }
func (visitor) Take(context.Context, []stream.Delivery) error       { return nil }
func (visitor) Revoked(context.Context, []*stream.Partition)        {}
