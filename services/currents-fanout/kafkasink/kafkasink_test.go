package kafkasink

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const topic = "analytics.engagement"

// far is another cluster.
type far struct {
	*embedded.Broker
	config stream.Config
}

func start(t testing.TB, partitions int32, configs map[string]string) *far {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &far{broker, stream.Config{Brokers: broker.Brokers(), ReplicationFactor: -1}}
	if partitions > 0 {
		admin, err := stream.NewAdmin(f.config)
		if err != nil {
			t.Fatal(err)
		}
		defer admin.Close()
		if err := admin.CreateTopic(t.Context(), topic, partitions, configs); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *far) open(t testing.TB, change func(*Options)) sink.Sink {
	t.Helper()
	o := Options{Brokers: f.Brokers(), Topic: topic, Timeout: 5 * time.Second}
	if change != nil {
		change(&o)
	}
	s, err := Open(t.Context(), o, sink.Deps{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stands are the records of the topic, by partition.
func (f *far) stands(t testing.TB) map[int32][]*stream.Record {
	t.Helper()
	var mu sync.Mutex
	all := map[int32][]*stream.Record{}
	err := stream.Read(t.Context(), f.config, stream.Range{Topic: topic}, func(r *stream.Record) error {
		mu.Lock()
		defer mu.Unlock()
		all[r.Partition] = append(all[r.Partition], r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func engagement(n int) *sink.Event {
	id, customer := fmt.Sprintf("id-%05d", n), fmt.Sprintf("crm-%d", n%5)
	document := fmt.Appendf(nil, `{"event_type":"users.messages.email.Open","id":%q,"n":%d}`, id, n)
	return &sink.Event{
		ID: id, Type: "users.messages.email.Open", Key: customer, JSON: document,
		Engagement: &event.Engagement{
			ID: id, Type: "users.messages.email.Open", User: event.User{ExternalID: customer}, JSON: document,
			OccurredAt: time.UnixMilli(1785315688000).UTC(), ReceivedAt: time.UnixMilli(1785315689000).UTC(),
		},
	}
}

func engagements(n int) []*sink.Event {
	batch := make([]*sink.Event, n)
	for i := range batch {
		batch[i] = engagement(i)
	}
	return batch
}

func headersOf(r *stream.Record) map[string]string {
	all := map[string]string{}
	for _, h := range r.Headers {
		all[h.Key] = string(h.Value)
	}
	return all
}

func TestEventsStandAsRecordsInOrder(t *testing.T) {
	f := start(t, 3, nil)
	s := f.open(t, nil)
	batch := engagements(1000)
	for i := 0; i < len(batch); i += 100 {
		if diff := cmp.Diff(sink.Delivered(), s.Write(t.Context(), batch[i:i+100])); diff != "" {
			t.Fatal(diff)
		}
	}
	count := 0
	for partition, records := range f.stands(t) {
		last := map[string]string{}
		for _, r := range records {
			key := string(r.Key)
			e := batch[numberOf(t, r)]
			if key != e.Key || string(r.Value) != string(e.JSON) || stream.PartitionOf(r.Key, 3) != partition {
				t.Errorf("record %s %s of partition %d", r.Key, r.Value, partition)
			}
			if diff := cmp.Diff(map[string]string{"event-id": e.ID, "event-type": e.Type}, headersOf(r)); diff != "" {
				t.Error(diff)
			}
			if id := headersOf(r)["event-id"]; id <= last[key] {
				t.Errorf("%s after %s", id, last[key])
			} else {
				last[key] = id
			}
			count++
		}
	}
	if count != len(batch) {
		t.Errorf("%d records", count)
	}
}

func numberOf(t *testing.T, r *stream.Record) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscanf(headersOf(r)["event-id"], "id-%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKeys(t *testing.T) {
	for key, want := range map[string]string{"customer": "crm-1", "event_id": "id-00001", "none": ""} {
		f := start(t, 1, nil)
		s := f.open(t, func(o *Options) { o.Key = key })
		s.Write(t.Context(), []*sink.Event{engagement(1)})
		if got := string(f.stands(t)[0][0].Key); got != want {
			t.Errorf("%s: key %q, want %q", key, got, want)
		}
	}
}

func TestARecordThatIsTooLargeIsRefusedAlone(t *testing.T) {
	f := start(t, 1, nil)
	s := f.open(t, func(o *Options) { o.MaxRecordBytes = 2000 })
	batch := engagements(4)
	batch[1].JSON = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 3000))
	batch[2].JSON = nil
	a := s.Write(t.Context(), batch)
	want := []string{"delivered ", "refused record_refused", "refused no_record", "delivered "}
	if diff := cmp.Diff(want, fates(a, 4)); diff != "" {
		t.Error(diff)
	}
	if n := len(f.stands(t)[0]); n != 2 {
		t.Errorf("%d records", n)
	}
}

func fates(a sink.Answer, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = a.Of(i).Kind.String() + " " + a.Of(i).Reason
	}
	return texts
}

func TestATopicThatIsMissingNeedsAPerson(t *testing.T) {
	f := start(t, 0, nil)
	a := f.open(t, nil).Write(t.Context(), engagements(3))
	if diff := cmp.Diff(slices.Repeat([]string{"deferred denied"}, 3), fates(a, 3)); diff != "" || !a.Halt {
		t.Error(diff, a)
	}
}

func TestAClusterThatIsAwayComesBack(t *testing.T) {
	f := start(t, 1, nil)
	s := f.open(t, func(o *Options) { o.Timeout = time.Second })
	batch := engagements(3)
	thaw := f.Freeze()
	a := s.Write(t.Context(), batch)
	if diff := cmp.Diff(slices.Repeat([]string{"deferred unavailable"}, 3), fates(a, 3)); diff != "" || a.Halt {
		t.Error(diff, a)
	}
	thaw()
	// What was on its way may still come: the ids say so.
	for a = s.Write(t.Context(), batch); a.Of(0).Kind != outcome.Delivered; a = s.Write(t.Context(), batch) {
		if a.Of(0).Kind != outcome.Deferred {
			t.Fatal(a)
		}
	}
	seen := map[string]int{}
	for _, r := range f.stands(t)[0] {
		seen[headersOf(r)["event-id"]]++
	}
	if len(seen) != 3 {
		t.Error(seen)
	}
}

func TestAnAnswerThatIsLostDoublesNothing(t *testing.T) {
	f := start(t, 1, nil)
	s := f.open(t, nil)
	f.LoseProduceAnswers(1)
	if a := s.Write(t.Context(), engagements(3)); a.All.Kind != outcome.Delivered {
		t.Error(a)
	}
	if n := len(f.stands(t)[0]); n != 3 {
		t.Errorf("%d records", n)
	}
}

func TestAWriteEndsWithItsContext(t *testing.T) {
	f := start(t, 1, nil)
	s := f.open(t, func(o *Options) { o.Timeout = time.Minute })
	thaw := f.Freeze()
	defer thaw()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if diff := cmp.Diff(slices.Repeat([]string{"deferred interrupted"}, 3), fates(s.Write(ctx, engagements(3)), 3)); diff != "" {
		t.Error(diff)
	}
}

// The batch is the caller's again when Write is back, and the client may not have sent it yet.
func TestRecordsDoNotShareTheBatchsMemory(t *testing.T) {
	f := start(t, 1, nil)
	s := f.open(t, func(o *Options) { o.Timeout = time.Minute })
	thaw := f.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	batch := engagements(1)
	want := string(batch[0].JSON)
	s.Write(ctx, batch)
	copy(batch[0].JSON, strings.Repeat("#", len(want)))
	thaw()
	// The client may fail what stands behind a record that was given up along with it.
	for a := s.Write(t.Context(), []*sink.Event{engagement(0)}); a.Of(0).Kind != outcome.Delivered; a = s.Write(t.Context(), []*sink.Event{engagement(0)}) {
		if a.Of(0).Kind != outcome.Deferred {
			t.Fatal(a)
		}
	}
	for _, r := range f.stands(t)[0] {
		if string(r.Value) != want {
			t.Errorf("%s", r.Value)
		}
	}
}

// max.message.bytes of the topic bounds what the client puts together, of which no record is at fault.
func TestABatchThatIsTooLargeForTheTopicIsSplit(t *testing.T) {
	f := start(t, 1, map[string]string{"max.message.bytes": "4000"})
	s := f.open(t, func(o *Options) { o.Compression = "none" })
	batch := engagements(8)
	for i := range batch {
		batch[i].JSON = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 1000))
	}
	batch[5].JSON = fmt.Appendf(nil, `{"x":%q}`, strings.Repeat("x", 5000)) // at fault
	got := map[string]int{}
	var hand func(part []*sink.Event)
	hand = func(part []*sink.Event) {
		a := s.Write(t.Context(), part)
		if a.Split {
			hand(part[:len(part)/2])
			hand(part[len(part)/2:])
			return
		}
		for _, fate := range fates(a, len(part)) {
			got[fate]++
		}
	}
	hand(batch)
	if diff := cmp.Diff(map[string]int{"delivered ": 7, "refused record_refused": 1}, got); diff != "" {
		t.Error(diff)
	}
	if n := len(f.stands(t)[0]); n != 7 {
		t.Errorf("%d records", n)
	}
}
