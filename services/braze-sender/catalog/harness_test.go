package catalog_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/braze-sender/catalog"
)

// service is whose topics the tests use.
const service = "braze-sender"

var (
	kafka       []string
	registryURL string
)

// childEnv makes a process of this binary one that keeps catalogs, and can be killed.
const childEnv = "SLUICE_CATALOG_CHILD"

func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(child(text))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	broker, err := embedded.Start(ctx, embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer broker.Close()
	reg, err := regembedded.Start(ctx, regembedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer reg.Close()
	kafka, registryURL = broker.Brokers(), reg.URL()
	return m.Run()
}

// setup is what a keeper is made of, here or in a process of its own.
type setup struct {
	Brokers                       []string
	Prefix, Registry, Braze, File string
	Letters                       int // id of their schema
	Spacing                       time.Duration
}

func (s setup) config() stream.Config {
	return stream.Config{
		Brokers: s.Brokers, TopicPrefix: s.Prefix, Compression: "lz4", CreateTopics: true, Partitions: 3, ReplicationFactor: -1,
		SessionTimeout: 6 * time.Second,
	}
}

// keeper makes one. Free lets go of what it needs.
func (s setup) keeper(metrics prometheus.Registerer, health func(error)) (k *catalog.Keeper, free func(), err error) {
	rules, err := content.Load(s.File)
	if err != nil {
		return nil, nil, err
	}
	reg, err := registry.New(registry.Config{URL: s.Registry})
	if err != nil {
		return nil, nil, err
	}
	client, err := braze.New(braze.Config{Endpoint: s.Braze, APIKey: brazefake.DefaultKey, Timeout: 5 * time.Second}, nil)
	if err != nil {
		return nil, nil, err
	}
	letters, err := deadletter.Open(s.config(), service, s.Letters)
	if err != nil {
		return nil, nil, err
	}
	plenty := quota.Rate{Count: 100_000, Per: time.Second}
	return catalog.New(catalog.Options{
		Service: service, Kafka: s.config(), Source: avro.FromRegistry(reg), Client: client, Letters: letters, Rules: rules,
		Rates: catalog.Rates{Catalogs: plenty, Fields: plenty, Items: plenty}, Spacing: s.Spacing,
		Metrics: metrics, Health: health, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel),
	}), func() { letters.Close(); reg.Close() }, nil
}

