package currentsfanout

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// failingLetters takes no letter before it is told to.
type failingLetters struct {
	asked atomic.Int64
	well  atomic.Bool
	taken chan letter
}

func (f *failingLetters) Write(_ context.Context, l letter, done func(error)) {
	f.asked.Add(1)
	if !f.well.Load() {
		go done(errors.New("the topic has gone"))
		return
	}
	f.taken <- l
	go done(nil)
}

type noSink struct{}

func (noSink) Write(context.Context, []*sink.Event) sink.Answer { return sink.Delivered() }
func (noSink) Close() error                                     { return nil }

// TestARecordWhoseDeadLetterIsNotDurableIsReadAgain: before that nothing is committed.
func TestARecordWhoseDeadLetterIsNotDurableIsReadAgain(t *testing.T) {
	t.Parallel()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	kafka := stream.Config{Brokers: broker.Brokers(), SessionTimeout: 6 * time.Second}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	topic := kafka.Topic(schema.BrazeEngagements)
	for _, name := range []string{topic, kafka.Topic(schema.Retries(Name))} {
		if err := admin.CreateTopic(t.Context(), name, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.ProduceAll(t.Context(), &stream.Record{Topic: topic, Key: []byte("ann"), Value: []byte("no Avro")}); err != nil {
		t.Fatal(err)
	}
	c := SinkConfig{Name: "one", Topics: []string{schema.BrazeEngagements}, Start: "earliest", Concurrency: 1, FailureBudget: time.Hour, Batch: Batch{Events: 10, Bytes: 1 << 20, Linger: time.Millisecond}}
	r := newRunner(c, Config{Kafka: kafka, Fanout: Options{Drain: time.Second, WriteTimeout: time.Minute, CommitEvery: 10 * time.Millisecond}}, 1<<20, noSink{}, zerolog.Nop())
	letters := &failingLetters{taken: make(chan letter, 10)}
	r.letters, r.health, r.metrics = letters, &daemon.Health{}, newMetrics(prometheus.NewRegistry()).of("one")
	r.feeds = newFeeds(kafka, avro.Source(nil))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); r.run(ctx) }()
	defer func() { stop(); <-done }()
	committed := func() int64 {
		all, err := admin.Committed(t.Context(), kafka.Group(Group("one")))
		if err != nil {
			t.Fatal(err)
		}
		return all[topic][0]
	}
	deadline := time.After(30 * time.Second)
	await := func(what string, cond func() bool) {
		t.Helper()
		for !cond() {
			select {
			case <-deadline:
				t.Fatalf("waiting for %s", what)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
	await("the record to be read again", func() bool { return letters.asked.Load() >= 2 })
	if at := committed(); at != 0 {
		t.Errorf("%d is committed without a letter", at)
	}
	letters.well.Store(true)
	await("the commit", func() bool { return committed() == 1 })
	if l := <-letters.taken; l.OriginOffset != 0 || l.OriginTopic != topic {
		t.Errorf("the letter is of %s at %d", l.OriginTopic, l.OriginOffset)
	}
}
