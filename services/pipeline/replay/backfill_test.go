package replay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// profiles writes changes of profiles, the ith of them as change makes it, without waiting for each.
func profiles(tb testing.TB, c *replaytest.Cluster, n int, change func(i int) event.Profile) []*stream.Record {
	tb.Helper()
	producer, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer producer.Close()
	records := make([]*stream.Record, n)
	for i := range records {
		p := change(i)
		records[i] = &stream.Record{
			Topic: c.Kafka.Topic(schema.CustomerProfiles), Key: []byte(p.User.Key()), Timestamp: p.ReceivedAt,
			Value: avro.AppendProfile(nil, replaytest.ID(schema.CustomerProfiles), &p),
		}
	}
	if err := producer.ProduceAll(context.Background(), records...); err != nil {
		tb.Fatal(err)
	}
	return records
}

// remembers makes the cluster one on which attribute-sync has read all profiles and knows them.
func remembers(tb testing.TB, c *replaytest.Cluster, rules *replay.Profiles, records []*stream.Record) {
	tb.Helper()
	topic, _ := schema.Find(schema.State(attributesync.Name))
	if err := c.Admin.CreateTopic(tb.Context(), c.Kafka.Topic(topic.Name), replaytest.Partitions, topic.Configs()); err != nil {
		tb.Fatal(err)
	}
	producer, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	defer producer.Close()
	preview, known := attributesync.NewPreview(rules.Fields, c.Schemas, rules.Repeats), map[string][]byte{}
	for _, r := range records {
		key := string(r.Key)
		if known[key], _, err = preview.Apply(tb.Context(), key, known[key], []*stream.Record{r}, time.Now()); err != nil {
			tb.Fatal(err)
		}
	}
	var states []*stream.Record
	for key, state := range known {
		// An older value of each stands before it: a topic is not compacted at once.
		for _, value := range [][]byte{[]byte("torn"), state} {
			states = append(states, &stream.Record{Topic: c.Kafka.Topic(schema.State(attributesync.Name)), Key: []byte(key), Value: value})
		}
	}
	if err := producer.ProduceAll(tb.Context(), states...); err != nil {
		tb.Fatal(err)
	}
}

// reads says that attribute-sync has come to the end of the profiles.
func reads(tb testing.TB, c *replaytest.Cluster) {
	tb.Helper()
	topic := c.Kafka.Topic(schema.CustomerProfiles)
	extents, err := c.Admin.Extents(tb.Context(), topic)
	if err != nil {
		tb.Fatal(err)
	}
	ends := map[int32]int64{}
	for n, e := range extents {
		ends[n] = e.End
	}
	if err := c.Admin.MoveOffsets(tb.Context(), c.Kafka.Group(attributesync.Name), topic, ends); err != nil {
		tb.Fatal(err)
	}
}

func rules(tb testing.TB) *replay.Profiles {
	tb.Helper()
	fields, err := attributesync.LoadFields("")
	if err != nil {
		tb.Fatal(err)
	}
	return &replay.Profiles{Fields: fields, Batch: 10_000, Repeats: 24 * time.Hour}
}

func backfill(tb testing.TB, c *replaytest.Cluster, o replay.Order) *replay.Plan {
	tb.Helper()
	o.Topic, o.Service, o.From = schema.CustomerProfiles, attributesync.Name, replay.Edge{ByOffset: true}
	p, err := replay.Make(tb.Context(), c.Cluster, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// crm is the ith change of a customer's profile by the CRM.
func crm(i, customer int, set string) event.Profile {
	at := replaytest.Began.Add(time.Duration(i) * time.Second)
	return event.Profile{
		ID: fmt.Sprintf("p-%d", i), User: event.User{ExternalID: fmt.Sprintf("cus-%d", customer)}, Source: "crm",
		Set: []byte(set), OccurredAt: at, ReceivedAt: at,
	}
}

func TestABackfillCostsWhatDiffersFromWhatIsKnownNow(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	changes := []event.Profile{
		crm(0, 1, `{"tier":"gold","city":"Graz"}`),
		crm(1, 2, `{"tier":"gold"}`),
		crm(2, 1, `{"tier":"silver"}`), // together with the first it is one update
		crm(3, 3, `{"country":"Atlantis"}`),
		crm(4, 2, `{"tier":"gold"}`),
	}
	records := profiles(t, c, len(changes), func(i int) event.Profile { return changes[i] })
	reads(t, c)
	r := rules(t)
	p := backfill(t, c, replay.Order{Profiles: r})
	want := replay.Backfill{Users: 2, Cost: attributesync.Cost{
		Records: 5, Told: 3, Unchanged: 1, Refused: 1, Updates: 2, DataPoints: 3, Saved: 2,
	}}
	if diff := cmp.Diff(&want, p.Estimate.Backfill); diff != "" {
		t.Errorf("with nothing known (-want +got):\n%s", diff)
	}
	if p.Estimate.DataPoints == nil || *p.Estimate.DataPoints != 3 {
		t.Errorf("data points: %v", p.Estimate.DataPoints)
	}

	remembers(t, c, r, records)
	p = backfill(t, c, replay.Order{Profiles: r})
	if b := p.Estimate.Backfill; b.Updates != 0 || b.DataPoints != 0 || b.Users != 0 || b.Refused != 1 {
		t.Errorf("once everything is known it costs %+v", b)
	}

	// What is new since then is what it costs, whether it has been read already or not.
	profiles(t, c, 1, func(int) event.Profile { return crm(9, 1, `{"tier":"gold","city":"Graz","score":7}`) })
	p = backfill(t, c, replay.Order{Profiles: r})
	if b := p.Estimate.Backfill; b.Updates != 1 || b.DataPoints != 2 || b.Users != 1 {
		t.Errorf("with something new it costs %+v", b)
	}
	if p = backfill(t, c, replay.Order{}); p.Estimate.Backfill != nil {
		t.Errorf("without rules there is an estimate: %+v", p.Estimate.Backfill)
	}
}

// Batches fold only what comes together.
func TestABackfillFoldsBatchByBatch(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	profiles(t, c, 6, func(i int) event.Profile { return crm(i, 1, fmt.Sprintf(`{"score":%d}`, i)) })
	reads(t, c)
	for batch, updates := range map[int]int{1: 6, 2: 3, 4: 2, 100: 1} {
		r := rules(t)
		r.Batch = batch
		if b := backfill(t, c, replay.Order{Profiles: r}).Estimate.Backfill; b.Updates != updates {
			t.Errorf("in batches of %d there are %d updates, want %d", batch, b.Updates, updates)
		}
	}
}

// A hundred thousand records of ten thousand customers, of whom everything is known but the last change.
func BenchmarkBackfill(b *testing.B) {
	const customers, records = 10_000, 100_000
	c := replaytest.Start(b)
	list := profiles(b, c, records, func(i int) event.Profile {
		return crm(i, i%customers, fmt.Sprintf(`{"tier":"gold","city":"Graz","score":%d,"a":1,"b":2,"c":3,"d":true,"e":"text","f":[1,2],"g":{"h":1}}`, i/customers))
	})
	reads(b, c)
	r := rules(b)
	remembers(b, c, r, list[:records-customers])
	for b.Loop() {
		if p := backfill(b, c, replay.Order{Profiles: r}); p.Estimate.Backfill.Records != records {
			b.Fatalf("%+v", p.Estimate.Backfill)
		}
	}
	b.ReportMetric(float64(records*b.N)/b.Elapsed().Seconds(), "records/s")
}
