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

// away is a Kafka that takes no letter any more: Write waits for it, as it does once there is no room for more.
type away struct{ asked chan struct{} }

func (a away) Write(ctx context.Context, _ letter, done func(error)) {
	a.asked <- struct{}{}
	<-ctx.Done()
	done(context.Cause(ctx))
}

// unreadable is a sink that reads one record, which it has to refuse.
type unreadable struct {
	t      *testing.T
	broker *embedded.Broker
	runner *runner
	admin  *stream.Admin
	topic  string
}

func newUnreadable(t *testing.T, letters letterWriter, drain time.Duration) *unreadable {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	kafka := stream.Config{Brokers: broker.Brokers(), SessionTimeout: 6 * time.Second}
	u := &unreadable{t: t, broker: broker, topic: kafka.Topic(schema.BrazeEngagements)}
	if u.admin, err = stream.NewAdmin(kafka); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.admin.Close)
	for _, name := range []string{u.topic, kafka.Topic(schema.Retries(Name))} {
		if err := u.admin.CreateTopic(t.Context(), name, 1, nil); err != nil {
			t.Fatal(err)
		}
	}
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.ProduceAll(t.Context(), &stream.Record{Topic: u.topic, Key: []byte("ann"), Value: []byte("no Avro")}); err != nil {
		t.Fatal(err)
	}
	c := SinkConfig{Name: "one", Topics: []string{schema.BrazeEngagements}, Start: "earliest", Concurrency: 1, FailureBudget: time.Hour, Batch: Batch{Events: 10, Bytes: 1 << 20, Linger: time.Millisecond}}
	u.runner = newRunner(c, Config{Kafka: kafka, Fanout: Options{Drain: drain, WriteTimeout: time.Minute, CommitEvery: 10 * time.Millisecond}}, 1<<20, noSink{}, zerolog.Nop())
	u.runner.letters, u.runner.health, u.runner.metrics = letters, &daemon.Health{}, newMetrics(prometheus.NewRegistry()).of("one")
	u.runner.feeds = newFeeds(kafka, avro.Source(nil))
	return u
}

func (u *unreadable) committed() int64 {
	u.t.Helper()
	all, err := u.admin.Committed(u.t.Context(), u.runner.service.Kafka.Group(Group("one")))
	if err != nil {
		u.t.Fatal(err)
	}
	return all[u.topic][0]
}

// TestARecordWhoseDeadLetterIsNotDurableIsReadAgain: before that nothing is committed.
func TestARecordWhoseDeadLetterIsNotDurableIsReadAgain(t *testing.T) {
	t.Parallel()
	letters := &failingLetters{taken: make(chan letter, 10)}
	u := newUnreadable(t, letters, time.Second)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); u.runner.run(ctx) }()
	defer func() { stop(); <-done }()
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
	if at := u.committed(); at != 0 {
		t.Errorf("%d is committed without a letter", at)
	}
	letters.well.Store(true)
	await("the commit", func() bool { return u.committed() == 1 })
	if l := <-letters.taken; l.OriginOffset != 0 || l.OriginTopic != u.topic {
		t.Errorf("the letter is of %s at %d", l.OriginTopic, l.OriginOffset)
	}
}

// TestADeadLetterThatCannotBeWrittenDoesNotKeepTheProcess: told to stop, it gives the record back uncommitted.
func TestADeadLetterThatCannotBeWrittenDoesNotKeepTheProcess(t *testing.T) {
	t.Parallel()
	letters := away{make(chan struct{}, 10)}
	u := newUnreadable(t, letters, 100*time.Millisecond)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); u.runner.run(ctx) }()
	<-letters.asked
	stop()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	if at := u.committed(); at != 0 {
		t.Errorf("%d is committed without a letter", at)
	}
	if held := u.runner.held.Load(); held != 0 {
		t.Errorf("%d records are held after the end", held)
	}
}
