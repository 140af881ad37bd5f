package table

import (
	"context"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// localRepeats is without Kafka, and has one partition.
func localRepeats(tb testing.TB) (*Repeats, *repeatsPart) {
	tb.Helper()
	s, err := OpenStore(StoreOptions{Dir: tb.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	r := &Repeats{
		o: RepeatsOptions{
			Window: 8 * 24 * time.Hour,
			Key:    func(_ context.Context, r *stream.Record) ([]byte, bool, error) { return r.Key, true, nil },
		},
		store: s, bucket: 64 * time.Hour, seed: maphash.MakeSeed(), budget: &budget{limit: 64 << 20},
	}
	p := &repeatsPart{bits: bitmap{chunks: map[int64]*chunk{}}}
	if p.table, p.epoch, err = s.table("events/repeats"); err != nil {
		tb.Fatal(err)
	}
	r.known.Store(&map[int32]*repeatsPart{0: p})
	return r, p
}

// BenchmarkRepeats takes in records as a reader polls them, none of them a repeat, or every other one, and asks.
func BenchmarkRepeats(b *testing.B) {
	const poll = 2_000
	for _, every := range []int{0, 2} {
		b.Run(fmt.Sprintf("take/repeats=%d", every), func(b *testing.B) {
			r, p := localRepeats(b)
			began := time.Now().Add(-8 * 24 * time.Hour)
			b.ReportAllocs()
			for n := 0; n < b.N; {
				records := make([]*stream.Record, min(poll, b.N-n))
				for i := range records {
					key := n + i
					if every > 0 && key%every == 1 {
						key = key * 7 / 10
					}
					records[i] = &stream.Record{Offset: int64(n + i), Key: viewKey(nil, key), Timestamp: began.Add(time.Duration(n+i) * 100 * time.Millisecond)}
				}
				if err := r.take(b.Context(), p, records); err != nil {
					b.Fatal(err)
				}
				n += len(records)
			}
		})
	}
	b.Run("ask", func(b *testing.B) {
		r, p := localRepeats(b)
		p.next.Store(1 << 20)
		b.ReportAllocs()
		for n := range b.N {
			if _, known := r.Repeat(0, int64(n)&(1<<20-1)); !known {
				b.Fatal("not known")
			}
		}
	})
}
