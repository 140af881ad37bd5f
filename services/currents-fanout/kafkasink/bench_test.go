package kafkasink

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// What a batch of 500 allocates. The broker is in the same process, so its share is in the figures.
func BenchmarkWrite(b *testing.B) {
	f := start(b, 3, nil)
	s := f.open(b, nil)
	batch := engagements(500)
	b.ReportAllocs()
	for b.Loop() {
		if a := s.Write(b.Context(), batch); a.All.Kind != outcome.Delivered {
			b.Fatal(a)
		}
	}
}
