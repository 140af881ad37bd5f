package pipeline_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/segmentio/kafka-go"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/simulate"
)

// stranger is a program that nobody here wrote: kafka-go, framing by hand, goavro, and the schemas
// that the registry has.
type stranger struct {
	t        *testing.T
	broker   string
	registry string
	prefix   string // of topics
	mu       sync.Mutex
	codecs   map[uint32]*goavro.Codec
}

// codec asks the registry for a schema by its id.
func (s *stranger) codec(id uint32) *goavro.Codec {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.codecs[id]; c != nil {
		return c
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, fmt.Sprintf("%s/schemas/ids/%d", s.registry, id), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Schema string }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("the registry answers %s for schema %d: %v", resp.Status, id, err)
	}
	c, err := goavro.NewCodec(answer.Schema)
	if err != nil {
		s.t.Fatal(err)
	}
	s.codecs[id] = c
	return c
}

// read takes n records from a topic as a member of a group, as an analyst's program does.
func (s *stranger) read(topic string, n int) []kafka.Message {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{s.broker}, Topic: topic, GroupID: topic + ".analysts", StartOffset: kafka.FirstOffset,
		MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond, JoinGroupBackoff: 100 * time.Millisecond,
	})
	defer func() { _ = r.Close() }()
	var messages []kafka.Message
	for range n {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			s.t.Fatalf("kafka-go reading %s, %d of %d: %v", topic, len(messages), n, err)
		}
		messages = append(messages, m)
	}
	return messages
}

// decode takes a value apart.
func (s *stranger) decode(value []byte) any {
	s.t.Helper()
	if len(value) < 5 || value[0] != 0 {
		s.t.Fatalf("%q does not begin with a zero byte and an id", value)
	}
	native, rest, err := s.codec(binary.BigEndian.Uint32(value[1:])).NativeFromBinary(value[5:])
	if err != nil || len(rest) > 0 {
		s.t.Fatalf("goavro: %v, %d bytes left over", err, len(rest))
	}
	return native
}

func TestEveryTopicIsReadAndWrittenByAStranger(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{Targets: []string{"ingest"}})
		client, err := registry.New(registry.Config{URL: r.Places().Registry})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, topic := range schema.Tables() {
			names = append(names, topic.Name)
		}
		ids, err := topics.Prepare(t.Context(), r.kafka, client, names...)
		if err != nil {
			t.Fatal(err)
		}
		s := &stranger{t: t, broker: r.Places().Kafka, registry: r.Places().Registry, prefix: r.kafka.TopicPrefix, codecs: map[uint32]*goavro.Codec{}}
		for _, topic := range schema.Tables() {
			list := samples(topic.Name)
			if len(list) == 0 {
				t.Errorf("%s: there are no samples of its records", topic.Name)
				continue
			}
			ours := r.writeOurs(topic, list, ids[topic.Name])
			t.Run("a stranger reads "+topic.Name, func(t *testing.T) { s.readsOurs(t, topic, list) })
			if topic.Public {
				t.Run("a stranger writes "+topic.Name, func(t *testing.T) { s.writesTheirs(t, r, topic, list, ours) })
			}
		}
	})
}

