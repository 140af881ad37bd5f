package embedded_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// start runs a broker that ends with the test.
func start(t *testing.T, cfg embedded.Config) *embedded.Broker {
	t.Helper()
	cfg.Log = func(line string) { t.Log(line) }
	b, err := embedded.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// dial is a kgo client that ends with the test.
func dial(t *testing.T, b *embedded.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append([]kgo.Opt{kgo.SeedBrokers(b.Brokers()...), kgo.ProducerLinger(0), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.CloseAllowingRebalance)
	return cl
}

// create makes a topic with settings given as "name=value".
func create(t *testing.T, b *embedded.Broker, partitions int32, topic string, settings ...string) {
	t.Helper()
	configs := make(map[string]*string)
	for _, s := range settings {
		name, value, _ := strings.Cut(s, "=")
		configs[name] = &value
	}
	if _, err := kadm.NewClient(dial(t, b)).CreateTopic(t.Context(), partitions, 1, configs, topic); err != nil {
		t.Fatalf("creating %s: %v", topic, err)
	}
}

// produce writes values to partition 0 of topic, one record each.
func produce(t *testing.T, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("producing %q: %v", v, err)
		}
	}
}

// read polls until n values have come.
func read(t *testing.T, cl *kgo.Client, n int) []string {
	t.Helper()
	var values []string
	for len(values) < n {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d values: %v", len(values), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

// numbers are n values "0", "1", …
func numbers(n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(i)
	}
	return values
}

// until asks again and again whether something has come to be, as long as the test may run.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for: %s", what)
		case <-tick.C:
		}
	}
}

