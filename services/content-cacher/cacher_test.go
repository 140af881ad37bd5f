package contentcacher_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
)

// scene is a topic of its own, and the services that come and go.
type scene struct {
	t        *testing.T
	config   contentcacher.Config
	id       int
	producer *stream.Producer
}

func newScene(t *testing.T, brokers []string) *scene {
	t.Helper()
	reg, err := regembedded.Start(t.Context(), regembedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reg.Close() })
	s := &scene{t: t}
	s.config = contentcacher.Config{
		Kafka: stream.Config{
			Brokers: brokers, TopicPrefix: "cc-" + strings.ToLower(rand.Text()[:8]) + ".", SessionTimeout: 6 * time.Second,
			Compression: "lz4", CreateTopics: true, Partitions: 3, ReplicationFactor: -1,
		},
		Registry: registry.Config{URL: reg.URL()},
		State:    contentcacher.StateConfig{Dir: t.TempDir()},
		Content: contentcacher.Options{
			Addr: "127.0.0.1:0", Patience: 300 * time.Millisecond, Heavy: 8, MaxItems: 200, MaxBytes: 1_000_000,
			IdleTimeout: time.Minute, ReadTimeout: 5 * time.Second,
		},
	}
	client, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ids, err := topics.Prepare(t.Context(), s.config.Kafka, client, schema.ContentItems, schema.DeadLetters(contentcacher.Name))
	if err != nil {
		t.Fatal(err)
	}
	s.id = ids[schema.ContentItems]
	if s.producer, err = stream.NewProducer(s.config.Kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.producer.Close)
	return s
}

// replica is a running service.
type replica struct {
	t       *testing.T
	url     string
	health  *daemon.Health
	metrics *prometheus.Registry
	stop    func()
}

func (s *scene) start() *replica {
	s.t.Helper()
	r := &replica{t: s.t, health: &daemon.Health{}, metrics: prometheus.NewRegistry()}
	ctx, cancel := context.WithCancel(s.t.Context())
	log := zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.InfoLevel)
	service, err := contentcacher.Open(ctx, s.config, &daemon.Process{
		Name: contentcacher.Name, Log: log, Metrics: r.metrics, Health: r.health, DrainTimeout: 5 * time.Second,
	})
	if err != nil {
		cancel()
		s.t.Fatal(err)
	}
	r.url = "http://" + service.(*contentcacher.Service).Addr()
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx) }()
	stopped := false
	r.stop = func() {
		s.t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("running: %v", err)
		}
	}
	s.t.Cleanup(r.stop)
	return r
}

// await waits until something holds.
func (r *replica) await(what string, holds func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within 30 s: %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (r *replica) ready() {
	r.t.Helper()
	r.await("it is ready", func() bool { return len(r.health.Failing(r.t.Context())) == 0 })
}

// answer is what a reader is told.
type answer struct {
	code int
	age  string
	Text string
}

func (r *replica) get(path string) answer {
	r.t.Helper()
	resp, err := http.Get(r.url + "/v1/content/" + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var doc struct{ Body struct{ Text string } }
	if err := json.Unmarshal(b, &doc); err != nil {
		r.t.Fatalf("%s: %v", b, err)
	}
	return answer{resp.StatusCode, resp.Header.Get("X-Content-Age"), doc.Body.Text}
}

// count adds up the records with an outcome.
func (r *replica) count(outcome string) (n float64) {
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch {
			case f.GetName() == "sluice_content_accepted_total" && outcome == "accepted":
				n += m.GetCounter().GetValue()
			case f.GetName() == "sluice_content_settled_total":
				for _, l := range m.GetLabel() {
					if l.GetName() == "outcome" && l.GetValue() == outcome {
						n += m.GetCounter().GetValue()
					}
				}
			}
		}
	}
	return n
}

// gauge is what one says; -1 where there is none.
func (r *replica) gauge(name string) float64 {
	families, err := r.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	return -1
}

// tally is what has become of the records.
type tally struct{ accepted, delivered, skipped, refused float64 }

