package pipeline_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
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
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/simulate"
)

// sample is a record of a topic: what our own code writes, and what a stranger's should read of it.
type sample struct {
	key    string
	value  func(id int) []byte
	native map[string]any // in goavro's form
}

func text(s string) map[string]any { return map[string]any{"string": s} }

var (
	morning = time.UnixMilli(1772442904210).UTC()
	version = int64(9007199254740993)
)

// samples has records for every topic there is; TestEveryTopicIsReadAndWrittenByAStranger fails for a
// topic without.
func samples(topic string) []sample {
	switch topic {
	case schema.CustomerEvents:
		return eventSamples()
	case schema.CustomerProfiles:
		return profileSamples()
	case schema.BrazeDeliveries:
		return []sample{deliverySample()}
	case schema.DeadLetters("ingest"), schema.DeadLetters("braze-sender"):
		return []sample{letterSample()}
	}
	return nil
}

func eventSamples() []sample {
	users := []event.User{
		{ExternalID: "cus-1"},
		{BrazeID: "5f2b"},
		{AliasLabel: "shop", AliasName: "visitor-9"},
		{Email: "Brenu.Kastellor@example.com"},
		{Phone: "+447700900123"},
		{ExternalID: "ключ-Zoë", Email: "z@example.com"},
	}
	list := make([]sample, 0, len(users))
	for i, u := range users {
		e := event.Event{
			ID: fmt.Sprintf("e-%d", i), User: u, Name: "Order Completed", Kind: event.KindTrack,
			OccurredAt: morning, ReceivedAt: morning.Add(time.Second), Source: "shop",
			Properties: []byte(`{"ref":820982911946154508,"total":84.90,"note":"<Zoë> & co"}`),
		}
		native := map[string]any{
			"event_id": e.ID, "user_id": u.Key(), "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
			"event_name": e.Name, "event_kind": e.Kind, "occurred_at": e.OccurredAt, "received_at": e.ReceivedAt, "source": "shop",
			"properties_json": text(string(e.Properties)), "attributes_json": nil, "app_id": nil, "braze_disabled": nil,
		}
		if i == 0 {
			e.Attributes, e.AppID, e.BrazeDisabled = []byte(`{"tier":"gold"}`), "app-1", true
			native["attributes_json"], native["app_id"], native["braze_disabled"] = text(`{"tier":"gold"}`), text("app-1"), map[string]any{"boolean": true}
		}
		fillUser(native, u)
		list = append(list, sample{u.Key(), func(id int) []byte { return avro.AppendEvent(nil, id, &e) }, native})
	}
	return list
}

func fillUser(native map[string]any, u event.User) {
	for field, v := range map[string]string{
		"external_id": u.ExternalID, "braze_id": u.BrazeID, "alias_label": u.AliasLabel, "alias_name": u.AliasName, "email": u.Email, "phone": u.Phone,
	} {
		if v != "" {
			native[field] = text(v)
		}
	}
}

func profileSamples() []sample {
	full := event.Profile{
		ID: "p-1", User: event.User{ExternalID: "cus-1"}, Set: []byte(`{"tier":"gold"}`), Unset: []string{"old", "older"},
		Add: []byte(`{"tags":["a"]}`), Remove: []byte(`{"tags":["b"]}`), Increment: []byte(`{"visits":1}`),
		Subscriptions: []event.Subscription{{GroupID: "g-1", State: "subscribed"}}, PreviousKey: "alias:shop:visitor-9",
		Source: "crm", Version: &version, OccurredAt: morning, ReceivedAt: morning,
	}
	bare := event.Profile{ID: "p-2", User: event.User{Email: "A@example.com"}, Source: "crm", OccurredAt: morning, ReceivedAt: morning}
	native := map[string]any{
		"event_id": "p-1", "user_id": "cus-1", "external_id": text("cus-1"), "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"set_json": text(`{"tier":"gold"}`), "unset_fields": []any{"old", "older"}, "add_json": text(`{"tags":["a"]}`),
		"remove_json": text(`{"tags":["b"]}`), "increment_json": text(`{"visits":1}`),
		"subscriptions": []any{map[string]any{"group_id": "g-1", "state": "subscribed"}}, "previous_user_id": text("alias:shop:visitor-9"),
		"source": "crm", "source_version": map[string]any{"long": version}, "occurred_at": morning, "received_at": morning,
	}
	bareNative := map[string]any{
		"event_id": "p-2", "user_id": "email:a@example.com", "external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil,
		"email": text("A@example.com"), "phone": nil, "set_json": nil, "unset_fields": []any{}, "add_json": nil, "remove_json": nil,
		"increment_json": nil, "subscriptions": []any{}, "previous_user_id": nil, "source": "crm", "source_version": nil,
		"occurred_at": morning, "received_at": morning,
	}
	return []sample{
		{"cus-1", func(id int) []byte { return avro.AppendProfile(nil, id, &full) }, native},
		{"email:a@example.com", func(id int) []byte { return avro.AppendProfile(nil, id, &bare) }, bareNative},
	}
}

