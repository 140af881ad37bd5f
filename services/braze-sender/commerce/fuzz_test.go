package commerce_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/braze-sender/commerce"
)

// fixed is a registry of one schema.
type fixed struct{}

func (fixed) SchemaByID(context.Context, int) (string, error) {
	topic, _ := schema.Find(schema.CommerceEvents)
	return topic.Text(), nil
}

// FuzzEvent translates whatever can stand on the topic: what comes out is valid, whole, and within
// Braze's limits, or a violation with a field.
func FuzzEvent(f *testing.F) {
	add := func(c event.Commerce) {
		value, err := avro.AppendCommerce(nil, 9, &c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(value[avro.HeaderSize:])
	}
	for _, kind := range event.CommerceTypes() {
		add(full(kind))
		add(least(kind))
	}
	odd := full(event.OrderPlaced)
	odd.Metadata, odd.OrderID, odd.Lines[1].Metadata = []byte(`{"reason":1,"\u0063arrier":[{}]}`), "\"\\\x01\xff", []byte(`{}`)
	add(odd)
	decoder := avro.NewCommerceDecoder(fixed{})
	f.Fuzz(func(t *testing.T, body []byte) {
		var c event.Commerce
		if _, err := decoder.Decode(t.Context(), append(avro.AppendHeader(nil, 9), body...), &c); err != nil {
			return
		}
		m, _, err := commerce.Event(nil, &c)
		if err != nil {
			if v := (*commerce.Violation)(nil); !errors.As(err, &v) || v.Field == "" || v.Rule == "" {
				t.Fatalf("a violation without field: %v", err)
			}
			return
		}
		raw := m.Event.Properties
		if !json.Valid(raw) || len(raw) > braze.MaxPropertyBytes || braze.CheckProperties(raw) != nil {
			t.Fatalf("%s", raw)
		}
		if recommended(t, m.Event.Name, raw) == (m.Lacks != "") && m.Event.Name != string(c.Type) {
			t.Fatalf("%s lacks %q", m.Event.Name, m.Lacks)
		}
		if _, err := commerce.Purchases(nil, &c); err != nil && errors.Unwrap(err) != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkEvent(b *testing.B) {
	c := full(event.OrderPlaced)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		m, dst, err := commerce.Event(buf[:0], &c)
		if err != nil || m.Lacks != "" {
			b.Fatal(m, err)
		}
		buf = dst
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkEventOfFiveThousandLines(b *testing.B) {
	c := long(5000, 0)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		_, dst, err := commerce.Event(buf[:0], &c)
		if err != nil {
			b.Fatal(err)
		}
		buf = dst
	}
}
