package replay_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
)

var (
	delivered = outcome.Outcome{Kind: outcome.Delivered}
	skipped   = outcome.Outcome{Kind: outcome.Skipped, Reason: "page_view"}
	refused   = outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "events: no"}
)

// story puts a record of every fate on customer.events, most of them of one customer, and returns where
// they stand.
func story(c *replaytest.Cluster) map[string]replay.Place {
	at := map[string]replay.Place{}
	at["before"] = c.Event("cus-1", "e-0", "Before", "")
	c.Receipt(at["before"], "cus-1", "e-0", delivered)
	at["delivered"] = c.Event("cus-1", "e-1", "Order Completed", `{"tier":"gold","city":"Graz"}`)
	c.Receipt(at["delivered"], "cus-1", "e-1", delivered)
	at["skipped"] = c.Event("cus-1", "e-2", "Home", "")
	c.Receipt(at["skipped"], "cus-1", "e-2", skipped)
	at["refused"] = c.Event("cus-1", "e-3", "Refused", `{"tier":"gold"}`)
	c.Letter(at["refused"], "cus-1", "e-3", refused)
	at["expired"] = c.Event("cus-1", "e-4", "No receipt is left of it", "")
	at["repeat"] = c.Event("cus-1", "e-1", "The same id as one that was delivered", "")
	c.Receipt(at["repeat"], "cus-1", "e-1", refused)
	at["other"] = c.Event("cus-2", "e-5", "Somebody else's", "")
	c.Receipt(at["other"], "cus-2", "e-5", refused)
	c.Caught()
	at["held"] = c.Event("cus-1", "e-6", "Not settled yet", "")
	return at
}

func order(copies bool) replay.Order {
	return replay.Order{
		Topic: schema.CustomerEvents, Service: replaytest.Service, Copy: copies,
		From: replay.Edge{At: replaytest.Began.Add(time.Second)}, MaxObjects: 2, Rate: quota.Rate{Count: 1, Per: time.Second},
	}
}

func TestAnEstimateOfAMoveSaysWhatWouldBeSentAgain(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	story(c)
	p, err := replay.Make(t.Context(), c.Cluster, order(false))
	if err != nil {
		t.Fatal(err)
	}
	points := 5 + 3 // the events but the skipped, and the attributes
	want := replay.Estimate{
		Records: 7, Users: 2, Bytes: p.Estimate.Bytes,
		Delivered: 1, Skipped: 1, Refused: 3, Held: 1, Unknown: 1,
		Again: 6, Anyway: 1, Doubled: 1, Objects: 7, Requests: 4, Attributes: 2, DataPoints: &points,
	}
	if diff := cmp.Diff(want, p.Estimate); diff != "" {
		t.Errorf("the estimate (-want +got):\n%s", diff)
	}
	if p.Estimate.Bytes < 7*20 || p.Duration() != 4*time.Second {
		t.Errorf("%d bytes, %v", p.Estimate.Bytes, p.Duration())
	}
}

func TestACopyTakesOnlyWhatHasNotArrivedAndTakesItOnce(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := story(c)
	before := len(c.Records(schema.CustomerEvents))
	p, err := replay.Make(t.Context(), c.Cluster, order(true))
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Estimate; e.Again != 4 || e.Arrived != 2 || e.Twice != 0 || e.Anyway != 1 || e.Doubled != 0 {
		t.Fatalf("the estimate is %+v", e)
	}
	done, err := p.Copy(t.Context())
	if err != nil || done != (replay.Copied{Records: 4}) {
		t.Fatalf("%+v, %v", done, err)
	}
	records := c.Records(schema.CustomerEvents)
	var got []string
	for _, r := range records {
		for _, of := range replay.Origins(r) {
			i := slices.IndexFunc(records, func(o *stream.Record) bool { return replay.PlaceOf(o) == of })
			original := records[i]
			got = append(got, of.String())
			if r.Partition != original.Partition || string(r.Key) != string(original.Key) || string(r.Value) != string(original.Value) {
				t.Errorf("the copy of %s is not what the original was", of)
			}
			if diff := cmp.Diff(append(slices.Clone(original.Headers), stream.Header{Key: replay.Header, Value: []byte(of.String())}), r.Headers); diff != "" {
				t.Errorf("headers of the copy of %s (-want +got):\n%s", of, diff)
			}
		}
	}
	want := []string{at["skipped"].String(), at["refused"].String(), at["expired"].String(), at["other"].String()}
	slices.Sort(want)
	order1 := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s == at["other"].String() })
	if diff := cmp.Diff([]string{at["skipped"].String(), at["refused"].String(), at["expired"].String()}, order1); diff != "" {
		t.Errorf("one customer's copies in their order (-want +got):\n%s", diff)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(records) != before+4 {
		t.Errorf("%d records became %d; copies (-want +got):\n%s", before, len(records), diff)
	}

	// Once more: the copies are yet to be settled, and their originals are copied.
	again, err := replay.Make(t.Context(), c.Cluster, order(true))
	if err != nil {
		t.Fatal(err)
	}
	if e := again.Estimate; e.Again != 0 || e.Twice != 4 || e.Arrived != 2 || e.Anyway != 5 {
		t.Errorf("the second estimate is %+v", e)
	}
	everything := order(true)
	everything.Everything = true
	if p, err = replay.Make(t.Context(), c.Cluster, everything); err != nil || p.Estimate.Again != 6 || p.Estimate.Doubled != 1 {
		t.Errorf("everything: %+v, %v", p.Estimate, err)
	}
}

