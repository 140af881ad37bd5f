package watch_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/schemas"
	"github.com/sluicehq/sluice/services/currents-fanout/watch"
)

// oneSchema is a registry with nothing but the newest schema of braze.engagements.
type oneSchema struct{}

func (oneSchema) SchemaByID(context.Context, int) (string, error) {
	return schemas.Latest(schema.BrazeEngagements), nil
}

// replica is a Watch that runs, with what it has logged.
type replica struct {
	*watch.Watch
	registry *prometheus.Registry
	stop     func()
	logged   lines
}

type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func startReplica(t *testing.T, kafka stream.Config) *replica {
	t.Helper()
	r := &replica{registry: prometheus.NewRegistry()}
	r.Watch = watch.Open(watch.Options{
		Config: watch.Config{CampaignMetrics: 5}, Kafka: kafka, Schemas: oneSchema{}, Metrics: r.registry, Log: zerolog.New(&r.logged),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// values are the samples of a metric family, by their labels.
func (r *replica) values(t *testing.T, family string) map[string]float64 {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			all[strings.Join(labels, " ")] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func await(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(60 * time.Second); !met(); {
		select {
		case <-timeout:
			t.Fatal("waited in vain until " + what)
		case <-tick.C:
		}
	}
}

// history writes a day of a connector that still speaks but has lost a type, of one that fell silent two hours
// ago, of one that did so three days ago, and a record that is no event.
func history(t *testing.T, kafka stream.Config, now time.Time) {
	t.Helper()
	topic := kafka.Topic(schema.BrazeEngagements)
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	n := 0
	add := func(workspace, kind string, from, to time.Time, gap time.Duration) {
		for at := from; at.Before(to); at = at.Add(gap) {
			n++
			e := event.Engagement{
				ID: fmt.Sprint(n), User: event.User{ExternalID: fmt.Sprint("cus-", n%50)}, Type: kind, Workspace: workspace, CampaignID: "spring",
				OccurredAt: at, ReceivedAt: at, JSON: []byte(`{"properties":{}}`),
			}
			for range 1 + n%2 { // every other one twice
				r := stream.Record{Topic: topic, Key: []byte(e.Key()), Value: avro.AppendEngagement(nil, 7, &e), Timestamp: at}
				producer.Produce(t.Context(), &r, func(_ *stream.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	const send, open = "users.messages.email.Send", "users.messages.email.Open"
	day := now.Add(-24 * time.Hour)
	add("long-gone", send, now.Add(-80*time.Hour), now.Add(-72*time.Hour), 10*time.Minute)
	add("shop", send, day, now, 5*time.Minute)
	add("shop", open, now.Add(-26*time.Hour-time.Minute), now.Add(-90*time.Minute), 2*time.Minute)
	add("bank", send, day, now.Add(-2*time.Hour), 5*time.Minute)
	producer.Produce(t.Context(), &stream.Record{Topic: topic, Value: []byte("no event"), Timestamp: now}, func(_ *stream.Record, err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if err := producer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOneReplicaWatchesAndAnotherTakesOver(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	kafka := stream.Config{
		Brokers: broker.Brokers(), TopicPrefix: "w.", Compression: "none", SessionTimeout: 6 * time.Second, Partitions: 3, ReplicationFactor: -1,
	}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(t.Context(), kafka.Topic(schema.BrazeEngagements), 3, nil); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	history(t, kafka, now)

	replicas := []*replica{startReplica(t, kafka), startReplica(t, kafka)}
	watching := func() (found []*replica) {
		for _, r := range replicas {
			if _, ok := r.Snapshot(); ok {
				found = append(found, r)
			}
		}
		return found
	}
	want := map[string]float64{
		"event_type= kind=connector_silent workspace=bank":                     1,
		"event_type= kind=connector_silent workspace=long-gone":                1,
		"event_type=users.messages.email.Open kind=type_silent workspace=shop": 1,
	}
	for turn := range 2 {
		await(t, "a replica watches", func() bool { return len(watching()) == 1 })
		owner := watching()[0]
		if diff := cmp.Diff(want, owner.values(t, "sluice_fanout_watch_alarm")); diff != "" {
			t.Errorf("turn %d: %s", turn, diff)
		}
		left := owner.values(t, "sluice_fanout_watch_cutoff_seconds_left")
		if got := left["workspace=bank"]; got > 119*3600 || got < 117*3600 {
			t.Errorf("bank has %.0f s left, want five days less two hours", got)
		}
		if got := left["workspace=long-gone"]; got > 48*3600 || got < 41*3600 {
			t.Errorf("long-gone has %.0f s left, want two days less six hours at most", got)
		}
		s, _ := owner.Snapshot()
		var events uint64
		for _, typ := range s.Types {
			events += typ.Events
		}
		if want := uint64(288 + 264 + 25*30 - 45); events != want || s.Repeats == 0 {
			t.Errorf("%d events and %d repeats, want %d", events, s.Repeats, want)
		}
		if n := owner.values(t, "sluice_fanout_watch_unreadable_total")[""]; n != 1 {
			t.Errorf("%v records are unreadable, want 1", n)
		}
		if n := strings.Count(owner.logged.String(), `"alarm"`); n != 3 {
			t.Errorf("%d lines about alarms:\n%s", n, &owner.logged)
		}
		for _, other := range replicas {
			if other != owner && len(other.values(t, "sluice_fanout_watch_watching")) > 0 {
				t.Error("another replica says that it watches")
			}
		}
		if turn == 1 { // what comes now is counted too
			producer, err := stream.NewProducer(kafka, stream.ProducerOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer producer.Close()
			e := event.Engagement{ID: "new", Type: "users.messages.sms.Send", Workspace: "shop", OccurredAt: now, ReceivedAt: now, JSON: []byte("{}")}
			r := stream.Record{Topic: kafka.Topic(schema.BrazeEngagements), Key: []byte("k"), Value: avro.AppendEngagement(nil, 7, &e)}
			if err := producer.ProduceAll(t.Context(), &r); err != nil {
				t.Fatal(err)
			}
			await(t, "the new event is counted", func() bool {
				s, _ := owner.Snapshot()
				return len(s.Types) == 4
			})
		}
		owner.stop()
	}
}
