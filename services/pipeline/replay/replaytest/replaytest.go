// Package replaytest is a cluster for tests of the commands that look into topics: an embedded Kafka with
// our topics, and the records, receipts, letters and commits that a test puts there.
package replaytest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Partitions of every topic.
const Partitions = 3

// Service whose receipts, letters and commits there are.
const Service = "braze-sender"

// Fanout is the service of whose sinks there are letters and commits, too.
const Fanout = "currents-fanout"

// Began is when the first record was written, longer ago than anything is kept; each that follows is a
// second later. Letters are stamped when they are written.
var Began = time.Date(2020, 3, 2, 9, 0, 0, 0, time.UTC)

// Cluster is a Kafka and what is on it.
type Cluster struct {
	*replay.Cluster
	t        testing.TB
	producer *stream.Producer
	now      time.Time
}

// schemas is a registry in which each topic's schema has the number of its place in package schema.
type schemas struct{}

// SchemaByID finds a topic's schema.
func (schemas) SchemaByID(_ context.Context, id int) (string, error) {
	if topics := schema.Tables(); id > 0 && id <= len(topics) {
		return topics[id-1].Text(), nil
	}
	return "", &avro.Unreadable{Reason: "unknown_schema", Detail: fmt.Sprintf("the registry has no schema %d", id)}
}

// ID is the number of a topic's schema.
func ID(topic string) int {
	for i, t := range schema.Tables() {
		if t.Name == topic {
			return i + 1
		}
	}
	return 0
}

// Start starts a cluster whose topics have a prefix.
func Start(t testing.TB) *Cluster {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { must(t, broker.Close()) })
	kafka := stream.Config{Brokers: broker.Brokers(), TopicPrefix: "test.", Compression: "lz4", ReplicationFactor: -1}
	admin, err := stream.NewAdmin(kafka)
	must(t, err)
	t.Cleanup(admin.Close)
	var all []string
	retries, _ := schema.Find(schema.Retries(Fanout))
	states, _ := schema.Find(schema.State(Fanout))
	for _, topic := range append(schema.Tables(), retries, states) {
		configs := topic.Configs()
		configs["retention.ms"] = "-1" // the records are of a day long ago
		must(t, admin.CreateTopic(t.Context(), kafka.Topic(topic.Name), Partitions, configs))
		all = append(all, kafka.Topic(topic.Name))
	}
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{ByPartition: all})
	must(t, err)
	t.Cleanup(producer.Close)
	return &Cluster{&replay.Cluster{Kafka: kafka, Admin: admin, Schemas: schemas{}}, t, producer, Began}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Put writes a record to a topic (without prefix) and returns where it stands.
func (c *Cluster) Put(topic string, partition int32, key string, value []byte, headers ...stream.Header) replay.Place {
	c.t.Helper()
	r := &stream.Record{Topic: c.Kafka.Topic(topic), Partition: partition, Key: []byte(key), Value: value, Headers: headers, Timestamp: c.now}
	c.now = c.now.Add(time.Second)
	must(c.t, c.producer.ProduceAll(c.t.Context(), r))
	return replay.PlaceOf(r)
}

// PartitionOf is where a key belongs.
func PartitionOf(key string) int32 { return stream.PartitionOf([]byte(key), Partitions) }

// Event writes an event of a customer; attributes is a JSON object or nothing.
func (c *Cluster) Event(user, id, name, attributes string) replay.Place {
	c.t.Helper()
	e := event.Event{
		ID: id, User: event.User{ExternalID: user}, Name: name, Kind: event.KindTrack, Source: "shop",
		OccurredAt: c.now, ReceivedAt: c.now, Properties: []byte(`{"total":84.90}`),
	}
	if attributes != "" {
		e.Attributes = []byte(attributes)
	}
	value := avro.AppendEvent(nil, ID(schema.CustomerEvents), &e)
	return c.Put(schema.CustomerEvents, PartitionOf(user), user, value,
		stream.Header{Key: "event-id", Value: []byte(id)}, stream.Header{Key: "source", Value: []byte("shop")})
}

// Update puts what Braze is to be told of a customer on its topic.
func (c *Cluster) Update(user string, u event.Update) replay.Place {
	c.t.Helper()
	u.User, u.OccurredAt, u.DecidedAt = event.User{ExternalID: user}, c.now, c.now
	return c.Put(schema.BrazeAttributes, PartitionOf(user), user, avro.AppendUpdate(nil, ID(schema.BrazeAttributes), &u))
}

// Receipt writes what became of a record.
func (c *Cluster) Receipt(of replay.Place, user, id string, what outcome.Outcome) {
	c.t.Helper()
	r := receipt.Receipt{
		EventID: id, UserID: user, Topic: of.Topic, Partition: of.Partition, Offset: of.Offset, Outcome: what, SettledAt: c.now,
	}
	if what.Kind != outcome.Skipped {
		r.Endpoint, r.Status, r.RequestID, r.Latency, r.Attempts = "/users/track", 201, "R-1", 12*time.Millisecond, 1
	}
	c.Put(schema.BrazeDeliveries, of.Partition, user, r.Append(nil, ID(schema.BrazeDeliveries)))
}

