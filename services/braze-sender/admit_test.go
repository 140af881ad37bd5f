package brazesender

import (
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

func TestWhatWasReplayedIsNeitherHeldBackNorTakenForTheSame(t *testing.T) {
	o := &orders{wait: time.Minute}
	now := time.Now()
	said := func(kind event.CommerceType, replayed bool) *item {
		ord := orderOf(&event.Commerce{Type: kind, OrderID: "A-1", Source: "shop", User: event.User{ExternalID: "u"}})
		ord.replayed = replayed
		return &item{order: ord}
	}
	for _, step := range []struct {
		name        string
		it          *item
		goes, waits bool
	}{
		{"a refund of an order that nobody has seen waits", said(event.OrderRefunded, false), false, true},
		{"unless it was replayed", said(event.OrderRefunded, true), true, false},
		{"an order goes", said(event.OrderPlaced, false), true, false},
		{"said again it does not", said(event.OrderPlaced, false), false, false},
		{"unless it was replayed", said(event.OrderPlaced, true), true, false},
		{"a cancellation of it goes", said(event.OrderCancelled, false), true, false},
	} {
		if goes, waits := o.admit(step.it, now); goes != step.goes || waits != step.waits {
			t.Errorf("%s: goes %v, waits %v", step.name, goes, waits)
		}
	}
	if o.next() != now.Add(time.Minute) || len(o.due(now.Add(time.Minute))) != 1 || !o.next().IsZero() {
		t.Error("who waits is let go after a minute")
	}
}

func TestHeadersThatMakeNoSenseArePassedOver(t *testing.T) {
	h := func(pairs ...string) (list []stream.Header) {
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, stream.Header{Key: pairs[i], Value: []byte(pairs[i+1])})
		}
		return list
	}
	for _, c := range []struct {
		name    string
		headers []stream.Header
		want    notes
	}{
		{"none", nil, notes{}},
		{"of others", h("source", "shop", "priority", "high"), notes{}},
		{"backfill", h("priority", "backfill"), notes{backfill: true}},
		{"a replay of a record that was done in part", h("replayed-from", "t/0/1", "parts-done", "2"), notes{backfill: true, replayed: true, done: 2}},
		{"nonsense", h("parts-done", "-3", "parts-done", "many", "parts-done", "99999999999999999999"), notes{}},
	} {
		if got := readNotes(c.headers); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}
