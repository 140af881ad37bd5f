package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Admin looks at a cluster's topics and changes them.
type Admin struct {
	client *kgo.Client
	admin  *kadm.Client
	config Config
}

// NewAdmin dials nothing yet.
func NewAdmin(c Config) (*Admin, error) {
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("creating the Kafka admin client: %w", err)
	}
	admin := kadm.NewClient(client)
	admin.SetTimeoutMillis(10_000)
	return &Admin{client, admin, c}, nil
}

// Close ends the connection.
func (a *Admin) Close() { a.client.Close() }

// Ping asks a broker for a sign of life.
func (a *Admin) Ping(ctx context.Context) error { return a.client.Ping(ctx) }

// TopicState is a topic as it is on the cluster.
type TopicState struct {
	Name       string
	Exists     bool
	Partitions int32
	Replicas   int
	Configs    map[string]string // those asked for
}

// Topics returns the state of topics (names on the cluster) with the given configs of theirs.
func (a *Admin) Topics(ctx context.Context, configs []string, names ...string) ([]TopicState, error) {
	details, err := a.admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	states := make([]TopicState, 0, len(names))
	var existing []string
	for _, name := range names {
		d := details[name]
		switch {
		case d.Err == nil && d.Topic != "":
			states = append(states, TopicState{Name: name, Exists: true, Partitions: int32(len(d.Partitions)), Replicas: d.Partitions.NumReplicas(), Configs: map[string]string{}})
			existing = append(existing, name)
		case d.Topic == "" || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			states = append(states, TopicState{Name: name})
		default:
			return nil, fmt.Errorf("describing topic %s: %w", name, d.Err)
		}
	}
	if len(existing) == 0 || len(configs) == 0 {
		return states, nil
	}
	described, err := a.admin.DescribeTopicConfigs(ctx, existing...)
	if err != nil {
		return nil, fmt.Errorf("describing topic configs: %w", err)
	}
	for _, d := range described {
		if d.Err != nil {
			return nil, fmt.Errorf("describing configs of %s: %w", d.Name, d.Err)
		}
		i := slices.IndexFunc(states, func(s TopicState) bool { return s.Name == d.Name })
		for _, c := range d.Configs {
			if i >= 0 && slices.Contains(configs, c.Key) {
				states[i].Configs[c.Key] = c.MaybeValue()
			}
		}
	}
	return states, nil
}

// CreateTopic creates a topic that is missing, and returns once every broker asked knows it. A topic
// that exists already is left alone.
func (a *Admin) CreateTopic(ctx context.Context, name string, partitions int32, configs map[string]string) error {
	values := make(map[string]*string, len(configs))
	for k, v := range configs {
		values[k] = kadm.StringPtr(v)
	}
	resp, err := a.admin.CreateTopic(ctx, partitions, a.config.ReplicationFactor, values, name)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("creating topic %s: %w", name, err)
	}
	return a.waitForTopic(ctx, name)
}

// Passing reports whether an error of an Admin may go away by itself: a broker that is starting, going
// down, or not to be reached right now.
func Passing(err error) bool {
	var eof *kgo.ErrFirstReadEOF
	return kerr.IsRetriable(err) || kgo.IsRetryableBrokerErr(err) || errors.As(err, &eof)
}

// waitForTopic waits until the topic's partitions have leaders.
func (a *Admin) waitForTopic(ctx context.Context, name string) error {
	return until(ctx, "topic "+name, func() (bool, error) {
		details, err := a.admin.ListTopics(ctx, name)
		d := details[name]
		return err == nil && d.Err == nil && len(d.Partitions) > 0 && allLed(d.Partitions), err
	})
}

// waitForConfigs waits until a broker that is asked says what was set.
func (a *Admin) waitForConfigs(ctx context.Context, name string, configs map[string]string) error {
	keys := slices.Collect(maps.Keys(configs))
	return until(ctx, "the new configs of topic "+name, func() (bool, error) {
		states, err := a.Topics(ctx, keys, name)
		return err == nil && maps.Equal(states[0].Configs, configs), err
	})
}

// until asks again and again whether something has come about that was ordered.
func until(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, errors.Join(context.Cause(ctx), err))
		case <-tick.C:
		}
	}
}

func allLed(parts kadm.PartitionDetails) bool {
	for _, p := range parts {
		if p.Err != nil || p.Leader < 0 {
			return false
		}
	}
	return true
}

// AlterTopic sets configs of a topic, leaving its others as they are, and returns once a broker that is
// asked says so: it may be another than the one that took the order.
func (a *Admin) AlterTopic(ctx context.Context, name string, configs map[string]string) error {
	var alter []kadm.AlterConfig
	for k, v := range configs {
		alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: kadm.StringPtr(v)})
	}
	responses, err := a.admin.AlterTopicConfigs(ctx, alter, name)
	if err != nil {
		return fmt.Errorf("altering topic %s: %w", name, err)
	}
	for _, r := range responses {
		if r.Err != nil {
			return fmt.Errorf("altering topic %s: %w %s", name, r.Err, r.ErrMessage)
		}
	}
	return a.waitForConfigs(ctx, name, configs)
}

// MoveOffset sets the committed offset of a group that has no members, as other tools do: without a
// note of ours, so the records from there on are delivered again.
func (a *Admin) MoveOffset(ctx context.Context, group, topic string, partition int32, offset int64) error {
	var offsets kadm.Offsets
	offsets.AddOffset(topic, partition, offset, -1)
	if err := a.admin.CommitAllOffsets(ctx, group, offsets); err != nil {
		return fmt.Errorf("moving the offset of %s on %s/%d: %w", group, topic, partition, err)
	}
	return nil
}
