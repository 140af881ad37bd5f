package attributesync_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// The embedded broker and registry of all tests here; each test has topics of its own.
var (
	ownKafka    []string
	registryURL string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	broker, err := embedded.Start(ctx, embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer broker.Close()
	reg, err := regembedded.Start(ctx, regembedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer reg.Close()
	ownKafka, registryURL = broker.Brokers(), reg.URL()
	return m.Run()
}

// onBoth runs a test on the embedded broker, and on Apache Kafka where there is one.
func onBoth(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, newScene(t, ownKafka))
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		test(t, newScene(t, kafkatest.Brokers(t)))
	})
}

// scene is a test's own topics, and the services that come and go.
type scene struct {
	t        *testing.T
	config   attributesync.Config
	ids      topics.IDs
	producer *stream.Producer
	source   avro.Source
}

const partitions = 3

func newScene(t *testing.T, brokers []string) *scene {
	t.Helper()
	s := &scene{t: t}
	s.config = attributesync.Config{
		Kafka: stream.Config{
			Brokers: brokers, TopicPrefix: "as-" + strings.ToLower(rand.Text()[:8]) + ".", SessionTimeout: 6 * time.Second,
			Compression: "lz4", CreateTopics: true, Partitions: partitions, ReplicationFactor: -1,
		},
		Registry: registry.Config{URL: registryURL},
		State:    table.Config{Dir: t.TempDir(), CacheBytes: 8 << 20},
		Sync:     attributesync.Options{Linger: 50 * time.Millisecond, Batch: 1_000, BatchBytes: 16 << 20, Repeats: 24 * time.Hour},
	}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	s.source = avro.FromRegistry(reg)
	s.ids, err = topics.Prepare(t.Context(), s.config.Kafka, reg, schema.CustomerProfiles, schema.CommerceEvents, schema.SupportCases,
		schema.BrazeAttributes, schema.BrazeDeliveries, schema.State(attributesync.Name), schema.DeadLetters(attributesync.Name))
	if err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.config.Kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// fields gives the services a file of fields.
func (s *scene) fields(text string) {
	s.t.Helper()
	s.config.Sync.FieldsFile = filepath.Join(s.t.TempDir(), "fields.yaml")
	if err := os.WriteFile(s.config.Sync.FieldsFile, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// replica is a running service.
type replica struct {
	t       *testing.T
	metrics *prometheus.Registry
	stop    func()
}

func (s *scene) start() *replica {
	s.t.Helper()
	r := &replica{t: s.t, metrics: prometheus.NewRegistry()}
	ctx, cancel := context.WithCancel(s.t.Context())
	log := zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.WarnLevel)
	service, err := attributesync.Open(ctx, s.config, &daemon.Process{Name: attributesync.Name, Log: log, Metrics: r.metrics, Health: &daemon.Health{}})
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the service ends with %v", err)
		}
	}
	s.t.Cleanup(r.stop)
	return r
}