// Letter writes the dead letter of a record, and what the service's receipt says of it, and returns the
// letter's place.
func (c *Cluster) Letter(of replay.Place, user, id string, what outcome.Outcome) replay.Place {
	c.t.Helper()
	l := deadletter.Letter{
		Reason: what.Reason, Detail: what.Detail, OriginTopic: of.Topic, OriginPartition: of.Partition, OriginOffset: of.Offset,
		AppendedAt: c.now, EventID: id, Attempts: 1, FirstAttemptAt: c.now, LastAttemptAt: c.now,
	}
	for _, r := range c.Records(c.Ours(of.Topic)) {
		if replay.PlaceOf(r) == of {
			l.Key, l.Value, l.Headers, l.AppendedAt = r.Key, r.Value, r.Headers, r.Timestamp
		}
	}
	at := c.Lone(l)
	if of.Partition >= 0 {
		c.Receipt(of, user, id, what)
	}
	return at
}

// Engagement writes an event that Braze has reported.
func (c *Cluster) Engagement(user, id string) replay.Place {
	c.t.Helper()
	e := event.Engagement{
		ID: id, User: event.User{ExternalID: user}, Type: "users.messages.email.Click", Channel: "email", OccurredAt: c.now, ReceivedAt: c.now,
		JSON: []byte(`{"id":"` + id + `","event_type":"users.messages.email.Click"}`),
	}
	return c.Put(schema.BrazeEngagements, PartitionOf(user), user, avro.AppendEngagement(nil, ID(schema.BrazeEngagements), &e),
		stream.Header{Key: "event-id", Value: []byte(id)})
}

// SinkLetter writes the dead letter of a record that a sink of currents-fanout has given up.
func (c *Cluster) SinkLetter(of replay.Place, sink, id, reason string) replay.Place {
	c.t.Helper()
	l := deadletter.Letter{
		Reason: reason, Detail: "sink " + sink + ": 400", OriginTopic: of.Topic, OriginPartition: of.Partition, OriginOffset: of.Offset,
		AppendedAt: c.now, EventID: id, Attempts: 1, FirstAttemptAt: c.now, LastAttemptAt: c.now,
	}
	for _, r := range c.Records(c.Ours(of.Topic)) {
		if replay.PlaceOf(r) == of {
			l.Key, l.Value, l.AppendedAt = r.Key, r.Value, r.Timestamp
			if l.Headers = r.Headers; c.Ours(of.Topic) != schema.Retries(Fanout) { // where they are there
				l.Headers = append(l.Headers, stream.Header{Key: "sink", Value: []byte(sink)}, stream.Header{Key: "origin-topic", Value: []byte(c.Ours(of.Topic))})
			}
		}
	}
	return c.lone(Fanout, l)
}

// Lone writes a dead letter as it is.
func (c *Cluster) Lone(l deadletter.Letter) replay.Place {
	c.t.Helper()
	return c.lone(Service, l)
}

func (c *Cluster) lone(service string, l deadletter.Letter) replay.Place {
	c.t.Helper()
	w, err := c.Marker(service)
	must(c.t, err)
	defer w.Close()
	before := map[replay.Place]bool{}
	for _, r := range c.Records(schema.DeadLetters(service)) {
		before[replay.PlaceOf(r)] = true
	}
	done := make(chan error, 1)
	w.Write(c.t.Context(), l, func(err error) { done <- err })
	must(c.t, <-done)
	for _, r := range c.Records(schema.DeadLetters(service)) {
		if at := replay.PlaceOf(r); !before[at] {
			return at
		}
	}
	c.t.Fatal("the letter is not on its topic")
	return replay.Place{}
}

// Marker writes letters of a service.
func (c *Cluster) Marker(service string) (*deadletter.Writer, error) {
	return deadletter.Open(c.Kafka, service, ID(schema.DeadLetters(service)))
}

// Commit says how far the service has come in customer.events.
func (c *Cluster) Commit(offsets map[int32]int64) {
	c.t.Helper()
	must(c.t, c.Admin.MoveOffsets(c.t.Context(), c.Kafka.Group(Service), c.Kafka.Topic(schema.CustomerEvents), offsets))
}

// Caught says that the service has come to the end everywhere.
func (c *Cluster) Caught() {
	c.t.Helper()
	extents, err := c.Admin.Extents(c.t.Context(), c.Kafka.Topic(schema.CustomerEvents))
	must(c.t, err)
	ends := map[int32]int64{}
	for n, e := range extents {
		ends[n] = e.End
	}
	c.Commit(ends)
}

// Records are all those of a topic (without prefix), partition by partition in their order.
func (c *Cluster) Records(topic string) []*stream.Record {
	c.t.Helper()
	byPartition := make([][]*stream.Record, Partitions)
	must(c.t, stream.Read(c.t.Context(), c.Kafka, stream.Range{Topic: c.Kafka.Topic(topic)}, func(r *stream.Record) error {
		byPartition[r.Partition] = append(byPartition[r.Partition], r)
		return nil
	}))
	var all []*stream.Record
	for _, records := range byPartition {
		all = append(all, records...)
	}
	return all
}
