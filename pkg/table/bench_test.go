package table

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

var (
	benchUsers = flag.Int("users", 1_000_000, "the most users of BenchmarkReadModifyWrite")
	benchCache = flag.Int64("cache", 128, "MiB of the cache of BenchmarkReadModifyWrite")
)

// sink takes what is emitted and gives it offsets.
type sink struct{ next int64 }

func (s *sink) Emit(r *stream.Record) error {
	r.Offset = s.next
	s.next++
	return nil
}

// localProcessor is a processor without Kafka, all of whose partitions are ready.
func localProcessor(tb testing.TB, o StoreOptions, partitions int32) *Processor {
	tb.Helper()
	s, err := OpenStore(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	p := &Processor{o: ProcessorOptions{Changelog: "state"}, store: s, limit: 4 << 10, ready: map[int32]*part{}, kept: map[int32]part{}, wrote: time.Now()}
	p.hot = newHot(s.o.CacheBytes*3/4, 4<<10)
	p.tx = &Tx{p: p}
	if p.table, p.epoch, err = s.table("state"); err != nil {
		tb.Fatal(err)
	}
	for n := range partitions {
		p.ready[n] = &part{number: n, tag: uint32(n), asOf: time.Now()}
	}
	return p
}

// batch is one round of a processor without Kafka.
func (p *Processor) batch(tb testing.TB, s *sink, work func(tx *Tx) error) {
	tb.Helper()
	if err := p.begin(&stream.Batch{Now: time.Now()}); err != nil {
		tb.Fatal(err)
	}
	p.tx.batch = s
	if err := work(p.tx); err != nil {
		tb.Fatal(err)
	}
	if err := p.tx.emit(); err != nil {
		tb.Fatal(err)
	}
	if err := p.apply(p.tx); err != nil {
		tb.Fatal(err)
	}
	p.tx.release()
}

const (
	benchPartitions = 12
	benchValue      = 400
	benchBatch      = 20_000
)

func benchKey(b []byte, user int) []byte {
	b = append(b[:0], "customer-"...)
	return binary.BigEndian.AppendUint64(b, uint64(user)*0x9E3779B97F4A7C15)
}

// benchState is like a state: half of it are hashes.
func benchState(r *rand.Rand) []byte {
	v := make([]byte, benchValue)
	for i := 0; i < len(v); i += 16 {
		binary.BigEndian.PutUint64(v[i:], r.Uint64())
		copy(v[i+8:i+16], "fieldnam")
	}
	return v
}

// BenchmarkReadModifyWrite is the work of a processor on its copy: what Kafka costs comes on top.
func BenchmarkReadModifyWrite(b *testing.B) {
	for _, users := range []int{10_000, 100_000, 1_000_000, 5_000_000} {
		if users > *benchUsers {
			continue
		}
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			p := localProcessor(b, StoreOptions{Dir: b.TempDir(), CacheBytes: *benchCache << 20, Log: zerolog.Nop()}, benchPartitions)
			s, r := &sink{}, rand.New(rand.NewPCG(1, 2))
			for from := 0; from < users; from += benchBatch {
				p.batch(b, s, func(tx *Tx) error {
					for u := from; u < min(users, from+benchBatch); u++ {
						if err := tx.Put(int32(u%benchPartitions), benchKey(nil, u), benchState(r), time.Time{}); err != nil {
							return err
						}
					}
					return nil
				})
			}
			debug.FreeOSMemory() // of filling it, and of an earlier run
			before := cpuTime()
			b.ResetTimer()
			var key []byte
			for done := 0; done < b.N; done += benchBatch {
				p.batch(b, s, func(tx *Tx) error {
					for range min(benchBatch, b.N-done) {
						u := r.IntN(users)
						key = benchKey(key, u)
						_, ok, err := tx.Get(int32(u%benchPartitions), key)
						if err != nil || !ok {
							return fmt.Errorf("user %d: %t %w", u, ok, err)
						}
						if err := tx.Put(int32(u%benchPartitions), key, benchState(r), time.Time{}); err != nil {
							return err
						}
					}
					return nil
				})
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rmw/s")
			b.ReportMetric(float64(b.N)/(cpuTime()-before).Seconds(), "rmw/cpu-s")
			b.ReportMetric(float64(resident())/(1<<20), "MiB")
			b.ReportMetric(float64(p.store.Stats().DiskBytes)/(1<<20), "MiB-disk")
		})
	}
}

// cpuTime is what the process has used of the processors: others may keep them busy too.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the memory that the process has, as the system counts it; 0 where it does not say.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, rss int64
	if _, err := fmt.Fscan(strings.NewReader(string(b)), &size, &rss); err != nil {
		return 0
	}
	return rss * int64(os.Getpagesize())
}
