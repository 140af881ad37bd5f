package ingest

import (
	"math/rand/v2"
	"testing"
)

// FuzzIndex plays additions and removals to the index and to a map. Fingerprints are drawn from so few
// that homes and tags collide all the time.
func FuzzIndex(f *testing.F) {
	f.Add([]byte{1, 2, 3, 0x81, 4, 0x82, 0x83, 1, 1})
	f.Fuzz(func(t *testing.T, moves []byte) {
		x := index{words: make([]uint64, 8)} // so that it grows, and wraps around, soon
		model := map[uint64]fingerprint{}    // by place
		var newest uint64
		for _, m := range moves {
			id := fingerprint{uint64(m&0x7f)<<1 | 1, uint64(m & 3)}
			if m < 0x80 {
				newest++
				x.add(id, newest)
				model[newest] = id
				continue
			}
			for place, other := range model {
				if other == id {
					x.remove(id, place)
					delete(model, place)
					break
				}
			}
			x.remove(id, newest+1) // never noted
		}
		if x.used != len(model) {
			t.Fatalf("%d are noted, want %d", x.used, len(model))
		}
		for place, id := range model {
			found := false
			x.find(id, func(p uint32) bool {
				found = found || uint64(p) == place
				return found
			})
			if !found {
				t.Fatalf("place %d of %v is not found", place, id)
			}
		}
	})
}

func TestIndexKeepsMillionsApart(t *testing.T) {
	const n = 200_000
	var x index
	r := rand.New(rand.NewPCG(1, 2))
	ids := make([]fingerprint, n)
	for i := range ids {
		ids[i] = fingerprint{r.Uint64(), r.Uint64()}
		x.add(ids[i], uint64(i))
	}
	for i := 0; i < n; i += 2 {
		x.remove(ids[i], uint64(i))
	}
	for i, id := range ids {
		found := false
		x.find(id, func(p uint32) bool {
			found = int(p) == i
			return found
		})
		if found != (i%2 == 1) {
			t.Fatalf("%d: found %v", i, found)
		}
	}
}
