// Package topics brings a cluster and a registry to what package schema says: it creates topics,
// registers schemas, and tells where the two differ from what is wanted.
package topics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// IDs are the registry's ids of the newest schemas, by topic, without prefix.
type IDs map[string]int

// Prepare makes sure that a service finds the topics it names (without prefix) and knows the ids of
// their schemas. It creates what is missing where the configuration allows it, and alters nothing.
func Prepare(ctx context.Context, kafka stream.Config, reg *registry.Client, names ...string) (IDs, error) {
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return nil, err
	}
	defer admin.Close()
	ids := make(IDs, len(names))
	for _, name := range names {
		topic, ok := schema.Find(name)
		if !ok {
			return nil, fmt.Errorf("there is no topic %s", name)
		}
		if kafka.CreateTopics {
			if err := create(ctx, admin, kafka, topic); err != nil {
				return nil, fmt.Errorf("asking Kafka (KAFKA_BROKERS): %w", err)
			}
		}
		if topic.RecordType == "" {
			continue // nobody else is to understand it
		}
		if ids[name], err = reg.Register(ctx, schema.Subject(kafka.Topic(name)), topic.Text()); err != nil {
			return nil, fmt.Errorf("registering the schema of %s (SCHEMA_REGISTRY_URL): %w", name, err)
		}
	}
	return ids, nil
}

// patience is how long a starting service waits for a broker that is not there yet, or not any more.
var patience = retry.Schedule{Base: 200 * time.Millisecond, Cap: 5 * time.Second, MaxElapsed: 20 * time.Second}

func create(ctx context.Context, admin *stream.Admin, kafka stream.Config, topic schema.Topic) error {
	began := time.Now()
	for attempt := 0; ; attempt++ {
		err := admin.CreateTopic(ctx, kafka.Topic(topic.Name), kafka.Partitions, topic.Configs())
		wait := patience.Next(attempt, 0)
		if err == nil || !stream.Passing(err) || patience.Spent(time.Since(began)+wait) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// Difference is one way in which a topic is not as it ought to be.
type Difference struct {
	Topic string `json:"topic"` // on the cluster
	What  string `json:"what"`  // "missing", "partitions", or the name of a config
	Have  string `json:"have"`  // empty when missing
	Want  string `json:"want"`  // empty for "missing"
	Fix   string `json:"fix"`   // what Apply does about it: "create", "alter", or "" where it cannot help
}

// Diff compares the cluster with what is wanted.
func Diff(ctx context.Context, admin *stream.Admin, kafka stream.Config) ([]Difference, error) {
	wanted := schema.Topics()
	names := make([]string, len(wanted))
	keys := map[string]bool{}
	for i, t := range wanted {
		names[i] = kafka.Topic(t.Name)
		for k := range t.Configs() {
			keys[k] = true
		}
	}
	have, err := admin.Topics(ctx, slices.Collect(maps.Keys(keys)), names...)
	if err != nil {
		return nil, err
	}
	var diffs []Difference
	for i, t := range wanted {
		diffs = append(diffs, compare(have[i], t, kafka.Partitions)...)
	}
	return diffs, nil
}

func compare(have stream.TopicState, want schema.Topic, partitions int32) []Difference {
	if !have.Exists {
		return []Difference{{Topic: have.Name, What: "missing", Fix: "create"}}
	}
	var diffs []Difference
	if have.Partitions != partitions {
		diffs = append(diffs, Difference{
			Topic: have.Name, What: "partitions",
			Have: strconv.Itoa(int(have.Partitions)), Want: strconv.Itoa(int(partitions)),
		})
	}
	configs := want.Configs()
	for _, key := range slices.Sorted(maps.Keys(configs)) {
		if got := have.Configs[key]; got != configs[key] {
			diffs = append(diffs, Difference{Topic: have.Name, What: key, Have: got, Want: configs[key], Fix: "alter"})
		}
	}
	return diffs
}

// Apply creates what is missing and alters configs that differ. A partition count it leaves alone:
// changing it would move users to other partitions and tear their order apart.
func Apply(ctx context.Context, admin *stream.Admin, kafka stream.Config, diffs []Difference) error {
	for _, d := range diffs {
		topic, ok := schema.Find(d.Topic[len(kafka.TopicPrefix):])
		if !ok {
			return fmt.Errorf("there is no topic %s", d.Topic)
		}
		var err error
		switch d.Fix {
		case "create":
			err = admin.CreateTopic(ctx, d.Topic, kafka.Partitions, topic.Configs())
		case "alter":
			err = admin.AlterTopic(ctx, d.Topic, map[string]string{d.What: d.Want})
		}
		if err != nil {
			return err
		}
	}
	return nil
}