// law waits until the service has ended so many records, and returns how, by outcome and reason.
func (r *replica) law(accepted int) map[string]int {
	r.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		ended, sum := map[string]int{}, 0
		for name, n := range r.counters("sluice_attributes_settled_total", "outcome", "reason") {
			ended[name] += n
			sum += n
		}
		if taken := r.counters("sluice_attributes_accepted_total")[""]; sum == accepted && taken == accepted {
			return ended
		}
		select {
		case <-deadline:
			r.t.Fatalf("waiting for %d records: %v", accepted, ended)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// await waits for something that the service does.
func (r *replica) await(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(60 * time.Second)
	for !cond() {
		select {
		case <-deadline:
			r.t.Fatalf("waiting for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// gauge is what a gauge says now.
func (r *replica) gauge(name string) float64 {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	r.t.Fatalf("there is no gauge %s", name)
	return 0
}

// counters are the sums of a counter by some of its labels.
func (r *replica) counters(name string, labels ...string) map[string]int {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sums := map[string]int{}
	for _, f := range families {
		if f.GetName() == name && f.GetType() == dto.MetricType_COUNTER {
			for _, m := range f.GetMetric() {
				var words []string
				for _, want := range labels {
					for _, l := range m.GetLabel() {
						if l.GetName() == want && l.GetValue() != "" {
							words = append(words, l.GetValue())
						}
					}
				}
				sums[strings.Join(words, " ")] += int(m.GetCounter().GetValue())
			}
		}
	}
	return sums
}

func (s *scene) produce(records ...*stream.Record) {
	s.t.Helper()
	for _, r := range records {
		r.Topic = s.config.Kafka.Topic(r.Topic)
	}
	if err := s.producer.ProduceAll(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
}

// noon is what the tests' clocks count from: yesterday, so that none of them is ahead.
var noon = time.Now().UTC().Truncate(time.Hour).Add(-24 * time.Hour)

// profile is a change of crm's to a user's profile, made at a minute.
func (s *scene) profile(user, id string, minute int, set string) *stream.Record {
	return s.change(&event.Profile{ID: id, User: event.User{ExternalID: user}, Set: []byte(set), Source: "crm", OccurredAt: at(minute), ReceivedAt: at(minute)})
}

func at(minute int) time.Time { return noon.Add(time.Duration(minute) * time.Minute) }

func (s *scene) change(p *event.Profile) *stream.Record {
	return &stream.Record{Topic: schema.CustomerProfiles, Key: []byte(p.User.Key()), Value: avro.AppendProfile(nil, s.ids[schema.CustomerProfiles], p)}
}

func (s *scene) supportCase(user, id string, what event.CaseEvent, when time.Time) *stream.Record {
	c := event.Case{ID: id, User: event.User{ExternalID: user}, CaseID: "4711", Event: what, OccurredAt: when, ReceivedAt: when, Source: "zendesk"}
	return &stream.Record{Topic: schema.SupportCases, Key: []byte(user), Value: avro.AppendCase(nil, s.ids[schema.SupportCases], &c)}
}

func (s *scene) order(c *event.Commerce) *stream.Record {
	s.t.Helper()
	value, err := avro.AppendCommerce(nil, s.ids[schema.CommerceEvents], c)
	if err != nil {
		s.t.Fatal(err)
	}
	return &stream.Record{Topic: schema.CommerceEvents, Key: []byte(c.User.Key()), Value: value}
}

func (s *scene) receipt(user string, slip receipt.Receipt) *stream.Record {
	slip.UserID, slip.SettledAt = user, time.Now()
	return &stream.Record{Topic: schema.BrazeDeliveries, Key: []byte(user), Value: slip.Append(nil, s.ids[schema.BrazeDeliveries])}
}

// updates reads what stands on braze.attributes, once there are so many, in order within each customer.
func (s *scene) updates(n int) []event.Update {
	s.t.Helper()
	var list []event.Update
	decoder := avro.NewUpdateDecoder(s.source)
	s.read(schema.BrazeAttributes, func() bool { return len(list) >= n }, func() { list = nil }, func(r *stream.Record) {
		var u event.Update
		if _, err := decoder.Decode(s.t.Context(), r.Value, &u); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, u)
	})
	return list
}

// settled waits until no transaction on a topic is under way any more: Apache Kafka answers a commit before what was
// committed can be read.
func (s *scene) settled(topic string) {
	s.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.config.Kafka.Brokers...))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	admin, name := kadm.NewClient(client), s.config.Kafka.Topic(topic)
	deadline := time.After(60 * time.Second)
	for {
		ends, err := admin.ListEndOffsets(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		readable, err := admin.ListCommittedOffsets(s.t.Context(), name)
		if err != nil {
			s.t.Fatal(err)
		}
		behind := false
		ends.Each(func(end kadm.ListedOffset) {
			upTo, ok := readable.Lookup(name, end.Partition)
			behind = behind || !ok || upTo.Offset < end.Offset
		})
		if !behind {
			return
		}
		select {
		case <-deadline:
			s.t.Fatalf("a transaction on %s does not end", topic)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// letters reads the dead letters, once there are so many.
func (s *scene) letters(n int) []deadletter.Letter {
	s.t.Helper()
	var list []deadletter.Letter
	decoder := deadletter.NewDecoder(s.source)
	s.read(schema.DeadLetters(attributesync.Name), func() bool { return len(list) >= n }, func() { list = nil }, func(r *stream.Record) {
		l, err := decoder.Decode(s.t.Context(), r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		list = append(list, l)
	})
	return list
}

// read reads a topic from its beginning, again and again until enough is there.
func (s *scene) read(topic string, enough func() bool, again func(), each func(*stream.Record)) {
	s.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		again()
		err := stream.Read(s.t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(topic)}, func(r *stream.Record) error {
			each(r)
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
		if enough() {
			return
		}
		select {
		case <-deadline:
			s.t.Fatalf("there is less on %s than expected", topic)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// told are the attributes of updates, as text, one line each.
func told(updates []event.Update) []string {
	lines := make([]string, len(updates))
	for i, u := range updates {
		lines[i] = u.User.Key() + " " + string(u.Attributes)
		if u.Trigger != "" {
			lines[i] = u.User.Key() + " " + u.Trigger + " " + string(u.Properties)
		}
	}
	return lines
}
