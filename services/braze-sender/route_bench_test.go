package brazesender

import (
	"context"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// newest is a registry that knows one schema, under every id.
type newest string

func (n newest) SchemaByID(context.Context, int) (string, error) {
	return schemas.Latest(string(n)), nil
}

// BenchmarkEvent measures what a record of 300 bytes of properties costs until it is queued, step by
// step. The rest of the way is what make bench measures.
func BenchmarkEvent(b *testing.B) {
	now := time.Now()
	value := avro.AppendEvent(nil, 1, &event.Event{
		ID: "bench-1", User: event.User{ExternalID: "user-1"}, Name: "Product Viewed", Kind: event.KindTrack,
		OccurredAt: now, ReceivedAt: now, Source: "bench",
		Properties: []byte(`{"seq":17,"product_id":"P-17","product_name":"Trail Runner 42 blue","variant_id":"P-17-42","price":84.90,"currency":"EUR","source":"web","image_url":"https://shop.example.com/i/17.jpg","product_url":"https://shop.example.com/p/17","metadata":{"category":"shoes","campaign":"spring","list":"search results"}}`),
	})
	decoder := avro.NewEventDecoder(newest(schema.CustomerEvents))
	var e event.Event
	if _, err := decoder.Decode(b.Context(), value, &e); err != nil {
		b.Fatal(err)
	}
	routed := func(yaml string) *Sender {
		table, err := routes.Parse("bench", []byte(yaml))
		if err != nil {
			b.Fatal(err)
		}
		return &Sender{routes: table, lines: newLines(braze.Config{MaxObjects: 75}, Options{})}
	}
	plan := func(b *testing.B, s *Sender) {
		b.ReportAllocs()
		d, n := newDrafts(nil), 0
		for b.Loop() {
			if n++; n%5_000 == 1 { // as many as one Take has
				d = &drafts{now: now, parts: make([]part, 0, 10_000), bytes: make([]byte, 0, 5_000*800)}
			}
			d.event = e
			var it item
			if what := s.route(&it, d); what != send {
				b.Fatal(what)
			}
		}
	}
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decoder.Decode(b.Context(), value, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if refusal := checkEvent(&e); refusal != nil {
				b.Fatal(refusal)
			}
		}
	})
	b.Run("validate, route by default and encode", func(b *testing.B) { plan(b, routed("routes: []")) })
	b.Run("the same with a route that renames", func(b *testing.B) {
		plan(b, routed("routes:\n- name: r\n  match: {topic: customer.events, event: Product Viewed}\n  send:\n  - event: {rename: {price: amount}}\n"))
	})
	b.Run("the same with a condition in jq", func(b *testing.B) {
		plan(b, routed("routes:\n- name: r\n  match: {topic: customer.events, event: Product Viewed}\n  when: .properties.price > 100\n  send:\n  - skip: cheap\n"))
	})
}
