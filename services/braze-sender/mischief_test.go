package brazesender_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// What a hostile reading found. Each of these once went another way.

func TestARouteThatMakesNothingOfARecordSkipsIt(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.route(t, `routes: [{name: sold, match: {topic: commerce.events}, send: [{purchase: {each: ".lines[]"}}]}]`)
	c := order("u", "so-1", event.OrderPlaced)
	c.Lines = nil
	s.produceCommerce(t, c)
	s.start(t)
	s.awaitSettled(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Skipped: 1})
}

func TestARefundThatWaitsDoesNotHoldUpItsPartition(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait, s.config.Sender.Window = time.Hour, 100
	s.produceCommerce(t, order("u", "so-1", event.OrderRefunded))
	for i := range 400 {
		s.produceCommerce(t, order("u", fmt.Sprint("p-", i), event.OrderPlaced))
	}
	s.start(t)
	s.awaitSettled(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 401})
}

func TestFatRefundsThatWaitDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	s.config.Sender.OrderWait, s.config.Sender.WindowBytes = time.Hour, 1<<20
	for i := range 3 {
		c := order("u", fmt.Sprint("so-", i), event.OrderRefunded)
		for len(c.Lines) < 2000 {
			c.Lines = append(c.Lines, event.Line{ProductID: strings.Repeat("P", 150), ProductName: strings.Repeat("N", 150), VariantID: "V", Quantity: 1, Price: "0.1"})
		}
		s.produceCommerce(t, c)
	}
	s.produce(t, newEvent("somebody-else", 1))
	s.start(t)
	s.awaitSettled(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 4})
}

func TestOnlyAReplayMaySayWhatIsDone(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	e := newEvent("u", 0)
	e.Attributes = []byte(`{"plan":"gold"}`)
	s.produceRaw(t, &stream.Record{Key: []byte("u"), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e), Headers: []stream.Header{{Key: "parts-done", Value: []byte("1")}}})
	s.start(t)
	s.awaitSettled(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1})
	if body := s.front.seen()[0].Body; !strings.Contains(body, "gold") {
		t.Errorf("it is delivered, and the attributes never went: %s", body)
	}
}

func TestAPaymentMayFailAgain(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	said := func(id string, kind event.CommerceType, hour int) event.Commerce {
		c := order("u", "so-1", kind)
		c.ID, c.OccurredAt = id, longAgo.Add(time.Duration(hour)*time.Hour)
		return c
	}
	s.produceCommerce(t, said("f1", event.PaymentFailed, 1), said("r1", event.PaymentRecovered, 2), said("f2", event.PaymentFailed, 24*30))
	s.start(t)
	s.awaitSettled(t)
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 3})
}

func TestAReplayedLinkIsSentAgain(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	link := newEvent("", 0)
	link.User = event.User{AliasLabel: "web", AliasName: "a-1"}
	link.Kind, link.IdentifiedAs = event.KindIdentify, "X"
	said := func(id string, headers ...stream.Header) *stream.Record {
		link.ID = id
		return &stream.Record{Key: []byte(link.User.Key()), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &link), Headers: headers}
	}
	s.produceRaw(t, said("l1"), said("l2"), said("l3", stream.Header{Key: "replayed-from", Value: []byte("x")}))
	s.start(t)
	slips := byID(s.awaitSettled(t))
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 2, outcome.Skipped: 1})
	if o := slips["l2"].Outcome; o.Reason != "same_link" {
		t.Errorf("said again: %v %s", o.Kind, o.Reason)
	}
}

func TestAReplayDoesNotRepeatWhatBrazeTookOfARecord(t *testing.T) {
	t.Parallel()
	s := newSandboxScene(t, brazefake.Options{})
	var mended atomic.Bool
	s.front.script(func(w wire) reply {
		if mended.Load() || !strings.Contains(w.Body, `"visits"`) {
			return reply{}
		}
		return reply{status: http.StatusCreated, body: `{"message":"success","errors":[{"type":"bad event","input_array":"events","index":0}],"attributes_processed":1}`}
	})
	e := newEvent("u", 0)
	e.Attributes = []byte(`{"visits":{"inc":1}}`)
	s.produce(t, e)
	r := s.start(t)
	s.awaitSettled(t)
	mended.Store(true)
	l := s.letters(t)[0]
	s.produceRaw(t, &stream.Record{Key: l.Key, Value: l.Value, Headers: append(l.Headers, stream.Header{Key: "replayed-from", Value: []byte("x")})})
	s.awaitSettled(t)
	r.drain(t)
	n := 0
	for _, w := range s.front.seen() {
		n += strings.Count(w.Body, `"visits"`)
	}
	if n != 1 {
		t.Errorf("the increment went %d times, and Braze took it the first time", n)
	}
	s.assertLaw(t, map[outcome.Kind]int{outcome.Delivered: 1, outcome.Refused: 1})
}

func TestALetterOfARecordThatTheRoutesRefuseLaterSaysWhatIsDone(t *testing.T) {
	t.Parallel()
	s, _, _ := blocked(t, 1, "/campaigns")
	r := s.start(t)
	s.awaitParts(t, 1, 1)
	s.awaitGauge(t, r, 2)
	r.drain(t)
	s.route(t, `
routes:
  - name: three
    match: {topic: customer.events, event: Three}
    send:
      - event: {}
      - campaign: {id: c-1, properties: {seq: '.nope | error("broken")'}}
`)
	r = s.start(t)
	s.awaitReceipts(t, 2)
	r.drain(t)
	for _, h := range s.letters(t)[0].Headers {
		if h.Key == "parts-done" && string(h.Value) == "1" {
			return
		}
	}
	t.Errorf("Braze has the event; the letter has headers %v", s.letters(t)[0].Headers)
}
