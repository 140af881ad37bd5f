package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// samples are values that the real service has written, so that a limit moves the same bytes.
func samples(ctx context.Context, kafka stream.Config, topic string) ([][]byte, error) {
	var values [][]byte
	err := stream.Read(ctx, kafka, stream.Range{Topic: kafka.Topic(topic)}, func(r *stream.Record) error {
		values = append(values, r.Value)
		if len(values) == lastBatch {
			return stream.ErrStop
		}
		return nil
	})
	if err == nil && len(values) == 0 {
		err = fmt.Errorf("%s is empty", topic)
	}
	return values, err
}

// runSyncLimit takes profiles in and writes as many states, and a tenth as many updates, in transactions of
// the same size, without looking at any of it.
func runSyncLimit() error {
	ctx := context.Background()
	kafka := kafkaOf(os.Getenv("KAFKA_BROKERS"), os.Getenv("TOPIC_PREFIX"))
	states, err := samples(ctx, kafka, schema.State(attributesync.Name))
	if err != nil {
		return err
	}
	updates, err := samples(ctx, kafka, schema.BrazeAttributes)
	if err != nil {
		return err
	}
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	for _, name := range []string{"limit.states", "limit.updates"} {
		if err := admin.CreateTopic(ctx, kafka.Topic(name), syncPartitions, nil); err != nil {
			return err
		}
	}
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(kafka.Brokers...),
		kgo.ConsumerGroup(kafka.Group("limit")), kgo.ConsumeTopics(kafka.Topic(schema.CustomerProfiles)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.Balancers(kgo.RangeBalancer()),
		kgo.TransactionalID(kafka.Group("limit")+rand.Text()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.MaxBufferedRecords(200_000),
	)
	if err != nil {
		return err
	}
	defer session.Close()
	done, want := 0, intEnv("BENCH_EVENTS", 0)
	r, err := measured(func() (int, error) {
		for done < want {
			var batch []*kgo.Record
			for len(batch) < min(lastBatch, want-done) {
				fetches := session.PollRecords(ctx, lastBatch-len(batch))
				if err := fetches.Err(); err != nil {
					return 0, err
				}
				batch = append(batch, fetches.Records()...)
			}
			if err := session.Begin(); err != nil {
				return 0, err
			}
			var failed error
			produce := func(topic string, like *kgo.Record, value []byte) {
				session.Produce(ctx, &kgo.Record{Topic: topic, Partition: like.Partition, Key: like.Key, Value: value}, func(_ *kgo.Record, err error) {
					failed = errors.Join(failed, err)
				})
			}
			for i, like := range batch {
				produce(kafka.Topic("limit.states"), like, states[i%len(states)])
				if i%10 == 0 {
					produce(kafka.Topic("limit.updates"), like, updates[i%len(updates)])
				}
			}
			if committed, err := session.End(ctx, kgo.TryCommit); err != nil || !committed || failed != nil {
				return 0, errors.Join(err, failed, fmt.Errorf("committed: %t", committed))
			}
			done += len(batch)
		}
		return done, nil
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(solo{Loop: r})
}

// runSyncPebble fills a Pebble with the state of so many users, and then reads, changes and writes values of
// users drawn by lot, in batches of the same size.
func runSyncPebble() error {
	kafka := kafkaOf(os.Getenv("KAFKA_BROKERS"), os.Getenv("TOPIC_PREFIX"))
	states, err := samples(context.Background(), kafka, schema.State(attributesync.Name))
	if err != nil {
		return err
	}
	cache := pebble.NewCache(256 << 20)
	defer cache.Unref()
	o := &pebble.Options{
		Cache: cache, DisableWAL: true, MemTableSize: 64 << 20, L0CompactionThreshold: 2, L0StopWritesThreshold: 1000,
		LBaseMaxBytes: 128 << 20, FormatMajorVersion: pebble.FormatNewest,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	db, err := pebble.Open(filepath.Join(os.Getenv("STATE_DIR"), "alone"), o)
	if err != nil {
		return err
	}
	defer db.Close()
	users, count := intEnv("BENCH_USERS", 0), intEnv("BENCH_EVENTS", 0)
	var out solo
	out.Load, err = inBatches(db, users, func(batch *pebble.Batch, i int) error {
		return batch.Set(userKey(i), states[i%len(states)], nil)
	})
	if err != nil {
		return err
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	var value []byte
	out.Loop, err = inBatches(db, count, func(batch *pebble.Batch, _ int) error {
		key := userKey(random.IntN(users))
		was, closer, err := db.Get(key)
		if err != nil {
			return err
		}
		value = append(value[:0], was...)
		if err := closer.Close(); err != nil {
			return err
		}
		value[len(value)-1]++
		return batch.Set(key, value, nil)
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// userKey scatters users as a partition and an external id do.
func userKey(u int) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(u)*0x9E3779B97F4A7C15)[:4], fmt.Sprintf("user-%d", u)...)
}

func inBatches(db *pebble.DB, n int, each func(batch *pebble.Batch, i int) error) (Result, error) {
	return measured(func() (int, error) {
		for from := 0; from < n; from += lastBatch {
			batch := db.NewBatch()
			for i := from; i < min(n, from+lastBatch); i++ {
				if err := each(batch, i); err != nil {
					return 0, err
				}
			}
			if err := batch.Commit(pebble.NoSync); err != nil {
				return 0, err
			}
		}
		return n, nil
	})
}

// runRestoreKafka reads the state's topic to its end.
func runRestoreKafka() error {
	kafka := kafkaOf(os.Getenv("KAFKA_BROKERS"), os.Getenv("TOPIC_PREFIX"))
	r, err := measured(func() (n int, err error) {
		err = stream.Read(context.Background(), kafka, stream.Range{Topic: kafka.Topic(schema.State(attributesync.Name))}, func(*stream.Record) error {
			n++
			return nil
		})
		return n, err
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(solo{Loop: r})
}

// measured says what the process takes for something.
func measured(do func() (int, error)) (r Result, err error) {
	start, from := time.Now(), cpuOfSelf()
	r.Events, err = do()
	r.Wall, r.CPU = time.Since(start), cpuOfSelf()-from
	return r, err
}

func cpuOfSelf() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
