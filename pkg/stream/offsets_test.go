package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// What Kafka's own clients answer for twelve partitions: murmur2 of the key, less its sign.
func TestAKeyHasItsPartition(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]int32{"cus-7-0003": 6, "nobody": 1, "sim-7-000007": 11} {
		if got := stream.PartitionOf([]byte(key), 12); got != want {
			t.Errorf("%s is placed in %d, want %d", key, got, want)
		}
	}
	if stream.PartitionOf(nil, 12) != 0 || stream.PartitionOf([]byte("cus-7-0003"), 1) != 0 {
		t.Error("no key, or one partition: want 0")
	}
}

func TestOffsetsOnTheEmbeddedBroker(t *testing.T) {
	t.Parallel()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	offsets(t, stream.Config{Brokers: broker.Brokers(), TopicPrefix: "offsets.", ReplicationFactor: -1})
}

func TestOffsetsOnApacheKafka(t *testing.T) {
	t.Parallel()
	offsets(t, stream.Config{Brokers: kafkatest.Brokers(t), TopicPrefix: kafkatest.Prefix(t), ReplicationFactor: -1})
}

func offsets(t *testing.T, kafka stream.Config) {
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	topic, group := kafka.Topic("t"), kafka.Group("g")
	if err := admin.CreateTopic(t.Context(), topic, 3, nil); err != nil {
		t.Fatal(err)
	}
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{ByPartition: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	began := time.Now().Add(-time.Hour).Truncate(time.Second)
	for i := range 10 {
		r := &stream.Record{Topic: topic, Partition: int32(i % 2), Value: []byte{byte(i)}, Timestamp: began.Add(time.Duration(i) * time.Second)}
		if err := producer.ProduceAll(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}

	extents, err := admin.Extents(t.Context(), topic)
	if diff := cmp.Diff(map[int32]stream.Extent{0: {End: 5}, 1: {End: 5}, 2: {}}, extents); diff != "" || err != nil {
		t.Errorf("extents: %v (-want +got)\n%s", err, diff)
	}
	at, err := admin.OffsetsAt(t.Context(), topic, began.Add(3*time.Second))
	if diff := cmp.Diff(map[int32]int64{0: 2, 1: 1, 2: 0}, at); diff != "" || err != nil {
		t.Errorf("offsets by time: %v (-want +got)\n%s", err, diff)
	}
	if at, err = admin.OffsetsAt(t.Context(), topic, began.Add(time.Hour)); err != nil || at[0] != 5 {
		t.Errorf("behind the last record: %v, %v", at, err)
	}

	committed, err := admin.Committed(t.Context(), group)
	if err != nil || len(committed) != 0 {
		t.Errorf("a group that there is not has committed %v, %v", committed, err)
	}
	if members, err := admin.Members(t.Context(), group); err != nil || len(members) != 0 {
		t.Errorf("a group that there is not has the members %v, %v", members, err)
	}
	if err := admin.MoveOffsets(t.Context(), group, topic, map[int32]int64{0: 3, 1: 0}); err != nil {
		t.Fatal(err)
	}
	committed, err = admin.Committed(t.Context(), group)
	if diff := cmp.Diff(map[string]map[int32]int64{topic: {0: 3, 1: 0}}, committed); diff != "" || err != nil {
		t.Errorf("committed: %v (-want +got)\n%s", err, diff)
	}
	if err := admin.MoveOffsets(t.Context(), group, topic, map[int32]int64{1: 4}); err != nil {
		t.Fatal(err)
	}
	if committed, err = admin.Committed(t.Context(), group); err != nil || committed[topic][0] != 3 || committed[topic][1] != 4 {
		t.Errorf("one partition moved: %v, %v", committed, err)
	}

	for _, c := range []struct {
		name string
		r    stream.Range
		want string
	}{
		{"until in the middle", stream.Range{From: map[int32]int64{0: 1, 1: 0}, Until: map[int32]int64{0: 3, 1: 1}}, "1 2 4"},
		{"until behind the end", stream.Range{From: map[int32]int64{1: 3}, Until: map[int32]int64{1: 99}}, "7 9"},
		{"until before the beginning", stream.Range{From: map[int32]int64{0: 4}, Until: map[int32]int64{0: 4}}, ""},
		{"an empty partition alone", stream.Range{From: map[int32]int64{2: 0}}, ""},
		{"since, and until", stream.Range{Since: began.Add(3 * time.Second), Until: map[int32]int64{0: 3, 1: 2}}, "3 4"},
	} {
		c.r.Topic = topic
		seen := map[byte]bool{}
		if err := stream.Read(t.Context(), kafka, c.r, func(r *stream.Record) error {
			seen[r.Value[0]] = true
			return nil
		}); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var words []string
		for i := range byte(10) {
			if seen[i] {
				words = append(words, string('0'+rune(i)))
			}
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: read %s, want %s", c.name, got, c.want)
		}
	}
	if err := stream.Read(t.Context(), kafka, stream.Range{Topic: topic, From: map[int32]int64{7: 0}}, nil); err == nil {
		t.Error("a partition that is not there: no error")
	}
}
