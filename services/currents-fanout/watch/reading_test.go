package watch_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// TestWhatSinksReadIsNotReadAgainAndCountsOnce: whatever of a topic is offered, and in whichever pieces, the books
// come to the same.
func TestWhatSinksReadIsNotReadAgainAndCountsOnce(t *testing.T) {
	t.Parallel()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	kafka := stream.Config{Brokers: broker.Brokers(), Compression: "lz4", TopicPrefix: "offered."}
	topic := kafka.Topic(schema.BrazeEngagements)
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(t.Context(), topic, 1, nil); err != nil {
		t.Fatal(err)
	}
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	events := func(from, to int) (records []*stream.Record) {
		for i := from; i < to; i++ {
			now := time.Now().UTC().Truncate(time.Millisecond)
			e := event.Engagement{
				ID: fmt.Sprint("e", i), User: event.User{ExternalID: "u"}, Type: "users.messages.email.Send", Channel: "email",
				OccurredAt: now, ReceivedAt: now, Workspace: "eu", CampaignID: "c", JSON: []byte(`{"id":"e"}`),
			}
			records = append(records, &stream.Record{Topic: topic, Offset: int64(i), Value: avro.AppendEngagement(nil, 1, &e)})
		}
		return records
	}
	produced := func(from, to int) {
		t.Helper()
		if err := producer.ProduceAll(t.Context(), events(from, to)...); err != nil {
			t.Fatal(err)
		}
	}
	produced(0, 100)
	w := startReplica(t, kafka)
	counted := func() (n uint64) {
		s, _ := w.Snapshot()
		for _, c := range s.Connectors {
			n += c.Events
		}
		return n
	}
	await(t, "the day before is read", func() bool { return counted() == 100 })
	used := 0
	offer := func(from, end int) {
		w.Offer(0, int64(from), int64(end), func() []*stream.Record {
			used++
			return events(from, end)
		})
	}
	// These do not stand on the topic, so nobody but who offers them can have them counted.
	for _, piece := range [][2]int{{100, 150}, {120, 150}, {50, 160}, {300, 320}, {310, 340}, {160, 300}} {
		offer(piece[0], piece[1])
	}
	if got := counted(); got != 340 {
		t.Errorf("%d events are counted, want 340", got)
	}
	if used != 5 {
		t.Errorf("%d pieces were looked at, want 5: one had been offered before", used)
	}
	if n := w.values(t, "sluice_currents_watch_unreadable_total")[""]; n != 0 {
		t.Errorf("%v records could not be read", n)
	}
}