// child keeps catalogs until it is told to stop, or killed.
func child(text string) int {
	var s setup
	err := json.Unmarshal([]byte(text), &s)
	if err == nil {
		var k *catalog.Keeper
		var free func()
		if k, free, err = s.keeper(prometheus.NewRegistry(), func(error) {}); err == nil {
			defer free()
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
			defer stop()
			err = k.RunAlone(ctx, 3)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// scene is a test's own topics, and a Braze.
type scene struct {
	setup
	ids      topics.IDs
	producer *stream.Producer
	sandbox  *brazefake.Sandbox
	front    *front
}

func newScene(t *testing.T, collections string, knobs brazefake.Knobs) *scene {
	t.Helper()
	file := filepath.Join(t.TempDir(), "content.yaml")
	if err := os.WriteFile(file, []byte("collections: "+collections), 0o600); err != nil {
		t.Fatal(err)
	}
	if knobs.PoolLimits == "" {
		knobs.PoolLimits = "all=none"
	}
	s := &scene{sandbox: brazefake.New(brazefake.Options{Knobs: knobs, Seed: 7})}
	s.front = &front{sandbox: s.sandbox}
	server := httptest.NewServer(s.front)
	t.Cleanup(server.Close)
	s.setup = setup{
		Brokers: kafka, Prefix: "ct-" + strings.ToLower(rand.Text()[:8]) + ".", Registry: registryURL, Braze: server.URL, File: file,
		Spacing: 150 * time.Millisecond,
	}
	reg, err := registry.New(registry.Config{URL: registryURL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	s.ids, err = topics.Prepare(t.Context(), s.config(), reg, schema.ContentItems, schema.State(service), schema.DeadLetters(service))
	if err != nil {
		t.Fatal(err)
	}
	s.Letters = s.ids[schema.DeadLetters(service)]
	if s.producer, err = stream.NewProducer(s.config(), stream.ProducerOptions{ByPartition: []string{s.config().Topic(schema.ContentItems)}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// running is a keeper at work.
type running struct {
	metrics *prometheus.Registry
	stop    context.CancelFunc
	result  chan error
	mu      sync.Mutex
	health  error
}

func (s *scene) start(t *testing.T) *running {
	t.Helper()
	return s.begin(t, (*catalog.Keeper).Run)
}

// alone starts a keeper that takes everything, whoever else there is.
func (s *scene) alone(t *testing.T) *running {
	t.Helper()
	return s.begin(t, func(k *catalog.Keeper, ctx context.Context) error { return k.RunAlone(ctx, 3) })
}

func (s *scene) begin(t *testing.T, run func(*catalog.Keeper, context.Context) error) *running {
	t.Helper()
	r := &running{metrics: prometheus.NewRegistry(), result: make(chan error, 1)}
	k, free, err := s.keeper(r.metrics, func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.health = err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() {
		defer free()
		r.result <- run(k, ctx)
	}()
	t.Cleanup(func() { r.drain(t) })
	return r
}

func (r *running) drain(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.result:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		r.result <- nil
	case <-time.After(60 * time.Second):
		t.Fatal("the keeper does not drain")
	}
	accepted, settled := r.value(t, "sluice_catalog_accepted_total", ""), r.value(t, "sluice_catalog_settled_total", "")
	if held := r.value(t, "sluice_catalog_held", ""); accepted != settled+held || held != 0 {
		t.Errorf("accepted %v, but settled %v + held %v", accepted, settled, held)
	}
}

// value sums a metric over the series that have that label value, or over all.
func (r *running) value(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := label == ""
			for _, l := range m.GetLabel() {
				has = has || l.GetValue() == label
			}
			if has {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// spawn starts a keeper in a process of its own.
func (s *scene) spawn(t *testing.T) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(s.setup)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very test
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// record is an item's record as ingest writes it; a nil item is a tombstone for the key.
func (s *scene) record(key string, c *event.Content) *stream.Record {
	item, _, _ := strings.Cut(key, "#")
	r := &stream.Record{Topic: s.config().Topic(schema.ContentItems), Key: []byte(key), Partition: stream.PartitionOf([]byte(item), 3)}
	if c != nil {
		r.Value = avro.AppendContent(nil, s.ids[schema.ContentItems], c)
	}
	return r
}

func (s *scene) produce(t *testing.T, records ...*stream.Record) {
	t.Helper()
	if err := s.producer.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

// put produces items as they are.
func (s *scene) put(t *testing.T, items ...*event.Content) {
	t.Helper()
	for _, c := range items {
		s.produce(t, s.record(c.Key(), c))
	}
}

// approved is an approved item.
func approved(collection, id, body string) *event.Content {
	now := time.Now().Truncate(time.Millisecond).UTC()
	return &event.Content{
		ID: rand.Text(), Collection: collection, ItemID: id, Approved: true, Source: "test", OccurredAt: now, ReceivedAt: now, Body: []byte(body),
	}
}

// await waits until the sandbox's catalog holds exactly these rows, by id.
func (s *scene) await(t *testing.T, name string, want map[string]string) {
	t.Helper()
	deadline := time.After(40 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := s.rows(t, name)
		if maps.Equal(got, want) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("catalog %s (-want +got):\n%s", name, cmp.Diff(want, got))
		}
	}
}

// until waits until something is so.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waiting for %s", what)
		}
	}
}

func (s *scene) rows(t *testing.T, name string) map[string]string {
	t.Helper()
	rows := map[string]string{}
	c, _ := s.sandbox.Catalog(name)
	for id, item := range c.Items {
		b, err := json.Marshal(item) // sorted by field
		if err != nil {
			t.Fatal(err)
		}
		rows[id] = string(b)
	}
	return rows
}

func (s *scene) letters(t *testing.T) (letters []deadletter.Letter) {
	t.Helper()
	name := schema.DeadLetters(service)
	topic, _ := schema.Find(name)
	codec, err := avro.NewCodec(topic.Text(), s.ids[name])
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Read(t.Context(), s.config(), stream.Range{Topic: s.config().Topic(name)}, func(r *stream.Record) error {
		l, err := deadletter.Read(codec, r.Value)
		letters = append(letters, l)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// poison in an item's row makes Braze refuse it for a reason of its own.
const poison = "poison"

// front stands before the sandbox, counts, and refuses what is poisoned: it names the item, or it does not.
type front struct {
	sandbox *brazefake.Sandbox
	mu      sync.Mutex
	calls   []string // method, path and number of items
	puts    int
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var asked struct{ Items []map[string]jsontext.Value }
	_ = json.Unmarshal(body, &asked)
	f.mu.Lock()
	f.calls = append(f.calls, fmt.Sprintf("%s %s %d", r.Method, r.URL.Path, len(asked.Items)))
	f.puts++
	names := f.puts%2 == 0
	f.mu.Unlock()
	var ids []string
	for _, item := range asked.Items {
		text, err := json.Marshal(item)
		if err == nil && r.Method == http.MethodPut && bytes.Contains(text, []byte(poison)) {
			ids = append(ids, strings.Trim(string(item["id"]), `"`))
		}
	}
	if len(ids) == 0 {
		f.sandbox.ServeHTTP(w, r)
		return
	}
	if !names {
		ids = nil
	}
	text, err := json.Marshal(map[string]any{"message": "Invalid Request", "errors": []any{map[string]any{
		"id": "items-too-large", "message": "an item is too large", "parameters": []string{"id"}, "parameter_values": []any{slices.Clip(ids)},
	}}})
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(text)
}

func (f *front) seen() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}
