package table

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// TestWhatComesWhileACopyIsLookedAtAgainIsNotLeftOut: the follower goes on while nobody takes what it reads.
func TestWhatComesWhileACopyIsLookedAtAgainIsNotLeftOut(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	kafka := stream.Config{Brokers: broker.Brokers(), Compression: "lz4"}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(t.Context(), "again", 1, map[string]string{"retention.ms": "-1"}); err != nil {
		t.Fatal(err)
	}
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	produce := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			if err := producer.ProduceAll(t.Context(), &stream.Record{Topic: "again", Key: []byte(key)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	store, err := OpenStore(StoreOptions{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r, err := OpenRepeats(kafka, store, RepeatsOptions{
		Topic: "again", Window: time.Hour, Log: zerolog.Nop(),
		Key: func(_ context.Context, r *stream.Record) ([]byte, bool, error) { return r.Key, true, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ask := func(offset int64) bool {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			moved := r.Moved()
			if repeat, known := r.Repeat(0, offset); known {
				return repeat
			}
			select {
			case <-moved:
			case <-deadline:
				t.Fatalf("nobody knows of %d: %+v", offset, r.Stats())
			}
		}
	}
	produce("a", "b")
	r.Hold(0, 0)
	ask(1)

	r.mu.Lock()
	old := r.parts[0]
	r.mu.Unlock()
	old.scan.Lock() // the next part waits for it
	r.stumbled(old, errors.New("a bit cannot be read"))
	produce("a", "c")
	read := func() int64 {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.seen[0]
	}
	for deadline := time.After(20 * time.Second); read() < 4; {
		select {
		case <-deadline:
			t.Fatal("what the follower reads while nobody takes it is not known to be read")
		case <-time.After(5 * time.Millisecond):
		}
	}
	old.scan.Unlock()
	produce("c", "d")
	for offset, want := range []bool{false, false, true, false, true, false} {
		if got := ask(int64(offset)); got != want {
			t.Errorf("%d repeats: %v, want %v", offset, got, want)
		}
	}
}
