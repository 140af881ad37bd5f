package shelf

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestAnIndexHoldsWhatAMapHolds puts and removes at random, with hashes that collide as often as not.
func TestAnIndexHoldsWhatAMapHolds(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var x index
		model := map[string]*item{}
		hash := func(id string) uint64 { return hashOf(id) % 7 << shardBits }
		if seed%2 == 0 {
			hash = hashOf
		}
		for range 2000 {
			id := strconv.Itoa(rng.IntN(100))
			if rng.IntN(3) == 0 {
				x.remove(hash(id), id)
				delete(model, id)
			} else {
				it := &item{id: id}
				x.put(hash(id), it)
				model[id] = it
			}
			for i := range 100 {
				id := strconv.Itoa(i)
				if got := x.find(hash(id), id); got != model[id] {
					t.Fatalf("seed %d: %q is %v, want %v", seed, id, got, model[id])
				}
			}
			n := 0
			x.each(func(*item) { n++ })
			if x.n != len(model) || n != len(model) {
				t.Fatalf("seed %d: %d counted, %d found, of %d", seed, x.n, n, len(model))
			}
		}
	}
}
