package currents_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/currents"
)

// body is a batch of n clicks.
func body(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"events":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(click)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// BenchmarkBatch is what a receiver does with a request of a hundred events.
func BenchmarkBatch(b *testing.B) {
	sent, now := body(100), time.Now()
	b.SetBytes(int64(len(sent)))
	b.ReportAllocs()
	for b.Loop() {
		events, err := currents.Batch(sent)
		if err != nil || len(events) != 100 {
			b.Fatal(len(events), err)
		}
		for _, raw := range events {
			if _, err := currents.Read(raw, "eu-retail", now); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkDrifts(b *testing.B) {
	e, err := currents.Read([]byte(click), "", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(click)))
	b.ReportAllocs()
	for b.Loop() {
		if drifts := currents.Drifts(&e); drifts != nil {
			b.Fatal(drifts)
		}
	}
}
