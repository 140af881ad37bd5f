package currentsfanout_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// The embedded broker and registry of all tests here; each test has topics of its own.
var (
	brokers     []string
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
	brokers, registryURL = broker.Brokers(), reg.URL()
	return m.Run()
}

// scene is a test's own topics, its sinks' far ends, and the services that come and go.
type scene struct {
	t        testing.TB
	config   currentsfanout.Config
	ids      topics.IDs
	producer *stream.Producer
	source   avro.Source
	ends     map[string]*end
	kinds    currentsfanout.Kinds
	quiet    atomic.Int64 // taken by all sinks of kind quiet
}

const partitions = 3

func newScene(t testing.TB, sinks string, names ...string) *scene {
	t.Helper()
	return newSceneOf(t, partitions, sinks, names...)
}

func newSceneOf(t testing.TB, partitions int32, sinks string, names ...string) *scene {
	t.Helper()
	s := &scene{t: t, ends: map[string]*end{}}
	for _, name := range names {
		s.ends[name] = &end{stretches: map[string]int64{}}
	}
	s.config = currentsfanout.Config{
		Kafka: stream.Config{
			Brokers: brokers, TopicPrefix: "cf-" + strings.ToLower(rand.Text()[:8]) + ".", SessionTimeout: 6 * time.Second,
			Compression: compression, CreateTopics: true, Partitions: partitions, ReplicationFactor: -1,
		},
		Registry: registry.Config{URL: registryURL},
		State:    table.Config{Dir: t.TempDir(), CacheBytes: 8 << 20},
		Fanout: currentsfanout.Options{
			DedupWindow: 192 * time.Hour, Memory: 64 << 20, DedupMemory: 4 << 20, Drain: 2 * time.Second,
			WriteTimeout: time.Minute, CommitEvery: 20 * time.Millisecond,
		},
	}
	s.rewrite(sinks)
	s.kinds = currentsfanout.Kinds{
		"fake": currentsfanout.KindOf(func(_ context.Context, _ fakeOptions, d sink.Deps) (sink.Sink, error) {
			return fake{s.ends[d.Name]}, nil
		}),
		"stretches": currentsfanout.KindOf(func(_ context.Context, _ fakeOptions, d sink.Deps) (sink.Sink, error) {
			return fakeStretcher{fake{s.ends[d.Name]}}, nil
		}),
		"quiet": currentsfanout.KindOf(func(context.Context, fakeOptions, sink.Deps) (sink.Sink, error) { return quiet{&s.quiet}, nil }),
	}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	s.source = avro.FromRegistry(reg)
	s.ids, err = topics.Prepare(t.Context(), s.config.Kafka, reg, schema.BrazeEngagements, schema.BrazeActions,
		schema.DeadLetters(currentsfanout.Name), schema.Retries(currentsfanout.Name), schema.State(currentsfanout.Name))
	if err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.config.Kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// rewrite replaces sinks.yaml.
func (s *scene) rewrite(sinks string) {
	s.t.Helper()
	s.config.Fanout.SinksFile = filepath.Join(s.t.TempDir(), "sinks.yaml")
	if err := os.WriteFile(s.config.Fanout.SinksFile, []byte(sinks), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// replica is a running service.
type replica struct {
	t       testing.TB
	service *currentsfanout.Service
	metrics *prometheus.Registry
	health  *daemon.Health
	stop    func()
}

func (s *scene) start() *replica {
	s.t.Helper()
	r := &replica{t: s.t, metrics: prometheus.NewRegistry(), health: &daemon.Health{}}
	ctx, cancel := context.WithCancel(s.t.Context())
	log := zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.Disabled)
	if testing.Verbose() {
		log = log.Level(zerolog.InfoLevel)
	}
	var err error
	r.service, err = s.kinds.Open(ctx, s.config, &daemon.Process{Name: currentsfanout.Name, Log: log, Metrics: r.metrics, Health: r.health})
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.service.Run(ctx) }()
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

// await waits for something that the service does.
func (r *replica) await(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(60 * time.Second)
	for !cond() {
		select {
		case <-deadline:
			r.t.Fatalf("waiting for %s: %+v", what, r.service.Stats())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// stats are those of a sink.
func (r *replica) stats(name string) currentsfanout.SinkStats {
	r.t.Helper()
	for _, s := range r.service.Stats() {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("there is no sink %s", name)
	return currentsfanout.SinkStats{}
}

// law states the law of a sink: what it has accepted, and what became of it, by outcome and reason.
func (r *replica) law(name string) (accepted int, ended map[string]int) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	ended = map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["sink"] != name {
				continue
			}
			switch f.GetName() {
			case "sluice_fanout_accepted_total":
				accepted = int(m.GetCounter().GetValue())
			case "sluice_fanout_records_total":
				ended[strings.TrimSpace(labels["outcome"]+" "+labels["reason"])] += int(m.GetCounter().GetValue())
			case "sluice_fanout_returned_total":
				if n := int(m.GetCounter().GetValue()); n > 0 {
					ended["returned"] = n
				}
			case "sluice_fanout_held":
				if n := int(m.GetGauge().GetValue()); n > 0 {
					ended["held"] = n
				}
			}
		}
	}
	return accepted, ended
}

// holds fails the test where the law does not hold of a sink that rests.
func (r *replica) holds(name string) {
	r.t.Helper()
	accepted, ended := r.law(name)
	sum := 0
	for n := range maps.Values(ended) {
		sum += n
	}
	if accepted != sum {
		r.t.Errorf("%s has accepted %d, which came to %v: %d", name, accepted, ended, sum)
	}
}

// engagement is an event of a customer.
func (s *scene) engagement(id, user, typ string) *stream.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	e := event.Engagement{
		ID: id, User: event.User{ExternalID: user}, Type: typ, Channel: "email", OccurredAt: now, ReceivedAt: now, CampaignID: "c1",
		JSON: fmt.Appendf(nil, `{"event_type":%q,"id":%q,"time":%d,"user":{"external_user_id":%q},"properties":{"email_address":"%s@example.com","n":1.10}}`, typ, id, now.Unix(), user, user),
	}
	return &stream.Record{Topic: s.config.Kafka.Topic(schema.BrazeEngagements), Key: []byte(e.Key()), Value: avro.AppendEngagement(nil, s.ids[schema.BrazeEngagements], &e)}
}

func (s *scene) produce(records ...*stream.Record) {
	s.t.Helper()
	if err := s.producer.ProduceAll(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
}

// clicks are n events of some customers, in the order in which each customer's are produced.
func (s *scene) clicks(n, users int) (records []*stream.Record, ids []string, byUser map[string][]string) {
	byUser = map[string][]string{}
	for i := range n {
		user, id := fmt.Sprintf("u%d", i%users), fmt.Sprintf("e%06d", i)
		records, ids = append(records, s.engagement(id, user, "users.messages.email.Click")), append(ids, id)
		byUser[user] = append(byUser[user], id)
	}
	return records, ids, byUser
}

// letters reads the dead letters, once there are so many.
func (s *scene) letters(n int) []deadletter.Letter {
	s.t.Helper()
	deadline := time.After(60 * time.Second)
	decoder := deadletter.NewDecoder(s.source)
	for {
		var list []deadletter.Letter
		err := stream.Read(s.t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.DeadLetters(currentsfanout.Name))}, func(r *stream.Record) error {
			l, err := decoder.Decode(s.t.Context(), r.Value)
			list = append(list, l)
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(list) >= n {
			return list
		}
		select {
		case <-deadline:
			s.t.Fatalf("there are %d dead letters, want %d", len(list), n)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pause says of a sink whether it is paused.
func (s *scene) pause(name string, paused bool) {
	s.t.Helper()
	s.produce(&stream.Record{Topic: s.config.Kafka.Topic(schema.State(currentsfanout.Name)), Key: []byte(name), Value: fmt.Appendf(nil, `{"paused":%t,"since":"2026-01-01T00:00:00Z","by":"test","why":"to see"}`, paused)})
}

func sorted(ids []string) []string { return slices.Sorted(slices.Values(ids)) }
