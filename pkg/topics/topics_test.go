package topics_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
)

func TestTopicsOnTheEmbeddedBroker(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	reg, err := regembedded.Start(t.Context(), regembedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
	suite(t, broker.Brokers(), reg.URL())
}

// TestTopicsOnApacheKafka also proves the topics' settings: the embedded broker accepts any.
func TestTopicsOnApacheKafka(t *testing.T) {
	suite(t, kafkatest.Brokers(t), kafkatest.RegistryURL(t))
}

func suite(t *testing.T, brokers []string, registryURL string) {
	kafka := stream.Config{Brokers: brokers, TopicPrefix: "tp-" + strings.ToLower(rand.Text()[:8]) + ".", CreateTopics: true, Partitions: 3, ReplicationFactor: -1}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	reg, err := registry.New(registry.Config{URL: registryURL})
	if err != nil {
		t.Fatal(err)
	}
	diff := func() []topics.Difference {
		t.Helper()
		d, err := topics.Diff(t.Context(), admin, kafka)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if d := diff(); len(d) != len(schema.Topics()) || d[0].What != "missing" {
		t.Fatalf("on an empty cluster: %+v", d)
	}
	ids, err := topics.Prepare(t.Context(), kafka, reg, schema.CustomerEvents)
	if err != nil {
		t.Fatal(err)
	}
	again, err := topics.Prepare(t.Context(), kafka, reg, schema.CustomerEvents)
	if err != nil || again[schema.CustomerEvents] != ids[schema.CustomerEvents] || ids[schema.CustomerEvents] == 0 {
		t.Fatalf("prepared twice: ids %v and %v, %v", ids, again, err)
	}
	if err := topics.Apply(t.Context(), admin, kafka, diff()); err != nil {
		t.Fatal(err)
	}
	if d := diff(); len(d) > 0 {
		t.Fatalf("after applying: %+v", d)
	}

	name := kafka.Topic(schema.CustomerEvents)
	if err := admin.AlterTopic(t.Context(), name, map[string]string{"retention.ms": "1000"}); err != nil {
		t.Fatal(err)
	}
	d := diff()
	if len(d) != 1 || d[0] != (topics.Difference{Topic: name, What: "retention.ms", Have: "1000", Want: "604800000", Fix: "alter"}) {
		t.Fatalf("after somebody's change: %+v", d)
	}
	if err := topics.Apply(t.Context(), admin, kafka, d); err != nil {
		t.Fatal(err)
	}
	if d := diff(); len(d) > 0 {
		t.Fatalf("after mending it: %+v", d)
	}

	kafka.Partitions = 4
	if d := diff(); len(d) != len(schema.Topics()) || d[0].What != "partitions" || d[0].Fix != "" {
		t.Fatalf("with another partition count: %+v", d)
	}
	if _, err := topics.Prepare(t.Context(), kafka, reg, "no.such.topic"); err == nil {
		t.Error("a topic that does not exist was prepared")
	}
}