// settled waits until that has become of them.
func (r *replica) settled(want tally) {
	r.t.Helper()
	var got tally
	for deadline := time.Now().Add(30 * time.Second); got != want; {
		if time.Now().After(deadline) {
			r.t.Fatalf("not within 30 s: %+v, want %+v", got, want)
		}
		<-time.After(10 * time.Millisecond)
		got = tally{r.count("accepted"), r.count("delivered"), r.count("skipped"), r.count("refused")}
	}
}

func (s *scene) write(records ...*stream.Record) {
	s.t.Helper()
	for _, r := range records {
		r.Topic = s.config.Kafka.Topic(schema.ContentItems)
	}
	if err := s.producer.ProduceAll(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) item(id, text string, change ...func(*event.Content)) *stream.Record {
	c := &event.Content{
		ID: rand.Text(), Collection: "banners", ItemID: id, Approved: true, Source: "test", OccurredAt: time.Now(), ReceivedAt: time.Now(),
		Body: []byte(`{"text":"` + text + `"}`),
	}
	for _, f := range change {
		f(c)
	}
	return &stream.Record{Key: []byte(c.Key()), Value: avro.AppendContent(nil, s.id, c)}
}

func onBoth(t *testing.T, test func(t *testing.T, s *scene)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = broker.Close() })
		test(t, newScene(t, broker.Brokers()))
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		test(t, newScene(t, kafkatest.Brokers(t)))
	})
}

func TestContentIsServedAndTakenBack(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		s.write(s.item("a", "first"), s.item("b", "second"), s.item("c", "not yet", func(c *event.Content) { c.Approved = false }))
		r := s.start()
		r.ready()
		if got := r.get("banners/a"); got != (answer{200, "", "first"}) {
			t.Errorf("%+v", got)
		}
		if got := r.get("banners/c"); got.code != 404 {
			t.Errorf("not approved: %+v", got)
		}
		began := time.Now()
		s.write(s.item("a", "changed"), &stream.Record{Key: []byte("banners/b")}, s.item("c", "now"))
		r.await("the changes are served", func() bool {
			return r.get("banners/a").Text == "changed" && r.get("banners/b").code == 404 && r.get("banners/c").Text == "now"
		})
		t.Logf("served %s after they were written", time.Since(began).Round(time.Millisecond))
		s.write(s.item("a", "", func(c *event.Content) { c.Withdraws, c.Approved = true, false }))
		r.await("all of an item is withdrawn", func() bool { return r.get("banners/a").code == 404 })
		r.settled(tally{accepted: 7, delivered: 7})
	})
}

func TestWhatCannotBeServedIsKeptAsADeadLetter(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		other := s.item("a", "elsewhere")
		other.Key = []byte("banners/b")
		s.write(
			&stream.Record{Key: []byte("banners/x"), Value: []byte("no Avro")},
			other,
			s.item("y", "", func(c *event.Content) { c.Body = []byte(`[1]`) }),
			s.item("z", "", func(c *event.Content) { c.Body = []byte(`{"a":1}{"b":2}`) }),
			s.item("v", "", func(c *event.Content) { c.Variants = []event.ContentVariant{{Locale: "de", Body: []byte(`no`)}} }),
			s.item("good", "good"),
			s.item("good", "stale", func(c *event.Content) { three := int64(3); c.Version = &three }),
			s.item("good", "staler", func(c *event.Content) { two := int64(2); c.Version = &two }),
		)
		r := s.start()
		r.ready()
		if got := r.get("banners/good"); got.Text != "stale" {
			t.Errorf("%+v", got)
		}
		// Of the three of one item the first is superseded, and the last stale.
		r.settled(tally{accepted: 8, delivered: 1, skipped: 2, refused: 5})
		letters := 0
		err := stream.Read(t.Context(), s.config.Kafka, stream.Range{Topic: s.config.Kafka.Topic(schema.DeadLetters(contentcacher.Name))}, func(*stream.Record) error {
			letters++
			return nil
		})
		if err != nil || letters != 5 {
			t.Errorf("%d dead letters, %v", letters, err)
		}
	})
}