func deliverySample() sample {
	r := receipt.Receipt{
		EventID: "e-1", UserID: "cus-1", Topic: "customer.events", Partition: 3, Offset: 17,
		Outcome:  outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "events: invalid"},
		Endpoint: "/users/track", Status: 201, RequestID: "r-1", Latency: 42 * time.Millisecond, Attempts: 2, SettledAt: morning,
	}
	return sample{"cus-1", func(id int) []byte { return r.Append(nil, id) }, map[string]any{
		"event_id": "e-1", "user_id": "cus-1", "source_topic": "customer.events", "source_partition": int32(3), "source_offset": int64(17),
		"outcome": "refused", "reason": text("item_error"), "detail": text("events: invalid"), "endpoint": text("/users/track"),
		"http_status": map[string]any{"int": int32(201)}, "request_id": text("r-1"), "latency_ms": map[string]any{"long": int64(42)},
		"attempts": int32(2), "settled_at": morning,
	}}
}

func letterSample() sample {
	native := map[string]any{
		"service": "ingest", "reason": "undecodable", "detail": text("bytes are left over"), "origin_topic": "customer.events",
		"origin_partition": int32(3), "origin_offset": int64(17), "origin_appended_at": morning,
		"origin_key": map[string]any{"bytes": []byte("cus-1")}, "origin_value": map[string]any{"bytes": []byte{0, 1, 0xff}},
		"origin_headers": []any{map[string]any{"name": "event-id", "content": map[string]any{"bytes": []byte("e-1")}}},
		"event_id":       nil, "attempts": int32(0), "first_attempt_at": morning, "last_attempt_at": morning,
	}
	return sample{"cus-1", func(id int) []byte {
		topic, _ := schema.Find(schema.DeadLetters("ingest"))
		codec, err := avro.NewCodec(topic.Text(), id)
		if err != nil {
			panic(err)
		}
		value, err := codec.Append(nil, native)
		if err != nil {
			panic(err)
		}
		return value
	}, native}
}

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
		for _, topic := range schema.Topics() {
			names = append(names, topic.Name)
		}
		ids, err := topics.Prepare(t.Context(), r.kafka, client, names...)
		if err != nil {
			t.Fatal(err)
		}
		s := &stranger{t: t, broker: r.Places().Kafka, registry: r.Places().Registry, prefix: r.kafka.TopicPrefix, codecs: map[uint32]*goavro.Codec{}}
		for _, topic := range schema.Topics() {
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
		if diff := gocmp.Diff(any(want.native), s.decode(m.Value)); diff != "" {
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
		if topic.Name == schema.CustomerEvents {
			var e event.Event
			key, err := avro.NewEventDecoder(avro.FromRegistry(client)).Decode(t.Context(), rec.Value, &e)
			if err != nil || key != string(rec.Key) || !e.User.HasKey(rec.Key) {
				t.Errorf("%q: our decoder read the user %q of %+v: %v", rec.Key, key, e, err)
			}
		}
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
