package sample_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
)

func TestEventsAreValidAllDifferentAndWithoutDrift(t *testing.T) {
	rng, now := rand.New(rand.NewPCG(1, 2)), time.Now()
	ids, keys, n := map[string]bool{}, map[string]bool{}, 0
	for _, typ := range currents.Types() {
		for range 200 {
			raw := sample.Event(rng, typ.Name, n)
			n++
			if !jsontext.Value(raw).IsValid() || bytes.ContainsAny(raw, "\n\r") {
				t.Fatalf("not a strictly valid line: %s", raw)
			}
			e, err := currents.Read(raw, "", now)
			if err != nil {
				t.Fatal(err)
			}
			if e.Type != typ.Name || len(e.ID) != 36 || ids[e.ID] {
				t.Fatalf("of %s the type is %s and the id %s", typ.Name, e.Type, e.ID)
			}
			if drifts := currents.Drifts(&e); drifts != nil {
				t.Fatalf("%s drifts: %v\n%s", typ.Name, drifts, raw)
			}
			if e.OccurredAt.After(time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)) {
				t.Fatalf("%s happened at %s", typ.Name, e.OccurredAt)
			}
			ids[e.ID], keys[e.User.Key()] = true, true
		}
	}
	if len(keys) < 4000 || len(keys) > 10_001 {
		t.Errorf("%d people", len(keys))
	}
}

func TestAnEventFollowsFromItsSeed(t *testing.T) {
	of := func(typeName string) string {
		return string(sample.Event(rand.New(rand.NewPCG(9, 9)), typeName, 7))
	}
	if a, b := of("users.canvas.Entry"), of("users.canvas.Entry"); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	now := time.Now()
	a, _ := currents.Read([]byte(of("users.canvas.Entry")), "", now)
	b, _ := currents.Read([]byte(of("users.canvas.Conversion")), "", now)
	if a.ID == b.ID {
		t.Errorf("two types share the id %s", a.ID)
	}
}

func TestATypeThatNobodyKnows(t *testing.T) {
	e, err := currents.Read(sample.Event(rand.New(rand.NewPCG(1, 1)), "users.messages.telegram.Send", 1), "", time.Now())
	if err != nil || e.Type != "users.messages.telegram.Send" || e.Key() == "" {
		t.Errorf("%+v, %v", e, err)
	}
	if err := sample.File(&bytes.Buffer{}, "users.messages.telegram.Send"); err == nil {
		t.Error("a file without a schema was written")
	}
}

func TestABatchIsOneThatBatchReads(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	a, b := sample.Event(rng, "users.canvas.Entry", 1), sample.Event(rng, "users.messages.sms.Send", 2)
	events, err := currents.Batch(sample.Batch(a, b))
	if err != nil || len(events) != 2 || !bytes.Equal(events[0], a) || !bytes.Equal(events[1], b) {
		t.Errorf("%q, %v", events, err)
	}
}

func BenchmarkEvent(b *testing.B) {
	rng, types := rand.New(rand.NewPCG(1, 2)), currents.Types()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		sample.Event(rng, types[n%len(types)].Name, n)
	}
}