// TestARestartWithoutKafkaServesTheCopy goes through an outage: the broker is gone, the service is started
// without it, and the broker comes back with news.
func TestARestartWithoutKafkaServesTheCopy(t *testing.T) {
	dir := t.TempDir()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, broker.Brokers())
	var records []*stream.Record
	for i := range 500 {
		records = append(records, s.item(fmt.Sprint(i), fmt.Sprintf("text %d", i)))
	}
	s.write(records...)
	r := s.start()
	r.ready()
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	r.await("it is copied to the disk", func() bool { return r.gauge("sluice_content_copying") == 0 })
	r.await("it says that it hears nothing", func() bool { return r.get("banners/7").age != "" })
	if got := r.get("banners/7"); got.code != 200 || got.Text != "text 7" {
		t.Errorf("with Kafka away: %+v", got)
	}
	r.stop()

	r = s.start()
	r.ready()
	for _, id := range []string{"0", "7", "499"} {
		if got := r.get("banners/" + id); got.code != 200 || got.Text != "text "+id || got.age == "" {
			t.Errorf("%s, started without Kafka: %+v", id, got)
		}
	}
	addr := broker.Addr()
	if broker, err = embedded.Start(t.Context(), embedded.Config{Addr: addr, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	s.write(s.item("7", "news"), &stream.Record{Key: []byte("banners/0")})
	r.await("the news are served", func() bool {
		return r.get("banners/7") == answer{200, "", "news"} && r.get("banners/0").code == 404
	})
	if accepted := r.count("accepted"); accepted != 2 {
		t.Errorf("%v records were read again, not only the two that are new", accepted)
	}
}

// TestAStartThatIsInterruptedLosesNothing lets the registry fail when half of the topic is read for the first
// time: what was read before is not read again, and is to be served all the same.
func TestAStartThatIsInterruptedLosesNothing(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	s := newScene(t, broker.Brokers())
	const items = 300
	for i := range items {
		s.write(s.item(fmt.Sprint(i), fmt.Sprintf("text %d", i)))
	}
	client, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	text, err := client.SchemaByID(t.Context(), s.id)
	if err != nil {
		t.Fatal(err)
	}
	ours := s.id
	s.id, err = client.Register(t.Context(), "elsewhere-value", strings.Replace(text, "A piece of", "Some", 1))
	if err != nil || s.id == ours {
		t.Fatalf("schema %d: %v", s.id, err)
	}
	s.write(s.item("last", "of another schema"))

	target, err := url.Parse(s.config.Registry.URL)
	if err != nil {
		t.Fatal(err)
	}
	var failures atomic.Int32
	behind := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, fmt.Sprintf("/schemas/ids/%d", s.id)) && failures.Add(1) <= 8 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	s.config.Registry.URL = front.URL
	r := s.start()
	r.ready()
	for i := range items {
		if got := r.get(fmt.Sprintf("banners/%d", i)); got.Text != fmt.Sprintf("text %d", i) {
			t.Fatalf("item %d: %+v", i, got)
		}
	}
	if got := r.get("banners/last"); got.Text != "of another schema" || failures.Load() < 9 {
		t.Errorf("%+v after %d failures", got, failures.Load())
	}
}

// TestAnEmptyReplicaIsNotReadyWithoutKafka keeps a balancer from asking one that has nothing.
func TestAnEmptyReplicaIsNotReadyWithoutKafka(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, broker.Brokers())
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	r := s.start()
	<-time.After(4 * s.config.Content.Patience)
	if len(r.health.Failing(t.Context())) == 0 {
		t.Error("it is ready, with nothing to serve")
	}
}

// TestADamagedCopyIsMadeAnew breaks the files that the copy is made of.
func TestADamagedCopyIsMadeAnew(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	s := newScene(t, broker.Brokers())
	s.write(s.item("a", "there"))
	r := s.start()
	r.ready()
	r.await("it is copied to the disk", func() bool { return r.gauge("sluice_content_copying") == 0 })
	r.stop()
	broken := 0
	root, err := os.OpenRoot(s.config.State.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	folder := contentcacher.Name + "/copy"
	entries, err := os.ReadDir(s.config.State.Dir + "/" + folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".sst") {
			broken++
			if err := root.WriteFile(folder+"/"+e.Name(), []byte("rubbish"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if broken == 0 {
		t.Fatal("there is no file to break")
	}
	r = s.start()
	r.ready()
	if got := r.get("banners/a"); got.Text != "there" {
		t.Errorf("%+v", got)
	}
}
