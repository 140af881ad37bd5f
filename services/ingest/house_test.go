package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/registry"
	registryembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// onEveryBroker runs a test on the embedded Kafka and on Apache Kafka.
func onEveryBroker(t *testing.T, test func(t *testing.T, kafka stream.Config)) {
	t.Run("embedded Kafka", func(t *testing.T) { test(t, kafkaAt(startBroker(t, embedded.Config{}).Brokers()...)) })
	t.Run("Apache Kafka", func(t *testing.T) {
		kafka := kafkaAt(kafkatest.Brokers(t)...)
		kafka.TopicPrefix = kafkatest.Prefix(t)
		test(t, kafka)
	})
}

func startBroker(t *testing.T, c embedded.Config) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func kafkaAt(brokers ...string) stream.Config {
	return stream.Config{Brokers: brokers, CreateTopics: true, Partitions: 3, ReplicationFactor: -1, Compression: "lz4"}
}

// house is the whole service with its Kafka, as a process runs it.
type house struct {
	*Service
	kafka   stream.Config
	url     string
	process *daemon.Process
	stop    context.CancelFunc
	stopped chan error
}

func openHouse(t *testing.T, kafka stream.Config, change func(*Options)) *house {
	t.Helper()
	reg, err := registryembedded.Start(t.Context(), registryembedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reg.Close() })
	o := testOptions()
	o.DrainPause = 200 * time.Millisecond
	if change != nil {
		change(&o)
	}
	p := &daemon.Process{
		Name: Name, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.InfoLevel), Metrics: prometheus.NewRegistry(),
		Health: &daemon.Health{}, DrainTimeout: 20 * time.Second,
	}
	s, err := open(t.Context(), Config{Kafka: kafka, Registry: registry.Config{URL: reg.URL()}, Ingest: o}, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	h := &house{Service: s, kafka: kafka, url: "http://" + s.Addr(), process: p, stop: cancel, stopped: make(chan error, 1)}
	go func() { h.stopped <- s.Run(ctx) }()
	t.Cleanup(h.close)
	return h
}

// close stops the service and waits until it has drained.
func (h *house) close() {
	h.stop()
	if h.stopped != nil {
		<-h.stopped
		h.stopped = nil
	}
}

// post sends events as the holder of the first key.
func (h *house) post(ctx context.Context, client *http.Client, body string) (code int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url+"/v1/events", strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Authorization", "Bearer k1")
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, errors.Join(err, resp.Body.Close())
}

// read reads a topic to its end, with another client than the one that wrote it, in order within each
// partition.
func (h *house) read(t *testing.T, topic string) []kafka.Message {
	t.Helper()
	name := h.kafka.Topic(topic)
	var all []kafka.Message
	for partition := range int(h.kafka.Partitions) {
		conn, err := kafka.DialLeader(t.Context(), "tcp", h.kafka.Brokers[0], name, partition)
		if err != nil {
			t.Fatal(err)
		}
		first, last, err := conn.ReadOffsets()
		if err := errors.Join(err, conn.Close()); err != nil {
			t.Fatal(err)
		}
		if first == last {
			continue
		}
		r := kafka.NewReader(kafka.ReaderConfig{
			Brokers: h.kafka.Brokers, Topic: name, Partition: partition, MinBytes: 1, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond,
		})
		for next := first; next < last; {
			m, err := r.ReadMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m)
			next = m.Offset + 1
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// decode reads a record's value with goavro, which is not what wrote it.
func decode(t *testing.T, topic string, value []byte) map[string]any {
	t.Helper()
	found, _ := schema.Find(topic)
	codec, err := goavro.NewCodec(found.Text())
	if err != nil {
		t.Fatal(err)
	}
	if len(value) < 5 || value[0] != 0 {
		t.Fatalf("no header: % x", value)
	}
	native, rest, err := codec.NativeFromBinary(value[5:])
	if err != nil || len(rest) > 0 {
		t.Fatalf("%d bytes left over, %v", len(rest), err)
	}
	record := native.(map[string]any)
	for name, v := range record { // a union's branch is nobody's business here
		if union, ok := v.(map[string]any); ok && len(union) == 1 {
			for _, inner := range union {
				record[name] = inner
			}
		}
	}
	return record
}

// byID counts records by their event-id header.
func byID(messages []kafka.Message) map[string]int {
	ids := map[string]int{}
	for _, m := range messages {
		ids[header(m, "event-id")]++
	}
	return ids
}

func header(m kafka.Message, name string) string {
	for _, h := range m.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// freshClient is an HTTP client with connections of its own.
func freshClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

func array(items ...string) string { return "[" + strings.Join(items, ",") + "]" }

// orders are n events of a user, in order.
func orders(user string, from, n int) []string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf(`{"id":"%s-%04d","user":{"external_id":"%s"},"name":"Order Completed","properties":{"n":%d,"total":84.90}}`, user, from+i, user, from+i)
	}
	return items
}
