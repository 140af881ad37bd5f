package embedded_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// end is the offset after the last record of partition 0.
func end(t *testing.T, b *embedded.Broker, topic string) int64 {
	t.Helper()
	ends, err := kadm.NewClient(dial(t, b)).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := ends.Lookup(topic, 0)
	return o.Offset
}

func TestARefusedProduceWritesNothing(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	once := dial(t, b, kgo.RecordRetries(0), kgo.DisableIdempotentWrite())
	b.RefuseProduce(1)
	err := once.ProduceSync(t.Context(), &kgo.Record{Topic: "orders"}).FirstErr()
	if !errors.Is(err, kerr.NotEnoughReplicas) && !errors.Is(err, kgo.ErrRecordRetries) {
		t.Errorf("got error %v, want %v", err, kerr.NotEnoughReplicas)
	}
	if got := end(t, b, "orders"); got != 0 {
		t.Errorf("got %d records, want none", got)
	}

	undo := b.RefuseProduce(-1)
	undo()
	b.RefuseProduce(0)
	produce(t, once, "orders", "a")
	b.RefuseProduce(3)
	produce(t, dial(t, b), "orders", "b") // which tries again until it is taken
	if got := end(t, b, "orders"); got != 2 {
		t.Errorf("got %d records, want 2", got)
	}
}

func TestALostProduceAnswerDoublesOnlyWithoutIdempotence(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []kgo.Opt
		want int64
	}{
		{name: "an idempotent producer is not doubled", want: 1},
		{name: "another is", opts: []kgo.Opt{kgo.DisableIdempotentWrite()}, want: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, embedded.Config{})
			create(t, b, 1, "orders")
			b.LoseProduceAnswers(1)
			produce(t, dial(t, b, tt.opts...), "orders", "a")
			if got := end(t, b, "orders"); got != tt.want {
				t.Errorf("got %d records, want %d", got, tt.want)
			}
		})
	}
}

func TestARefusedCommitKeepsNoOffset(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	undo := b.RefuseCommits(-1)
	admin := kadm.NewClient(dial(t, b, kgo.RequestRetries(0)))
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: "orders", Partition: 0, At: 7})
	commit := func() error {
		committed, err := admin.CommitOffsets(t.Context(), "readers", offsets)
		return errors.Join(err, committed.Error())
	}
	if err := commit(); !errors.Is(err, kerr.CoordinatorLoadInProgress) {
		t.Errorf("got error %v, want %v", err, kerr.CoordinatorLoadInProgress)
	}
	undo()
	if kept, err := admin.FetchOffsets(t.Context(), "readers"); err != nil && !errors.Is(err, kerr.GroupIDNotFound) || len(kept.Offsets()["orders"]) != 0 {
		t.Errorf("kept %v, error %v; want nothing", kept, err)
	}
	if err := commit(); err != nil {
		t.Error(err)
	}
}

func TestDroppedConnectionsAreMadeAnew(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	cl := dial(t, b)
	produce(t, cl, "orders", "a")
	if got := b.DropConnections(); got == 0 {
		t.Error("no connection was dropped")
	}
	produce(t, cl, "orders", "b")
	reader := dial(t, b, kgo.ConsumeTopics("orders"))
	if diff := cmp.Diff([]string{"a", "b"}, read(t, reader, 2)); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestAFrozenBrokerIsSilentUntilItThaws(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	cl := dial(t, b)
	produce(t, cl, "orders", "a")
	thaw, also := b.Freeze(), b.Freeze()

	done := make(chan error, 1)
	cl.Produce(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("b")}, func(_ *kgo.Record, err error) { done <- err })
	quiet := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		select {
		case err := <-done:
			t.Fatalf("a frozen broker answered: %v", err)
		case <-ctx.Done():
		}
	}
	quiet()
	also()
	also() // counts once
	quiet()
	thaw()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := end(t, b, "orders"); got != 2 {
		t.Errorf("got %d records, want 2", got)
	}
}

func TestAFrozenBrokerCanBeClosed(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	cl := dial(t, b)
	produce(t, cl, "orders", "a")
	b.Freeze()
	cl.Produce(t.Context(), &kgo.Record{Topic: "orders"}, nil)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