func TestARecordWhoseLetterWasSentBackIsNotCopied(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := story(c)
	c.Letter(at["refused"], "cus-1", "e-3", outcome.Outcome{Kind: outcome.Refused, Reason: "replayed"})
	p, err := replay.Make(t.Context(), c.Cluster, order(true))
	if err != nil || p.Estimate.Again != 3 || p.Estimate.Twice != 1 {
		t.Errorf("%+v, %v", p.Estimate, err)
	}
}

func TestOffsetsAreSetBackAndNeverForward(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := story(c)
	topic, group := c.Kafka.Topic(schema.CustomerEvents), c.Kafka.Group(replaytest.Service)
	one, two := replaytest.PartitionOf("cus-1"), replaytest.PartitionOf("cus-2")
	if one == two {
		t.Fatal("the two customers share a partition")
	}
	c.Commit(map[int32]int64{two: 0}) // it has not come to anything there
	p, err := replay.Make(t.Context(), c.Cluster, order(false))
	if err != nil {
		t.Fatal(err)
	}
	held := at["held"].Offset
	if diff := cmp.Diff([]replay.Stretch{{Partition: one, From: 1, Until: held + 1, Committed: held}}, p.Stretches); diff != "" {
		t.Errorf("stretches (-want +got):\n%s", diff)
	}
	if err := p.Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	committed, err := c.Admin.Committed(t.Context(), group)
	if err != nil || committed[topic][one] != 1 || committed[topic][two] != 0 {
		t.Errorf("committed: %v, %v", committed, err)
	}
	if p, err = replay.Make(t.Context(), c.Cluster, order(false)); err != nil || len(p.Stretches) != 0 || p.Estimate.Records != 0 {
		t.Errorf("a second time there is nothing to set back: %+v, %v", p, err)
	}
}

// idle takes what it is given and does nothing with it.
type idle struct{}

func (idle) Assigned(context.Context, []*stream.Partition) error { return nil }
func (idle) Revoked(context.Context, []*stream.Partition)        {}
func (idle) Take(context.Context, []stream.Delivery) error       { return nil }

func await(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("waited in vain")
		}
	}
}

func TestAGroupAtWorkIsNotSetBack(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	story(c)
	p, err := replay.Make(t.Context(), c.Cluster, order(false))
	if err != nil {
		t.Fatal(err)
	}
	kafka := c.Kafka
	kafka.ClientID = "busy"
	member, err := stream.NewConsumer(kafka, stream.ConsumerOptions{
		Group: p.Group, Topics: []string{c.Kafka.Topic(schema.CustomerProfiles)}, Log: zerolog.Nop(),
	}, idle{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	ended := make(chan error, 1)
	go func() { ended <- member.Run(ctx) }()
	await(t, func() bool { return p.Idle(t.Context()) != nil })
	var active *replay.ActiveError
	if err := p.Move(t.Context()); !errors.As(err, &active) || !strings.Contains(err.Error(), "stop every replica of braze-sender") || !strings.Contains(err.Error(), "busy at ") {
		t.Errorf("setting a group back that is at work: %v", err)
	}
	leave()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	await(t, func() bool { return p.Idle(t.Context()) == nil })
	if err := p.Move(t.Context()); err != nil {
		t.Errorf("once it has left: %v", err)
	}
}

func TestOrdersThatMeanNothingAreRefusedWithWords(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	story(c)
	for _, tc := range []struct {
		name   string
		change func(*replay.Order)
		want   string
	}{
		{"a topic that is not there", func(o *replay.Order) { o.Topic = "nosuch" }, "there is no topic test.nosuch"},
		{"a service that does not read it", func(o *replay.Order) { o.Service = "ingest" }, "the group test.ingest has committed nothing"},
		{"an offset without its partition", func(o *replay.Order) { o.From = replay.Edge{ByOffset: true, Offset: 3} }, "say which with --partition"},
		{"a partition that is not there", func(o *replay.Order) { o.Only = []int32{9} }, "no partition 9"},
		{"an end without a copy", func(o *replay.Order) { o.Until = replay.Edge{At: replaytest.Began} }, "needs --copy"},
	} {
		o := order(false)
		tc.change(&o)
		if _, err := replay.Make(t.Context(), c.Cluster, o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestARangeEndsWhereItIsTold(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := story(c)
	o := order(true)
	o.From = replay.Edge{ByOffset: true, Offset: at["refused"].Offset}
	o.Until = replay.Edge{ByOffset: true, Offset: at["expired"].Offset + 1}
	o.Only = []int32{replaytest.PartitionOf("cus-1")}
	p, err := replay.Make(t.Context(), c.Cluster, o)
	if err != nil || p.Estimate.Records != 2 || p.Estimate.Again != 2 {
		t.Errorf("%+v, %v", p.Estimate, err)
	}
}
