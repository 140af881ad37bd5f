package brazesender_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
)

// The broker and the registry of all tests here; each test has topics of its own.
var (
	kafka       []string
	registryURL string
)

func TestMain(m *testing.M) {
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

// sent is an event object as a request carried it.
type sent struct {
	User string
	Name string
	Seq  int
}

// fakeBraze answers as a test scripts it and keeps what it took.
type fakeBraze struct {
	*httptest.Server
	mu       sync.Mutex
	taken    []sent
	requests []request
	changed  sync.Cond
	// unreadable counts requests that were not JSON: none may be.
	unreadable int
	// answer decides about a request; nil takes everything.
	answer func(n int, r request) (status int, body string)
}

// request is a request as Braze sees it.
type request struct {
	At         time.Time
	Attributes []map[string]any `json:"attributes"`
	Events     []sentEvent      `json:"events"`
}

// sentEvent is an event object in it.
type sentEvent struct {
	ExternalID string `json:"external_id"`
	Name       string `json:"name"`
	Properties struct {
		Seq int `json:"seq"`
	} `json:"properties"`
}

const dropConnection = -1 // as a status: the request is read and never answered

func newFakeBraze(t *testing.T) *fakeBraze {
	t.Helper()
	f := &fakeBraze{}
	f.changed.L = &f.mu
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeBraze) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	req := request{At: time.Now()}
	if err == nil {
		err = json.Unmarshal(body, &req)
	}
	if err != nil {
		f.mu.Lock()
		f.unreadable++
		f.mu.Unlock()
		http.Error(w, `{"message":"invalid JSON"}`, http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	n := len(f.requests)
	f.requests = append(f.requests, req)
	f.changed.Broadcast()
	answer := f.answer
	f.mu.Unlock()
	status, text := http.StatusCreated, `{"message":"success"}`
	if answer != nil {
		status, text = answer(n, req)
	}
	if status == dropConnection {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if status == http.StatusCreated {
		for _, e := range req.Events {
			f.taken = append(f.taken, sent{e.ExternalID, e.Name, e.Properties.Seq})
		}
		f.changed.Broadcast()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func (f *fakeBraze) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, f.changed.Broadcast)()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !cond() {
		if ctx.Err() != nil {
			t.Fatalf("waiting for %s: %d requests, %d events taken", what, len(f.requests), len(f.taken))
		}
		f.changed.Wait()
	}
}

// scene is a test's own pipeline: topics, a Braze, and senders that come and go.
type scene struct {
	config   brazesender.Config
	ids      topics.IDs
	producer *stream.Producer
	braze    *fakeBraze
	front    *front // of a scene with the sandbox
	produced int
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return newSceneOf(t, 3)
}

// newSceneOf is a scene whose topics have that many partitions.
func newSceneOf(t *testing.T, partitions int32) *scene {
	t.Helper()
	s := &scene{braze: newFakeBraze(t)}
	s.config = brazesender.Config{
		Kafka: stream.Config{
			Brokers: kafka, TopicPrefix: "bs-" + strings.ToLower(rand.Text()[:8]) + ".",
			Compression: "lz4", CreateTopics: true, Partitions: partitions, ReplicationFactor: -1,
		},
		Registry: registry.Config{URL: registryURL},
		Braze:    braze.Config{Endpoint: s.braze.URL, APIKey: "key", MaxObjects: 75, Rate: quota.Rate{Count: 100_000, Per: time.Second}, Timeout: 5 * time.Second},
		Sender: brazesender.Options{
			Linger: 5 * time.Millisecond, UserSpacing: 300 * time.Millisecond, InFlight: 16, InDoubt: "resend",
			Window: 10_000, WindowBytes: 64 << 20, CommitEvery: 20 * time.Millisecond,
		},
	}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	s.ids, err = topics.Prepare(t.Context(), s.config.Kafka, reg, schema.CustomerEvents, schema.CommerceEvents, schema.BrazeAttributes, schema.SupportCases, schema.BrazeDeliveries, schema.DeadLetters(brazesender.Name))
	if err != nil {
		t.Fatal(err)
	}
	if s.producer, err = stream.NewProducer(s.config.Kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// running is a sender at work.
type running struct {
	process *daemon.Process
	metrics *prometheus.Registry
	stop    context.CancelFunc
	result  chan error
}

func (s *scene) start(t *testing.T) *running {
	t.Helper()
	p := &daemon.Process{Name: brazesender.Name, Log: zerolog.Nop(), Metrics: prometheus.NewRegistry(), Health: &daemon.Health{}}
	svc, err := brazesender.Open(t.Context(), s.config, p)
	if err != nil {
		t.Fatal(err)
	}
	return work(t, p, svc)
}

// work has a sender run until it is drained, or the test ends.
func work(t *testing.T, p *daemon.Process, svc daemon.Service) *running {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r := &running{p, p.Metrics, stop, make(chan error, 1)}
	go func() { r.result <- svc.Run(ctx) }()
	t.Cleanup(func() { r.drain(t) })
	return r
}

// drain asks the sender to stop and waits until it has.
func (r *running) drain(t *testing.T) {
	t.Helper()
	r.stop()
	select {
	case err := <-r.result:
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		r.result <- nil
	case <-time.After(60 * time.Second):
		t.Error("the sender does not drain")
	}
}

// gauge reads one of the sender's metrics.
func (r *running) gauge(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// newEvent is event number seq of a user.
func newEvent(user string, seq int) event.Event {
	now := time.Now().Truncate(time.Millisecond)
	return event.Event{
		ID: user + "-" + strconv.Itoa(seq), User: event.User{ExternalID: user}, Name: "happened", Kind: event.KindTrack,
		OccurredAt: now, ReceivedAt: now, Source: "test", Properties: fmt.Appendf(nil, `{"seq":%d}`, seq),
	}
}

func (s *scene) produce(t *testing.T, events ...event.Event) {
	t.Helper()
	var records []*stream.Record
	for _, e := range events {
		records = append(records, &stream.Record{Key: []byte(e.User.Key()), Value: avro.AppendEvent(nil, s.ids[schema.CustomerEvents], &e)})
	}
	s.produceRaw(t, records...)
}

func (s *scene) produceRaw(t *testing.T, records ...*stream.Record) {
	t.Helper()
	for _, r := range records {
		if r.Topic == "" {
			r.Topic = s.config.Kafka.Topic(schema.CustomerEvents)
		}
	}
	if err := s.producer.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	s.produced += len(records)
}

// produceCommerce writes to commerce.events.
func (s *scene) produceCommerce(t *testing.T, events ...event.Commerce) {
	t.Helper()
	var records []*stream.Record
	for i := range events {
		value, err := avro.AppendCommerce(nil, s.ids[schema.CommerceEvents], &events[i])
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, &stream.Record{
			Topic: s.config.Kafka.Topic(schema.CommerceEvents), Key: []byte(events[i].User.Key()), Value: value,
		})
	}
	s.produceRaw(t, records...)
}

// produceUpdates writes to braze.attributes.
func (s *scene) produceUpdates(t *testing.T, updates ...event.Update) {
	t.Helper()
	var records []*stream.Record
	for i := range updates {
		records = append(records, s.updateRecord(&updates[i]))
	}
	s.produceRaw(t, records...)
}

// produceCases writes to support.cases.
func (s *scene) produceCases(t *testing.T, cases ...event.Case) {
	t.Helper()
	var records []*stream.Record
	for i := range cases {
		records = append(records, &stream.Record{
			Topic: s.config.Kafka.Topic(schema.SupportCases), Key: []byte(cases[i].User.Key()), Value: avro.AppendCase(nil, s.ids[schema.SupportCases], &cases[i]),
		})
	}
	s.produceRaw(t, records...)
}

// updateRecord is an update's record with headers in pairs.
func (s *scene) updateRecord(u *event.Update, headers ...string) *stream.Record {
	r := &stream.Record{
		Topic: s.config.Kafka.Topic(schema.BrazeAttributes), Key: []byte(u.User.Key()), Value: avro.AppendUpdate(nil, s.ids[schema.BrazeAttributes], u),
	}
	for i := 0; i < len(headers); i += 2 {
		r.Headers = append(r.Headers, stream.Header{Key: headers[i], Value: []byte(headers[i+1])})
	}
	return r
}

// place is a record's place on its topic.
type place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// receipts reads the final receipts there are. Two for one record fail the test: no record is in two
// piles.
func (s *scene) receipts(t *testing.T) map[place]receipt.Receipt {
	t.Helper()
	found := map[place]receipt.Receipt{}
	err := stream.Read(t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.BrazeDeliveries)}, func(r *stream.Record) error {
		slip, err := receipt.Read(r.Value)
		if err != nil || !slip.Outcome.Kind.Final() {
			return err
		}
		at := place{slip.Topic, slip.Partition, slip.Offset}
		if _, twice := found[at]; twice {
			t.Errorf("two receipts for record %v (%s)", at, slip.EventID)
		}
		if r.Partition != slip.Partition {
			t.Errorf("the receipt of record %v stands in partition %d", at, r.Partition)
		}
		found[at] = slip
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (s *scene) letters(t *testing.T) []deadletter.Letter {
	t.Helper()
	name := schema.DeadLetters(brazesender.Name)
	topic, _ := schema.Find(name)
	codec, err := avro.NewCodec(topic.Text(), s.ids[name])
	if err != nil {
		t.Fatal(err)
	}
	var letters []deadletter.Letter
	err = stream.Read(t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(name)}, func(r *stream.Record) error {
		l, err := deadletter.Read(codec, r.Value)
		letters = append(letters, l)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return letters
}

// awaitSettled waits until every record that was produced has its receipt.
func (s *scene) awaitSettled(t *testing.T) map[place]receipt.Receipt {
	t.Helper()
	return s.awaitReceipts(t, s.produced)
}

func (s *scene) awaitReceipts(t *testing.T, n int) map[place]receipt.Receipt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := s.receipts(t)
		if len(got) >= n {
			return got
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d of %d records have a receipt", len(got), n)
		case <-tick.C:
		}
	}
}

// assertLaw holds what was produced to what became of it, and the order of each user to the order on
// the topic.
func (s *scene) assertLaw(t *testing.T, want map[outcome.Kind]int) {
	t.Helper()
	got := map[outcome.Kind]int{}
	refused := map[place]bool{}
	for at, slip := range s.receipts(t) {
		got[slip.Outcome.Kind]++
		refused[at] = slip.Outcome.Kind == outcome.Refused
	}
	if total := got[outcome.Delivered] + got[outcome.Skipped] + got[outcome.Refused]; total != s.produced {
		t.Errorf("accepted %d, but delivered %d + skipped %d + refused %d = %d", s.produced, got[outcome.Delivered], got[outcome.Skipped], got[outcome.Refused], total)
	}
	for kind, n := range want {
		if got[kind] != n {
			t.Errorf("%s: %d, want %d", kind, got[kind], n)
		}
	}
	for _, l := range s.letters(t) {
		if at := (place{l.OriginTopic, l.OriginPartition, l.OriginOffset}); !refused[at] {
			t.Errorf("a dead letter for record %v, which was not refused: %s", at, l.Reason)
		}
	}
	s.assertOrder(t)
}

func (s *scene) assertOrder(t *testing.T) {
	t.Helper()
	s.braze.mu.Lock()
	defer s.braze.mu.Unlock()
	if s.braze.unreadable > 0 {
		t.Errorf("%d requests were not JSON", s.braze.unreadable)
	}
	last := map[string]int{}
	for _, e := range s.braze.taken {
		if before, seen := last[e.User]; seen && e.Seq <= before {
			t.Errorf("user %s: event %d came after %d", e.User, e.Seq, before)
		}
		last[e.User] = e.Seq
	}
}

// summary is what a test prints of dead letters.
func summary(letters []deadletter.Letter) string {
	var b strings.Builder
	for _, l := range letters[:min(len(letters), 10)] {
		fmt.Fprintf(&b, "\n%s: %s, %s (attempts %d)", l.EventID, l.Reason, l.Detail, l.Attempts)
	}
	return b.String()
}
