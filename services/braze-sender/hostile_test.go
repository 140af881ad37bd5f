package brazesender_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// TestHostileCommerceEventsAreRefusedBeforeTheyAreSent: what breaks a rule is refused with the field named,
// and never costs its company a request.
func TestHostileCommerceEventsAreRefusedBeforeTheyAreSent(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	cases := []struct {
		name, reason, field string
		change              func(c *event.Commerce)
	}{
		{"a currency that is none", "invalid", "currency", func(c *event.Commerce) { c.Currency = "QQQ" }},
		{"a total below zero", "invalid", "total", func(c *event.Commerce) { c.Total = "-1" }},
		{"a price below zero", "invalid", "lines[1].price", func(c *event.Commerce) { c.Lines[1].Price = "-0.01" }},
		{"a quantity below zero", "invalid", "lines[0].quantity", func(c *event.Commerce) { c.Lines[0].Quantity = -1 }},
		{"a discount below zero", "invalid", "discounts[0].amount", func(c *event.Commerce) { c.Discounts[0].Amount = "-2" }},
		{"metadata that leave their object", "invalid", "metadata_json", func(c *event.Commerce) { c.Metadata = []byte(`{"a":1}},"x":{"b":2}`) }},
		{"a line's metadata that are no object", "invalid", "lines[0].metadata_json", func(c *event.Commerce) { c.Lines[0].Metadata = []byte(`[]`) }},
		{"a type that there is not", "invalid", "event_type", func(c *event.Commerce) { c.Type = "order_eaten" }},
		{"an id out of all bounds", "invalid", "event_id", func(c *event.Commerce) { c.ID = strings.Repeat("x", 5000) }},
		{"an external id out of all bounds", "invalid", "external_id", func(c *event.Commerce) { c.User.ExternalID = strings.Repeat("u", 2000) }},
		{"nobody", "no_user", "", func(c *event.Commerce) { c.User = event.User{} }},
		{"half an alias", "invalid", "alias", func(c *event.Commerce) { c.User = event.User{AliasName: "a"} }},
	}
	want := map[string]string{}
	for i, c := range cases {
		bad := order("u", fmt.Sprint("so-", i), event.OrderPlaced)
		c.change(&bad)
		want[bad.ID[:min(len(bad.ID), 20)]] = c.reason
		s.produceCommerce(t, bad, order("u", fmt.Sprint("good-", i), event.OrderPlaced))
	}
	topic := s.config.Kafka.Topic(schema.CommerceEvents)
	e := newEvent("u", 0)
	other := order("u", "so-key", event.OrderPlaced)
	value, err := avro.AppendCommerce(nil, s.ids[schema.CommerceEvents], &other)
	if err != nil {
		t.Fatal(err)
	}
	s.produceRaw(t,
		&stream.Record{Topic: topic, Key: []byte("u"), Value: []byte("garbage")},
		&stream.Record{Topic: topic, Key: []byte("u")},
		&stream.Record{Topic: topic, Key: []byte("u"), Value: value[:len(value)/2]},
		&stream.Record{Topic: topic, Key: []byte("u"), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e)},
		&stream.Record{Topic: topic, Key: []byte("v"), Value: value},
	)
	r := s.start(t)
	slips := byID(s.awaitSettled(t))
	r.assertBooks(t, 0)
	r.drain(t)
	s.assertManners(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: len(cases), outcome.Refused: len(cases) + 5})
	got := map[string]string{}
	for _, l := range s.letters(t) {
		id := l.EventID[:min(len(l.EventID), 20)]
		if _, ours := want[id]; ours {
			got[id] = l.Reason
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dead letters (-want +got)\n%s", diff)
	}
	for i, c := range cases {
		id := fmt.Sprintf("so-%d-order_placed", i)
		slip, known := slips[id]
		if known && !strings.HasPrefix(slip.Outcome.Detail, c.field) {
			t.Errorf("%s: %q, want %s named", c.name, slip.Outcome.Detail, c.field)
		}
	}
	for _, w := range s.front.seen() {
		if w.Status != 201 {
			t.Errorf("a request was answered %d", w.Status)
		}
	}
	if n := len(s.names("u")); n != len(cases) {
		t.Errorf("Braze has %d orders, want %d", n, len(cases))
	}
}
