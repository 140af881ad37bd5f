package crmwriteback_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// The embedded broker and registry of all tests here; each test has topics of its own.
var (
	brokers     []string
	registryURL string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	if text := os.Getenv(childEnv); text != "" {
		return runChild(ctx, text)
	}
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

// scene is a test's own topics, the far ends of its targets, and the services that come and go.
type scene struct {
	t        testing.TB
	config   crmwriteback.Config
	systems  []crmwriteback.System
	ends     map[string]*end
	producer *stream.Producer
	source   avro.Source
	ids      topics.IDs
	produced int // rows that are for a target each
}

const partitions = 3

func newScene(t testing.TB, names ...string) *scene {
	t.Helper()
	s := &scene{t: t, ends: map[string]*end{}}
	s.config = crmwriteback.Config{
		Kafka: stream.Config{
			Brokers: brokers, TopicPrefix: "cw-" + strings.ToLower(rand.Text()[:8]) + ".", SessionTimeout: 6 * time.Second,
			Compression: "none", CreateTopics: true, Partitions: partitions, ReplicationFactor: -1,
		},
		Registry: registry.Config{URL: registryURL},
		Writeback: crmwriteback.Options{
			RowPatience: time.Hour, CallTimeout: time.Minute, Drain: 3 * time.Second, CommitEvery: 20 * time.Millisecond,
		},
	}
	for _, name := range names {
		e := newEnd()
		s.ends[name] = e
		s.systems = append(s.systems, crmwriteback.System{
			Name: name, Kind: "fake", Linger: 50 * time.Millisecond, Memory: 32 << 20, Concurrency: 2, FailureBudget: 72 * time.Hour,
			Open: func(context.Context, target.Deps) (target.Target, error) { return e, nil },
		})
	}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	s.source = avro.FromRegistry(reg)
	s.ids, err = topics.Prepare(t.Context(), s.config.Kafka, reg, schema.CustomerProfiles, schema.CRMDeliveries,
		schema.Writes(crmwriteback.Name), schema.DeadLetters(crmwriteback.Name))
	if err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.config.Kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// replica is a running service.
type replica struct {
	t       testing.TB
	service *crmwriteback.Service
	metrics *prometheus.Registry
	health  *daemon.Health
	stop    func()
}

func (s *scene) start() *replica {
	s.t.Helper()
	return s.serve(func(ctx context.Context, p *daemon.Process) (*crmwriteback.Service, error) {
		return crmwriteback.OpenWriters(ctx, s.config, s.systems, p)
	})
}

// serve runs a service until it is stopped, or the test ends.
func (s *scene) serve(open func(context.Context, *daemon.Process) (*crmwriteback.Service, error)) *replica {
	s.t.Helper()
	r := &replica{t: s.t, metrics: prometheus.NewRegistry(), health: &daemon.Health{}}
	ctx, cancel := context.WithCancel(s.t.Context())
	log := zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.Disabled)
	if testing.Verbose() {
		log = log.Level(zerolog.InfoLevel)
	}
	var err error
	if r.service, err = open(ctx, &daemon.Process{Name: crmwriteback.Name, Log: log, Metrics: r.metrics, Health: r.health}); err != nil {
		cancel()
		s.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- r.service.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the service ends with %v", err)
		}
	})
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
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// settled waits until so many rows of a target have come to an end here.
func (r *replica) settled(name string, n int) {
	r.t.Helper()
	r.await(fmt.Sprintf("%d rows of %s", n, name), func() bool {
		_, ended := r.law(name)
		sum := 0
		for what, n := range ended {
			if what != "held" && what != "returned" {
				sum += n
			}
		}
		return sum >= n
	})
}

func (r *replica) stats(name string) crmwriteback.TargetStats {
	r.t.Helper()
	for _, s := range r.service.Stats() {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("there is no target %s", name)
	return crmwriteback.TargetStats{}
}

// law states the law of a target: what it has accepted, and what became of it, by outcome and reason.
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
			if labels["target"] != name {
				continue
			}
			switch f.GetName() {
			case "sluice_writeback_accepted_total":
				accepted = int(m.GetCounter().GetValue())
			case "sluice_writeback_records_total":
				ended[strings.TrimSpace(labels["outcome"]+" "+labels["reason"])] += int(m.GetCounter().GetValue())
			case "sluice_writeback_returned_total":
				if n := int(m.GetCounter().GetValue()); n > 0 {
					ended["returned"] = n
				}
			case "sluice_writeback_held":
				if n := int(m.GetGauge().GetValue()); n > 0 {
					ended["held"] = n
				}
			}
		}
	}
	return accepted, ended
}

// holds fails the test where the law does not hold of a target that rests.
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

// row is a write of fields of one object for a user.
func row(name, id, key, fields string) crm.Write {
	return crm.Write{
		ID: id, Target: name, Rule: "preferences", Object: "Contact", KeyField: "Ext", Key: key, Mode: crm.Upsert,
		Fields: []byte(fields), User: event.User{ExternalID: key}, EditedAt: time.Date(2026, 3, 2, 9, 15, 4, 0, time.UTC),
		Cause: crm.Cause{Topic: schema.BrazeActions, Partition: 1, Offset: 7, EventID: "e-" + id},
	}
}

// write puts rows onto their topic, each in its user's partition.
func (s *scene) write(rows ...crm.Write) {
	s.t.Helper()
	records := make([]*stream.Record, len(rows))
	for i := range rows {
		value, err := rows[i].Append(nil)
		if err != nil {
			s.t.Fatal(err)
		}
		records[i] = &stream.Record{Topic: s.config.Kafka.Topic(schema.Writes(crmwriteback.Name)), Key: []byte(rows[i].User.Key()), Value: value}
	}
	if err := s.producer.ProduceAll(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
	s.produced += len(rows)
}

// deliveries reads the deliveries, in order of each partition.
func (s *scene) deliveries() (list []crm.Delivery) {
	s.t.Helper()
	err := stream.Read(s.t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.CRMDeliveries)}, func(r *stream.Record) error {
		d, err := crm.ReadDelivery(slices.Clone(r.Value))
		list = append(list, d)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// once fails the test unless every row that was written has exactly one delivery; it returns these by the row's id.
func (s *scene) once() map[string]crm.Delivery {
	s.t.Helper()
	byID := map[string]crm.Delivery{}
	for _, d := range s.deliveries() {
		if earlier, twice := byID[d.WriteID]; twice {
			s.t.Errorf("the row %s has two deliveries: %v and %v", d.WriteID, earlier.Outcome, d.Outcome)
		}
		byID[d.WriteID] = d
	}
	if len(byID) != s.produced {
		s.t.Errorf("%d rows have deliveries of the %d there are", len(byID), s.produced)
	}
	return byID
}

// letters reads the dead letters, by event id.
func (s *scene) letters() (list []deadletter.Letter) {
	s.t.Helper()
	decoder := deadletter.NewDecoder(s.source)
	err := stream.Read(s.t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.DeadLetters(crmwriteback.Name))}, func(r *stream.Record) error {
		l, err := decoder.Decode(s.t.Context(), slices.Clone(r.Value))
		list = append(list, l)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b deadletter.Letter) int { return cmp.Compare(a.EventID, b.EventID) })
	return list
}