func TestAGroupOfKgoReadsWhatKgoWrote(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 3, "orders")
	produce(t, dial(t, b), "orders", numbers(500)...)

	reader := dial(t, b, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	got := read(t, reader, 500)
	slices.SortFunc(got, func(a, b string) int { return strings.Compare(fmt.Sprintf("%4s", a), fmt.Sprintf("%4s", b)) })
	if diff := cmp.Diff(numbers(500), got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if err := reader.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAGroupOfKafkaGoReadsWhatKafkaGoWrote(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	w := &kafka.Writer{Addr: kafka.TCP(b.Addr()), Topic: "orders", RequiredAcks: kafka.RequireAll, BatchTimeout: 5 * time.Millisecond}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		kafka.DefaultTransport.(*kafka.Transport).CloseIdleConnections()
	})
	messages := make([]kafka.Message, 100)
	for i, n := range numbers(100) {
		messages[i] = kafka.Message{Key: []byte("k"), Value: []byte(n)}
	}
	if err := w.WriteMessages(t.Context(), messages...); err != nil {
		t.Fatal(err)
	}

	// Two lives of one group: the second goes on where the first committed.
	var got []string
	for range 2 {
		r := kafka.NewReader(kafka.ReaderConfig{Brokers: b.Brokers(), Topic: "orders", GroupID: "readers", MaxWait: 50 * time.Millisecond})
		for range 50 {
			m, err := r.FetchMessage(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := r.CommitMessages(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			got = append(got, string(m.Value))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(numbers(100), got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestARestartWithTheSameFolderKeepsRecordsAndCommittedOffsets(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kafka")
	first := start(t, embedded.Config{Dir: dir})
	create(t, first, 1, "orders")
	produce(t, dial(t, first), "orders", numbers(100)...)
	reader := dial(t, first, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	read(t, reader, 100)
	admin := kadm.NewClient(reader)
	reader.CommitOffsetsSync(t.Context(), map[string]map[int32]kgo.EpochOffset{"orders": {0: {Epoch: -1, Offset: 60}}}, nil)
	if committed, err := admin.FetchOffsets(t.Context(), "readers"); err != nil || committed["orders"][0].At != 60 {
		t.Fatalf("committed %v, error %v; want offset 60", committed, err)
	}
	reader.CloseAllowingRebalance()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, embedded.Config{Dir: dir})
	again := dial(t, second, kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit())
	if diff := cmp.Diff(numbers(100)[60:], read(t, again, 40)); diff != "" {
		t.Errorf("values after the committed offset (-want +got):\n%s", diff)
	}
	whole := dial(t, second, kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if diff := cmp.Diff(numbers(100), read(t, whole, 100)); diff != "" {
		t.Errorf("all values (-want +got):\n%s", diff)
	}
}

func TestABrokerWithoutAFolderLeavesNothingBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	produce(t, dial(t, b), "orders", "a")
	if left := entries(t, os.TempDir()); len(left) != 1 {
		t.Fatalf("temporary folders while running: %q, want one", left)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if left := entries(t, os.TempDir()); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range found {
		names = append(names, e.Name())
	}
	return names
}

func TestOnlyOneBrokerHasAFolder(t *testing.T) {
	dir := t.TempDir()
	first := start(t, embedded.Config{Dir: dir})
	if _, err := embedded.Start(t.Context(), embedded.Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("second broker: got error %v, want one about another process", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	start(t, embedded.Config{Dir: dir})
}

func TestStartRefusesWhatItCannotServe(t *testing.T) {
	taken := start(t, embedded.Config{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "meta.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cfg  embedded.Config
		want string
	}{
		{name: "an address that others can reach", cfg: embedded.Config{Addr: "0.0.0.0:0"}, want: "loopback"},
		{name: "every interface of IPv6", cfg: embedded.Config{Addr: "[::]:0"}, want: "loopback"},
		{name: "a host by name", cfg: embedded.Config{Addr: "example.com:9092"}, want: "loopback"},
		{name: "an address without a port", cfg: embedded.Config{Addr: "9092"}, want: "reading address"},
		{name: "a port that is taken", cfg: embedded.Config{Addr: taken.Addr()}, want: "address already in use"},
		{name: "a folder that is a file", cfg: embedded.Config{Dir: file}, want: "data folder"},
		{name: "a folder that cannot be read", cfg: embedded.Config{Dir: damaged}, want: "remove it to start empty"},
		{name: "a negative partition count", cfg: embedded.Config{Partitions: -1}, want: "partitions"},
		{name: "a negative cleaning interval", cfg: embedded.Config{CleanEvery: -1}, want: "cleaning"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := embedded.Start(t.Context(), tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestTheAddressIsLoopbackInEveryForm(t *testing.T) {
	for _, addr := range []string{"", ":0", "localhost:0", "127.0.0.1:0"} {
		t.Run(addr, func(t *testing.T) {
			b := start(t, embedded.Config{Addr: addr})
			host, port, err := net.SplitHostPort(b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			if host != "127.0.0.1" || port == "0" {
				t.Errorf("got %s, want 127.0.0.1 and a port", b.Addr())
			}
			if diff := cmp.Diff([]string{b.Addr()}, b.Brokers()); diff != "" {
				t.Errorf("brokers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestATopicThatDoesNotSayGetsTheConfiguredPartitions(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  int
		want int
	}{
		{name: "twelve unless told otherwise", want: 12},
		{name: "as many as told", set: 5, want: 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, embedded.Config{Partitions: tt.set})
			create(t, b, -1, "orders")
			topics, err := kadm.NewClient(dial(t, b)).ListTopics(t.Context(), "orders")
			if err != nil {
				t.Fatal(err)
			}
			if got := len(topics["orders"].Partitions); got != tt.want {
				t.Errorf("got %d partitions, want %d", got, tt.want)
			}
		})
	}
}

// A broker that came back with an empty folder answers a producer that knows two topics by their old
// ids. kfake's newest Produce panics over that, which is why it is not offered.
func TestAProducerOfTwoTopicsOutlivesABrokerThatComesBackEmpty(t *testing.T) {
	first := start(t, embedded.Config{})
	create(t, first, 1, "orders")
	create(t, first, 1, "refunds")
	cl := dial(t, first, kgo.ProducerLinger(20*time.Millisecond))
	both := func() error {
		return cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("a")}, &kgo.Record{Topic: "refunds", Value: []byte("b")}).FirstErr()
	}
	if err := both(); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, embedded.Config{Addr: first.Addr()})
	create(t, second, 1, "orders")
	create(t, second, 1, "refunds")
	if err := both(); err != nil {
		t.Error(err)
	}
}

func TestCloseTwiceIsCloseOnce(t *testing.T) {
	b := start(t, embedded.Config{})
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
