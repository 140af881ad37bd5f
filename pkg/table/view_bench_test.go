package table

import (
	"encoding/binary"
	"hash/maphash"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// localView is a view without Kafka, all of whose partitions are ours and empty.
func localView(tb testing.TB, partitions int32) *View {
	tb.Helper()
	s, err := OpenStore(StoreOptions{Dir: tb.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		tb.Fatal(err)
	}
	v := &View{
		o:      ViewOptions{Topic: "out", Window: 24 * time.Hour, Now: time.Now, Log: zerolog.Nop()},
		store:  s,
		bucket: 8 * time.Hour, seed: maphash.MakeSeed(),
		budget: budget{limit: 64 << 20},
		wake:   make(chan struct{}, 1),
		room:   sync.NewCond(new(sync.Mutex)),
	}
	v.start()
	tb.Cleanup(func() {
		v.stop()
		s.Close()
	})
	number, epoch, err := s.table("out")
	if err != nil {
		tb.Fatal(err)
	}
	for n := range partitions {
		p := &viewPart{number: n, table: number, epoch: epoch, of: partitions, fresh: newPile(0)}
		p.filters.Store(new([]*filter))
		v.publish(n, p)
	}
	return v
}

func viewKey(b []byte, i int) []byte {
	b = binary.BigEndian.AppendUint64(b[:0], uint64(i)*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(b, uint64(i)*0xD1B54A32D192ED03)
}

func BenchmarkView(b *testing.B) {
	const filled = 2_000_000
	var value [16]byte
	fill := func(b *testing.B, n int) *View {
		v := localView(b, benchPartitions)
		var key []byte
		now := time.Now()
		for i := range n {
			key = viewKey(key, i)
			// A day's worth, so that there are several buckets.
			v.Add(int32(i%benchPartitions), int64(i), now.Add(-time.Duration(n-i)*23*time.Hour/time.Duration(n)), key, value[:])
		}
		for _, p := range v.ours() {
			if err := v.flush(p); err != nil {
				b.Fatal(err)
			}
		}
		if err := v.store.db.Compact(b.Context(), []byte{0}, []byte{255}, false); err != nil {
			b.Fatal(err)
		}
		return v
	}
	b.Run("a key that is not there", func(b *testing.B) {
		v := fill(b, filled)
		var key []byte
		b.ReportAllocs()
		b.ResetTimer()
		before := cpuTime()
		for i := range b.N {
			key = viewKey(key, filled+i)
			if _, ok, err := v.Get(int32(i%benchPartitions), key); ok || err != nil {
				b.Fatal(ok, err)
			}
		}
		b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	})
	b.Run("a key that is there", func(b *testing.B) {
		v := fill(b, filled)
		var key []byte
		b.ResetTimer()
		for i := range b.N {
			n := i * 7919 % filled
			key = viewKey(key, n)
			if _, ok, err := v.Get(int32(n%benchPartitions), key); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("adding", func(b *testing.B) {
		v := fill(b, 0)
		b.ReportAllocs()
		before := cpuTime()
		now := time.Now()
		var key []byte
		for i := range b.N {
			key = viewKey(key, i)
			v.Add(int32(i%benchPartitions), int64(i), now, key, value[:])
		}
		b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
	})
}
