package table_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/table"
)

// repeatsScene is a topic of two partitions, what stands on it, and a local copy that outlives whoever reads it.
type repeatsScene struct {
	t        *testing.T
	kafka    stream.Config
	topic    string
	producer *stream.Producer
	dir      string
	window   time.Duration
	written  [2][]*stream.Record
}

func newRepeatsScene(t *testing.T, window time.Duration) *repeatsScene {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	s := &repeatsScene{t: t, kafka: stream.Config{Brokers: broker.Brokers(), Compression: "lz4"}, topic: "events", dir: t.TempDir(), window: window}
	admin, err := stream.NewAdmin(s.kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(t.Context(), s.topic, 2, map[string]string{"retention.ms": "-1"}); err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.kafka, stream.ProducerOptions{ByPartition: []string{s.topic}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

func (s *repeatsScene) produce(records ...*stream.Record) {
	s.t.Helper()
	for _, r := range records {
		r.Topic = s.topic
		s.written[r.Partition] = append(s.written[r.Partition], r)
	}
	if err := s.producer.ProduceAll(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
}

// open is a start of a process.
func (s *repeatsScene) open() (*table.Repeats, func()) {
	s.t.Helper()
	store, err := table.OpenStore(table.StoreOptions{Dir: s.dir, Log: zerolog.Nop()})
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := table.OpenRepeats(s.kafka, store, table.RepeatsOptions{
		Topic: s.topic, Window: s.window, Log: zerolog.Nop(),
		Key: func(_ context.Context, r *stream.Record) ([]byte, bool, error) { return r.Key, len(r.Key) > 0, nil },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return r, func() {
		r.Close()
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	}
}

// ask waits until it is known whether a record repeats another.
func (s *repeatsScene) ask(r *table.Repeats, partition int32, offset int64) bool {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		moved := r.Moved()
		if repeat, known := r.Repeat(partition, offset); known {
			return repeat
		}
		select {
		case <-moved:
		case <-deadline:
			s.t.Fatalf("nobody knows whether %d/%d is a repeat: %+v", partition, offset, r.Stats())
		}
	}
}

// want is the definition, said as plainly as can be.
func (s *repeatsScene) want(partition int32, offset int64) bool {
	rec := s.written[partition][offset]
	for _, earlier := range s.written[partition][:offset] {
		if len(rec.Key) > 0 && string(earlier.Key) == string(rec.Key) && rec.Timestamp.Sub(earlier.Timestamp) <= s.window {
			return true
		}
	}
	return false
}

func (s *repeatsScene) check(r *table.Repeats, from int64) {
	s.t.Helper()
	for partition := range int32(2) {
		for offset := from; offset < int64(len(s.written[partition])); offset++ {
			if got, want := s.ask(r, partition, offset), s.want(partition, offset); got != want {
				s.t.Errorf("%d/%d repeats: %v, want %v", partition, offset, got, want)
			}
		}
	}
}

func TestARecordRepeatsWhatCameWithinTheWindowBeforeItWhoeverAsksAndWhenever(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			s := newRepeatsScene(t, time.Hour)
			clock := time.Now().Add(-40 * time.Hour)
			more := func(n int) {
				var list []*stream.Record
				for range n {
					clock = clock.Add(time.Duration(rng.Int64N(int64(2 * time.Minute))))
					r := &stream.Record{Partition: rng.Int32N(2), Timestamp: clock.Add(-time.Duration(rng.IntN(2)) * time.Minute).Truncate(time.Millisecond)}
					if rng.IntN(20) > 0 {
						r.Key = fmt.Appendf(nil, "%d", rng.IntN(60))
					}
					list = append(list, r)
				}
				s.produce(list...)
			}
			more(300)
			r, stop := s.open()
			for partition := range int32(2) {
				r.Hold(partition, 0)
			}
			s.check(r, 0)
			more(200) // what is appended is followed
			s.check(r, 0)
			stop()

			more(200) // a warm start reads the rest
			r, stop = s.open()
			for partition := range int32(2) {
				r.Hold(partition, 100)
				r.Release(partition)
				r.Hold(partition, 0) // a rebalance, and somebody who begins anew
			}
			s.check(r, 0)
			stop()

			s.dir = t.TempDir() // and a cold one everything
			r, stop = s.open()
			defer stop()
			for partition := range int32(2) {
				r.Hold(partition, 0)
			}
			s.check(r, 0)
		})
	}
}

// TestAFirstStartReadsTheWindowUnlessSomebodyIsFurtherBehind: what lies further back is read again for who asks.
func TestAFirstStartReadsTheWindowUnlessSomebodyIsFurtherBehind(t *testing.T) {
	s := newRepeatsScene(t, time.Hour)
	now := time.Now()
	var list []*stream.Record
	for i, key := range []string{"a", "a", "b", "b", "c", "c"} {
		age := []time.Duration{72, 71, 26, 25, 2, 1}[i] * time.Hour
		for partition := range int32(2) {
			list = append(list, &stream.Record{Partition: partition, Key: []byte(key), Timestamp: now.Add(-age).Truncate(time.Millisecond)})
		}
	}
	s.produce(list...)
	r, stop := s.open()
	defer stop()
	r.Hold(0, 4)
	if !s.ask(r, 0, 5) {
		t.Error("the newest is no repeat")
	}
	if _, known := r.Repeat(0, 1); known {
		t.Error("what lies days back was read for somebody who is up to date")
	}
	r.Hold(0, 0) // somebody begins at the beginning
	for offset := range int64(6) {
		if got, want := s.ask(r, 0, offset), s.want(0, offset); got != want {
			t.Errorf("%d repeats: %v, want %v", offset, got, want)
		}
	}
}
