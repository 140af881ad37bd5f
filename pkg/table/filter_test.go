package table

import (
	"encoding/binary"
	"hash/maphash"
	"testing"
)

func TestFilterForgetsNothingAndIsSeldomWrong(t *testing.T) {
	tests := map[string]struct {
		limit    int64
		expected int64
		n        int
		slabs    int
		wrong    float64 // at most
	}{
		"a bucket as large as was expected":    {1 << 30, 100_000, 100_000, 1, 0.004},
		"a bucket that grew":                   {1 << 30, 0, 300_000, 3, 0.01},
		"a bucket that is too large for all":   {64 << 10, 0, 300_000, 1, 1},
		"a bucket that hardly has an entry":    {1 << 30, 0, 10, 1, 0.001},
		"a bucket for which no memory is left": {0, 100_000, 1_000, 1, 0.001},
	}
	seed := maphash.MakeSeed()
	hash := func(i int) uint64 { return maphash.Bytes(seed, binary.BigEndian.AppendUint64(nil, uint64(i))) }
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := &budget{limit: test.limit}
			f := newFilter(7, test.expected, b)
			for i := range test.n {
				f.add(hash(i), b)
			}
			for i := range test.n {
				if !f.has(hash(i)) {
					t.Fatalf("key %d of %d is forgotten", i, test.n)
				}
			}
			wrong := 0
			const asked = 100_000
			for i := range asked {
				if f.has(hash(-1 - i)) {
					wrong++
				}
			}
			if got := float64(wrong) / asked; got > test.wrong {
				t.Errorf("wrong about %.4f of the keys that are not there, want %.4f at most", got, test.wrong)
			}
			if got := len(*f.slabs.Load()); got != test.slabs {
				t.Errorf("%d slabs, want %d", got, test.slabs)
			}
			if used := b.used.Load(); used > max(test.limit, 32<<10) {
				t.Errorf("%d bytes are used of %d", used, test.limit)
			}
			if f.drop(b); b.used.Load() != 0 {
				t.Errorf("%d bytes are not given back", b.used.Load())
			}
		})
	}
}
