package deadletter_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

const service = "braze-sender"

func TestLettersOnTheEmbeddedBroker(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	letters(t, broker.Brokers())
}

func TestLettersOnApacheKafka(t *testing.T) { letters(t, kafkatest.Brokers(t)) }

func letters(t *testing.T, brokers []string) {
	kafka := stream.Config{Brokers: brokers, TopicPrefix: "dl-" + strings.ToLower(rand.Text()[:8]) + ".", Compression: "lz4", ReplicationFactor: -1}
	topic, _ := schema.Find(schema.DeadLetters(service))
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.CreateTopic(t.Context(), kafka.Topic(topic.Name), 1, topic.Configs()); err != nil {
		t.Fatal(err)
	}
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		t.Fatal(err)
	}
	w, err := deadletter.Open(kafka, service, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	at := time.UnixMilli(1_800_000_000_000).UTC()
	full := deadletter.Letter{
		Reason: "undecodable", Detail: "event_id: it claims more bytes than there are",
		OriginTopic: "customer.events", OriginPartition: 3, OriginOffset: 4711, AppendedAt: at,
		Key: []byte("crm-1001"), Value: []byte{0, 1, 2, 0xff}, Headers: []stream.Header{{Key: "source", Value: []byte("shop")}, {Key: "empty"}},
		EventID: "e-1", Attempts: 2, FirstAttemptAt: at, LastAttemptAt: at.Add(time.Second),
	}
	tombstone := full
	tombstone.Value, tombstone.Key, tombstone.Headers, tombstone.EventID = nil, nil, nil, ""
	// As large as a record can be on the topic it comes from: it must fit, envelope and all.
	largest := full
	largest.Value = randomBytes(schema.MaxMessageBytes - 200)
	// Larger than anything our topics take: another cluster's limits may be wider.
	giant := full
	giant.Value = randomBytes(7 << 20)
	giant.Detail = strings.Repeat("words ", 1000)

	for _, l := range []deadletter.Letter{full, tombstone, largest, giant} {
		done := make(chan error, 1)
		w.Write(t.Context(), l, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatalf("a letter of %d bytes: %v", len(l.Value), err)
		}
	}
	// What came by HTTP is nowhere else: a letter without it would be a loss that nobody is told of.
	body := giant
	body.OriginTopic, body.OriginPartition, body.OriginOffset = "/v1/hooks/shop", -1, -1
	done := make(chan error, 1)
	w.Write(t.Context(), body, func(err error) { done <- err })
	if err := <-done; !stream.Permanent(err) {
		t.Errorf("a body that fits nowhere: %v", err)
	}
	var got []deadletter.Letter
	var keys []string
	err = stream.Read(t.Context(), kafka, stream.Range{Topic: kafka.Topic(topic.Name)}, func(r *stream.Record) error {
		l, err := deadletter.Read(codec, r.Value)
		got, keys = append(got, l), append(keys, string(r.Key))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"crm-1001", "customer.events/3/4711", "crm-1001", "crm-1001"}, keys); diff != "" {
		t.Errorf("keys (-want +got)\n%s", diff)
	}
	for i, want := range []deadletter.Letter{full, tombstone, largest} {
		if !bytes.Equal(want.Value, got[i].Value) {
			t.Errorf("letter %d: the value is not what it was", i)
		}
		want.Value, got[i].Value = nil, nil
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("letter %d (-want +got)\n%s", i, diff)
		}
	}
	if l := got[3]; l.Value != nil || !strings.Contains(l.Detail, "7340032 bytes") || len(l.Detail) > 2100 {
		t.Errorf("the giant: %d bytes of value, detail of %d bytes: %.100s", len(l.Value), len(l.Detail), l.Detail)
	}
}

// randomBytes do not compress.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

func FuzzRead(f *testing.F) {
	topic, _ := schema.Find(schema.DeadLetters(service))
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{0, 0, 0, 0, 1, 2, 'x'})
	f.Add([]byte{0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, value []byte) {
		if _, err := deadletter.Read(codec, value); err != nil {
			if _, ok := avro.AsUnreadable(err); !ok {
				t.Fatalf("an error that is no verdict on the bytes: %v", err)
			}
		}
	})
}

// TestALetterForATransactionFits: what does not fit would abort the transaction, again and again.
func TestALetterForATransactionFits(t *testing.T) {
	kafka := stream.Config{TopicPrefix: "x."}
	topic, _ := schema.Find(schema.DeadLetters(service))
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := deadletter.NewEncoder(kafka, service, 1)
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1_800_000_000_000).UTC()
	for _, c := range []struct {
		name       string
		value      int
		header     int
		left       string
		incomplete bool
	}{
		{"as large as a record can be on its topic", schema.MaxMessageBytes, 10, "", false},
		{"a value that is too large", 7 << 20, 10, "the value", true},
		{"headers that are, too", 7 << 20, 7 << 20, "the list of 1 headers", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := e.Fitting(deadletter.Letter{
				Reason: "invalid", Detail: "words", OriginTopic: "t", OriginPartition: 1, OriginOffset: 2, Key: []byte("u"), Value: randomBytes(c.value),
				Headers: []stream.Header{{Key: "h", Value: randomBytes(c.header)}}, AppendedAt: at, FirstAttemptAt: at, LastAttemptAt: at,
			})
			if err != nil {
				t.Fatal(err)
			}
			if size := len(r.Value) + len(r.Key); size >= schema.MaxDeadLetterBytes || r.Topic != "x."+topic.Name {
				t.Errorf("%d bytes to %s", size, r.Topic)
			}
			l, err := deadletter.Read(codec, r.Value)
			if err != nil {
				t.Fatal(err)
			}
			if l.Incomplete() != c.incomplete || !strings.Contains(l.Detail, c.left) || (len(l.Value) == c.value) == c.incomplete {
				t.Errorf("%d bytes of value, %q", len(l.Value), l.Detail)
			}
		})
	}
}
