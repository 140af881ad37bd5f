package table_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/table"
)

// renewer replaces the state of every user it hears of, and emits a little.
type renewer struct {
	out  string
	done atomic.Int64
}

func (w *renewer) Process(_ context.Context, tx *table.Tx) error {
	for _, r := range tx.Records {
		if _, _, err := tx.Get(r.Partition, r.Key); err != nil {
			return err
		}
		if err := tx.Put(r.Partition, r.Key, r.Value, time.Time{}); err != nil {
			return err
		}
		if err := tx.Emit(&stream.Record{Topic: w.out, Key: r.Key, Value: r.Value[:100]}); err != nil {
			return err
		}
	}
	return nil
}

func (w *renewer) Ended(tx *table.Tx, err error) {
	if err == nil {
		w.done.Add(int64(len(tx.Records)))
	}
}

// BenchmarkProcessor is a processor with the embedded broker beside it in the same process: b.N updates of states of
// 400 bytes of up to as many users, and then restoring what came of it to an empty disk.
func BenchmarkProcessor(b *testing.B) {
	broker, err := embedded.Start(b.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	c := stream.Config{Brokers: broker.Brokers(), Compression: "lz4", ReplicationFactor: -1, TopicPrefix: strconv.Itoa(b.N) + "."}
	admin, err := stream.NewAdmin(c)
	if err != nil {
		b.Fatal(err)
	}
	defer admin.Close()
	for topic, configs := range map[string]map[string]string{
		"in": {"retention.ms": "86400000"}, "out": {"retention.ms": "86400000"},
		"state": {"cleanup.policy": "compact", "delete.retention.ms": strconv.FormatInt(table.TombstoneRetention.Milliseconds(), 10)},
	} {
		if err := admin.CreateTopic(b.Context(), c.Topic(topic), 12, configs); err != nil {
			b.Fatal(err)
		}
	}
	producer, err := stream.NewProducer(c, stream.ProducerOptions{Linger: 5 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer producer.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for range b.N {
		value := make([]byte, 400)
		for i := 0; i < len(value); i += 16 {
			binary.BigEndian.PutUint64(value[i:], r.Uint64())
		}
		producer.Produce(b.Context(), &stream.Record{Topic: c.Topic("in"), Key: fmt.Appendf(nil, "customer-%d", r.IntN(b.N)), Value: value}, func(*stream.Record, error) {})
	}
	if err := producer.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	work := &renewer{out: c.Topic("out")}
	run := func(until func() bool) (took time.Duration, restored table.Progress) {
		store, err := table.OpenStore(table.StoreOptions{Dir: b.TempDir(), CacheBytes: 256 << 20, Log: zerolog.Nop()})
		if err != nil {
			b.Fatal(err)
		}
		defer store.Close()
		var last atomic.Pointer[table.Progress]
		p, err := table.NewProcessor(c, store, table.ProcessorOptions{
			Group: c.Group("g"), Topics: []string{c.Topic("in")}, Changelog: c.Topic("state"),
			Progress: func(p table.Progress) { last.Store(&p) }, Log: zerolog.Nop(),
		}, work)
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan error, 1)
		started := time.Now()
		go func() { done <- p.Run(ctx) }()
		for tick := time.NewTicker(5 * time.Millisecond); !until() || last.Load() == nil || !last.Load().Done; {
			<-tick.C
		}
		took = time.Since(started)
		stop()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		return took, *last.Load()
	}
	b.ResetTimer()
	took, _ := run(func() bool { return work.done.Load() >= int64(b.N) })
	b.StopTimer()
	b.ReportMetric(float64(b.N)/took.Seconds(), "updates/s")
	_, progress := run(func() bool { return true })
	b.ReportMetric(progress.Rate(), "restored/s")
}