// writeOurs writes the samples with our own client and codecs, and returns their partitions by key.
func (r *rig) writeOurs(topic schema.Topic, list []sample, id int) map[string]int32 {
	r.t.Helper()
	p, err := stream.NewProducer(r.kafka, stream.ProducerOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer p.Close()
	partitions := map[string]int32{}
	for _, s := range list {
		rec := &stream.Record{
			Topic: r.kafka.Topic(topic.Name), Key: []byte(s.key), Value: s.value(id),
			Headers: []stream.Header{{Key: "source", Value: []byte("shop")}},
		}
		if err := p.ProduceAll(r.t.Context(), rec); err != nil {
			r.t.Fatal(err)
		}
		partitions[s.key] = rec.Partition
	}
	return partitions
}

// sameAmount compares money, which goavro reads as fractions.
var sameAmount = gocmp.Comparer(func(a, b *big.Rat) bool { return a.Cmp(b) == 0 })

func (s *stranger) readsOurs(t *testing.T, topic schema.Topic, list []sample) {
	byKey := map[string]kafka.Message{}
	for _, m := range s.read(s.prefix+topic.Name, len(list)) {
		byKey[string(m.Key)] = m
	}
	for _, want := range list {
		m, ok := byKey[want.key]
		if !ok {
			t.Errorf("no record has the key %q", want.key)
			continue
		}
		if diff := gocmp.Diff(any(want.native), s.decode(m.Value), sameAmount); diff != "" {
			t.Errorf("%s (-written +read):\n%s", want.key, diff)
		}
		if want := []kafka.Header{{Key: "source", Value: []byte("shop")}}; !gocmp.Equal(want, m.Headers) {
			t.Errorf("headers %v, want %v", m.Headers, want)
		}
	}
}

// writesTheirs lets the stranger write the samples, and reads them with our own client and decoders.
func (s *stranger) writesTheirs(t *testing.T, r *rig, topic schema.Topic, list []sample, ours map[string]int32) {
	name := r.kafka.Topic(topic.Name)
	f, err := simulate.Upstreamer{Registry: s.registry, Topic: name}.Framer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := &kafka.Writer{
		Transport: &kafka.Transport{}, // the shared one may remember the cluster from before the topic was made
		Addr:      kafka.TCP(s.broker), Topic: name, RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond, Balancer: kafka.Murmur2Balancer{},
	}
	defer func() { _ = w.Close() }()
	for _, sample := range list {
		value, err := f.Frame(sample.native)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.WriteMessages(t.Context(), kafka.Message{Key: []byte(sample.key), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	records := r.read(topic.Name)
	slices.SortStableFunc(records, func(a, b *stream.Record) int { return cmp.Compare(a.Timestamp.UnixNano(), b.Timestamp.UnixNano()) })
	if len(records) != 2*len(list) {
		t.Fatalf("%d records, want each sample twice: ours and theirs", len(records))
	}
	client, err := registry.New(registry.Config{URL: s.registry})
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range records[len(list):] {
		if ours[string(rec.Key)] != rec.Partition {
			t.Errorf("%q: kafka-go puts it on partition %d, our client on %d", rec.Key, rec.Partition, ours[string(rec.Key)])
		}
		i := slices.IndexFunc(list, func(s sample) bool { return s.key == string(rec.Key) })
		if want := list[i].value(f.ID); !gocmp.Equal(want, rec.Value) {
			t.Errorf("%q: goavro wrote %x, our codec writes %x", rec.Key, rec.Value, want)
		}
		s.readsTheirs(t, avro.FromRegistry(client), topic, rec)
	}
}

// readsTheirs lets our own decoder read what the stranger wrote, where a service of ours has one.
func (s *stranger) readsTheirs(t *testing.T, source avro.Source, topic schema.Topic, rec *stream.Record) {
	t.Helper()
	var (
		user event.User
		key  string
		err  error
	)
	switch topic.Name {
	case schema.CustomerEvents:
		var e event.Event
		key, err = avro.NewEventDecoder(source).Decode(t.Context(), rec.Value, &e)
		user = e.User
	case schema.CommerceEvents:
		var c event.Commerce
		key, err = avro.NewCommerceDecoder(source).Decode(t.Context(), rec.Value, &c)
		user = c.User
	default:
		return
	}
	if err != nil || key != string(rec.Key) || !user.HasKey(rec.Key) {
		t.Errorf("%q: our decoder read the user %q as %+v: %v", rec.Key, key, user, err)
	}
}

func TestAStrangersLetterIsReadBack(t *testing.T) {
	t.Parallel()
	topic, _ := schema.Find(schema.DeadLetters("ingest"))
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		t.Fatal(err)
	}
	l, err := deadletter.Read(codec, letterSample().value(1))
	if err != nil || string(l.Value) != "\x00\x01\xff" || string(l.Key) != "cus-1" {
		t.Errorf("read %+v: %v", l, err)
	}
}
