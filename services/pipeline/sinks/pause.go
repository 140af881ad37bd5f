package sinks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Pause is what currents-fanout.state says of a sink. The zero value lets it run.
type Pause struct {
	Paused bool      `json:"paused"`
	Since  time.Time `json:"since,omitzero"`
	By     string    `json:"by,omitempty"`
	Why    string    `json:"why,omitempty"`
}

// Pauses reads what is said of every sink.
func Pauses(ctx context.Context, c *replay.Cluster) (map[string]Pause, error) {
	topic := c.Kafka.Topic(schema.State(Service))
	states, err := c.Admin.Topics(ctx, nil, topic)
	if err != nil {
		return nil, err
	}
	said := map[string]Pause{}
	if len(states) == 0 || !states[0].Exists {
		return said, nil // nobody has said anything yet
	}
	err = stream.Read(ctx, c.Kafka, stream.Range{Topic: topic}, func(r *stream.Record) error {
		var p Pause
		if len(r.Value) > 0 {
			if err := json.Unmarshal(r.Value, &p); err != nil {
				return fmt.Errorf("reading what %s says of the sink %s at %s: %w", topic, r.Key, replay.PlaceOf(r), err)
			}
		}
		said[string(r.Key)] = p
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", topic, err)
	}
	return said, nil
}

// Say lets every replica of currents-fanout know, now and later, whether a sink runs. It returns once that is
// durable, which is before they have acted on it.
func Say(ctx context.Context, c *replay.Cluster, sink string, p Pause) error {
	topic, _ := schema.Find(schema.State(Service))
	name := c.Kafka.Topic(topic.Name)
	if c.Kafka.CreateTopics {
		if err := c.Admin.CreateTopic(ctx, name, c.Kafka.Partitions, topic.Configs()); err != nil {
			return fmt.Errorf("creating %s: %w", name, err)
		}
	}
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("writing down the pause: %w", err)
	}
	producer, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{DeliveryTimeout: patience})
	if err != nil {
		return err
	}
	defer producer.Close()
	if err := producer.ProduceAll(ctx, &stream.Record{Topic: name, Key: []byte(sink), Value: value}); err != nil {
		return fmt.Errorf("writing to %s: %w", name, err)
	}
	return nil
}

// patience is how long Kafka may take for a word.
const patience = 30 * time.Second
