package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Membership shapes a share in a topic's partitions that is held without reading them: for work of
// which exactly one replica may do each part, such as asking an API.
type Membership struct {
	Group string // on the cluster
	Topic string // on the cluster
	// Assigned is told which partitions are ours too from now on, of how many. It returns soon.
	Assigned func(partitions []int32, of int32)
	// Revoked gives partitions back. When it returns, nothing is done for them any more here; the group
	// waits for that, for up to a minute. Where they were lost instead, because nobody heard of us for
	// too long, another member may have them already: what is written for them must be able to tell.
	Revoked func(partitions []int32)
	Log     zerolog.Logger
}

// Join is a member of the group until the context ends, then gives everything back and leaves. A
// partition stays with its member when others come, as long as the shares stay even.
func Join(ctx context.Context, c Config, m Membership) error {
	opts, err := c.options()
	if err != nil {
		return err
	}
	k := &membership{Membership: m, ctx: ctx, ready: make(chan struct{})}
	if c.SessionTimeout > 0 {
		opts = append(opts, kgo.SessionTimeout(c.SessionTimeout), kgo.HeartbeatInterval(max(c.SessionTimeout/15, 100*time.Millisecond)))
	}
	client, err := kgo.NewClient(append(opts,
		patient(),
		kgo.ConsumerGroup(m.Group),
		kgo.ConsumeTopics(m.Topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(k.assigned),
		kgo.OnPartitionsRevoked(k.revoked),
		kgo.OnPartitionsLost(k.lost),
	)...)
	if err != nil {
		return fmt.Errorf("creating the Kafka group member: %w", err)
	}
	client.PauseFetchTopics(m.Topic) // nobody reads
	k.admin = kadm.NewClient(client)
	close(k.ready)
	<-ctx.Done()
	client.Close() // leaves the group, which gives back what we have
	return nil
}

// membership is a Membership that has begun.
type membership struct {
	Membership
	ctx   context.Context // Join's
	ready chan struct{}   // closed once admin is set: callbacks may come before
	admin *kadm.Client

	mu   sync.Mutex
	ours []int32
}

// assigned asks how many partitions there are until it knows: before that nobody can say whose work
// is whose.
func (k *membership) assigned(_ context.Context, _ *kgo.Client, by map[string][]int32) {
	added := by[k.Topic]
	if len(added) == 0 {
		return
	}
	<-k.ready
	of := 0
	for wait := 100 * time.Millisecond; of == 0; wait = min(2*wait, 5*time.Second) {
		details, err := k.admin.ListTopics(k.ctx, k.Topic)
		if err == nil {
			err = details[k.Topic].Err
		}
		if of = len(details[k.Topic].Partitions); of > 0 && err == nil {
			break
		}
		of = 0
		if k.ctx.Err() != nil {
			return
		}
		k.Log.Warn().Err(err).Msg("asking how many partitions there are")
		select {
		case <-k.ctx.Done():
			return
		case <-time.After(wait):
		}
	}
	k.mu.Lock()
	k.ours = append(k.ours, added...)
	k.mu.Unlock()
	k.Assigned(slices.Clone(added), int32(of))
}

func (k *membership) revoked(_ context.Context, _ *kgo.Client, by map[string][]int32) {
	k.giveBack(by[k.Topic])
}

func (k *membership) lost(_ context.Context, _ *kgo.Client, by map[string][]int32) {
	if len(by[k.Topic]) > 0 {
		k.Log.Warn().Int("partitions", len(by[k.Topic])).Msg("partitions lost")
	}
	k.giveBack(by[k.Topic])
}

// giveBack hands over what Assigned was told of only.
func (k *membership) giveBack(gone []int32) {
	k.mu.Lock()
	known := slices.DeleteFunc(slices.Clone(gone), func(n int32) bool { return !slices.Contains(k.ours, n) })
	k.ours = slices.DeleteFunc(k.ours, func(n int32) bool { return slices.Contains(gone, n) })
	k.mu.Unlock()
	if len(known) > 0 {
		k.Revoked(known)
	}
}
