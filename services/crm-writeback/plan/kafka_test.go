package plan_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/crm-writeback/plan"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

const file = `
targets:
  - name: crm
    kind: salesforce
    self: ["0055e00000Demo3AAC"]
    salesforce: {url: "https://example.invalid", auth: {client_id: id, client_secret: secret}}
    objects:
      - object: Contact
        key: {field: Braze_External_Id__c, from: .user.external_id}
        fields:
          - {field: FirstName, attribute: first_name}
          - {field: HasOptedOutOfEmail, attribute: email_subscribe, type: boolean, to_braze: 'if . then "unsubscribed" else "subscribed" end'}
rules:
  - name: form
    on: actions
    names: [form]
    target: crm
    object: Contact
    set: '{FirstName: .payload.first_name}'
  - name: unsubscribe
    on: engagements
    types: [users.messages.email.Unsubscribe]
    target: crm
    object: Contact
    set: '{HasOptedOutOfEmail: true}'
`

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

// TestPlannerOnKafka plans a customer's edits and a colleague's, with a planner that is replaced by one without a disk in
// between: what is known is in Kafka.
func TestPlannerOnKafka(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		roundTrip(t, newScene(t, ownKafka))
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		roundTrip(t, newScene(t, kafkatest.Brokers(t)))
	})
}

func roundTrip(t *testing.T, s *scene) {
	ann, now := event.User{ExternalID: "ann"}, time.Now().UTC().Truncate(time.Millisecond)
	stop := s.start()
	s.produce(&stream.Record{Topic: schema.BrazeActions, Key: []byte("ann"), Value: avro.AppendAction(nil, s.ids[schema.BrazeActions], &event.Action{
		ID: "a1", User: ann, Name: "form", OccurredAt: now, ReceivedAt: now, ContentType: "application/json", JSON: []byte(`{"first_name":"Mira"}`),
	})})
	first := s.rows(1)[0]
	stop()
	stop = s.start()
	s.produce(&stream.Record{Topic: schema.CRMDeliveries, Key: []byte("ann"), Value: (&crm.Delivery{
		WriteID: first.ID, UserID: "ann", Target: "crm", Object: "Contact", Key: "ann", CRMID: "003A", Mode: first.Mode, Fields: first.Fields,
		Outcome: outcome.Outcome{Kind: outcome.Delivered}, Attempts: 1, EditedAt: now, SettledAt: now.Add(time.Second),
	}).Append(nil, s.ids[schema.CRMDeliveries])})
	change := func(id, actor, fields string, at time.Time) *stream.Record { // it names its object alone
		c := &event.Change{
			ID: id, Kind: event.Changed, System: "crm", Object: "Contact", ObjectID: "003A", Changes: []byte(fields), Actor: actor,
			OccurredAt: at, ReceivedAt: at.Add(time.Second), Source: "test",
		}
		return &stream.Record{Topic: schema.CRMChanges, Key: []byte(c.Key()), Value: avro.AppendChange(nil, s.ids[schema.CRMChanges], c)}
	}
	s.produce(change("c1", "0055e00000Demo3AAC", `{"FirstName":"Mira"}`, now.Add(time.Second)))
	s.rows(2)
	s.produce(change("c2", "0055e00000Someone", `{"FirstName":"Myra","HasOptedOutOfEmail":"true"}`, now.Add(time.Minute)))
	s.rows(3)
	s.produce(&stream.Record{Topic: schema.BrazeEngagements, Key: []byte("ann"), Value: avro.AppendEngagement(nil, s.ids[schema.BrazeEngagements], &event.Engagement{
		ID: "e1", User: ann, Type: "users.messages.email.Unsubscribe", OccurredAt: now.Add(2 * time.Minute), ReceivedAt: now, JSON: []byte(`{"id":"e1"}`),
	})})
	rows := s.rows(4)
	stop()
	var got []string
	for _, w := range rows {
		line := w.Target + " " + w.User.Key() + " " + strings.TrimPrefix(w.Cause.Topic, s.kafka.TopicPrefix) + " " + w.Cause.EventID + " " + string(w.Fields)
		if w.Settled != nil {
			line += " " + w.Settled.Outcome + " " + w.Settled.Reason
		}
		got = append(got, line)
	}
	want := []string{
		`crm ann braze.actions a1 {"FirstName":"Mira"}`,
		`braze ann crm.changes c1 {"FirstName":"Mira"} skipped echo`,
		`braze ann crm.changes c2 {"first_name":"Myra","email_subscribe":"unsubscribed"}`,
		`crm ann braze.engagements e1 {"HasOptedOutOfEmail":true} skipped unchanged`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// scene is a test's own topics, and the planners that come and go.
type scene struct {
	t        *testing.T
	kafka    stream.Config
	ids      topics.IDs
	source   avro.Source
	producer *stream.Producer
}

func newScene(t *testing.T, brokers []string) *scene {
	t.Helper()
	s := &scene{t: t, kafka: stream.Config{
		Brokers: brokers, TopicPrefix: "plan-" + strings.ToLower(rand.Text()[:8]) + ".", SessionTimeout: 6 * time.Second,
		Compression: "lz4", CreateTopics: true, Partitions: 3, ReplicationFactor: -1,
	}}
	reg, err := registry.New(registry.Config{URL: registryURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	s.source = avro.FromRegistry(reg)
	if s.ids, err = topics.Prepare(t.Context(), s.kafka, reg, plan.Topics()...); err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// start runs a planner with an empty disk until it is stopped.
func (s *scene) start() (stop func()) {
	s.t.Helper()
	log := zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.WarnLevel)
	set, err := rules.Parse([]byte(file), func(string) (string, bool) { return "", false })
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := plan.New(plan.Options{Rules: set, Kafka: s.kafka, Source: s.source, IDs: s.ids, Log: log, Metrics: prometheus.NewRegistry()})
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := table.OpenStore(table.StoreOptions{Dir: s.t.TempDir(), Temporary: true, Log: log})
	if err != nil {
		s.t.Fatal(err)
	}
	o := p.Processor()
	o.Linger = 10 * time.Millisecond
	processor, err := table.NewProcessor(s.kafka, store, o, p)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- processor.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("the planner ends with %v", err)
		}
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	}
	s.t.Cleanup(stop)
	return stop
}

func (s *scene) produce(r *stream.Record) {
	s.t.Helper()
	r.Topic = s.kafka.Topic(r.Topic)
	if err := s.producer.ProduceAll(s.t.Context(), r); err != nil {
		s.t.Fatal(err)
	}
}

// rows reads what is planned, once there is so much. It is all one user's, and so in order.
func (s *scene) rows(n int) (list []crm.Write) {
	s.t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		list = nil
		err := stream.Read(s.t.Context(), s.kafka, stream.Range{Topic: s.kafka.Topic(schema.Writes(plan.Name))}, func(r *stream.Record) error {
			w, err := crm.ReadWrite(r.Value)
			list = append(list, w)
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
			s.t.Fatalf("waiting for %d rows: %v", n, list)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
