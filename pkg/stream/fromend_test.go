package stream_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// hearer settles whatever comes and tells of it.
type hearer struct {
	parts chan int
	heard chan string
}

func (h hearer) Assigned(_ context.Context, parts []*stream.Partition) error {
	h.parts <- len(parts)
	return nil
}

func (h hearer) Take(_ context.Context, lent []stream.Delivery) error {
	for _, d := range lent {
		h.heard <- string(d.Value())
		d.Settle(ledger.NoReceipt)
	}
	return nil
}

func (hearer) Revoked(context.Context, []*stream.Partition) {}

// TestAGroupThatBeginsAtTheEndReadsPartitionsThatAreAddedFromTheirBeginning: what stands in them came after the group.
func TestAGroupThatBeginsAtTheEndReadsPartitionsThatAreAddedFromTheirBeginning(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	dial := func() *kgo.Client {
		t.Helper()
		client, err := kgo.NewClient(kgo.SeedBrokers(broker.Brokers()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	asks := dial()
	defer asks.Close()
	admin := kadm.NewClient(asks)
	if _, err := admin.CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	produce := func(word string, partitions int) {
		t.Helper()
		client := dial() // one that knows all partitions there are now
		defer client.Close()
		for n := range partitions {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: int32(n), Value: fmt.Appendf(nil, "%s %d", word, n)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// hear runs a member until it has heard so much and a moment longer, and what happens once it has its partitions.
	hear := func(n, partitions int, then func()) (heard []string) {
		t.Helper()
		h := hearer{make(chan int, 10), make(chan string, 100)}
		k, err := stream.NewConsumer(stream.Config{Brokers: broker.Brokers()}, stream.ConsumerOptions{
			Group: "g", Topics: []string{"t"}, FromEnd: true, CommitEvery: 10 * time.Millisecond, Log: zerolog.Nop(),
		}, h)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		if got := <-h.parts; got != partitions {
			t.Fatalf("%d partitions were assigned", got)
		}
		deadline := time.After(20 * time.Second)
		for committed := 0; committed < partitions; { // its first positions
			offsets, err := admin.FetchOffsets(t.Context(), "g")
			if err != nil {
				t.Fatal(err)
			}
			committed = len(offsets["t"])
			select {
			case <-deadline:
				t.Fatal("it commits nothing")
			case <-time.After(5 * time.Millisecond):
			}
		}
		then()
		quiet := 300 * time.Millisecond
		for more := true; more; {
			wait := quiet
			if len(heard) < n {
				wait = 10 * time.Second
			}
			select {
			case word := <-h.heard:
				heard = append(heard, word)
			case <-time.After(wait):
				more = false
			}
		}
		stop()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		slices.Sort(heard)
		return heard
	}
	for _, step := range []struct {
		of     int
		before string // produced to all partitions before it starts
		want   []string
	}{
		{2, "old", []string{"live 0", "live 1"}},
		{3, "later", []string{"later 0", "later 1", "later 2", "live 0", "live 1", "live 2"}},
		{5, "last", []string{"last 0", "last 1", "last 2", "last 3", "last 4", "live 0", "live 1", "live 2", "live 3", "live 4"}},
	} {
		if now, err := admin.ListTopics(t.Context(), "t"); err != nil {
			t.Fatal(err)
		} else if add := step.of - len(now["t"].Partitions); add > 0 {
			if added, err := admin.CreatePartitions(t.Context(), add, "t"); err != nil || added.Error() != nil {
				t.Fatal(err, added.Error())
			}
		}
		produce(step.before, step.of)
		got := hear(len(step.want), step.of, func() { produce("live", step.of) })
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("of %d partitions (-want +got):\n%s", step.of, diff)
		}
	}
}
