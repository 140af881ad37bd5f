package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// Fanout is the role of currents-fanout.
const Fanout = currentsfanout.Name

// The sinks of the story.
const (
	healthySink  = "healthy"
	slowSink     = "slow"
	failingSink  = "failing"
	absentSink   = "absent"
	filesSink    = "files"
	postgresSink = "postgres"
)

var allSinks = []string{healthySink, slowSink, failingSink, absentSink, filesSink, postgresSink}

// wayBack is the stage on which Braze's reports go to everybody who needs them.
type wayBack struct {
	*stage
	cluster *kafkatest.Cluster
	braze   *bulletin
	crew    *crew
	ends    map[string]*end
	groups  map[string]*group
	door    *stand
	harm    map[string]harm // by start of a process
	unrest  []span
	calm    bool      // the last of them has ended
	looked  time.Time // when somebody looked whether it had
	lake    string    // folder of the files
	dsn     string
	layout  string // of the tables
}

// newWayBack has a Kafka and a database of its own: the Kafka is harmed.
func newWayBack(t *testing.T, seed uint64, events int) *wayBack {
	t.Helper()
	began := time.Now()
	w := &wayBack{
		cluster: kafkatest.StartFor(t, kafkatest.Config{Nodes: 1}), braze: newBulletin(seed, events), crew: &crew{numbers: map[string]uint16{}},
		ends: map[string]*end{}, groups: map[string]*group{}, harm: map[string]harm{},
		lake: filepath.Join(t.TempDir(), "lake"), dsn: pgtest.Open(t),
	}
	w.stage = &stage{
		t: t, dice: rand.New(rand.NewPCG(seed, 3)), dir: t.TempDir(), began: time.Now(), done: func() int { return 0 },
		deaths: map[string]time.Time{}, killed: map[string]int{}, stopped: map[string]int{}, wiped: map[string]int{},
		kafka: stream.Config{
			Brokers: w.cluster.Brokers(), TopicPrefix: kafkatest.Prefix(t), Compression: "lz4", CreateTopics: true, Partitions: 6, ReplicationFactor: -1,
		},
	}
	if w.registry = os.Getenv(kafkatest.EnvRegistryURL); w.registry == "" {
		w.registry = anEmbeddedRegistry(t)
	}
	w.layout = []string{"single", "per_type"}[w.dice.IntN(2)]
	reg, err := registry.New(registry.Config{URL: w.registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	w.ids, err = topics.Prepare(t.Context(), w.kafka, reg, schema.BrazeEngagements, schema.BrazeActions,
		schema.DeadLetters(Fanout), schema.Retries(Fanout), schema.State(Fanout))
	if err != nil {
		t.Fatal(err)
	}
	if w.producer, err = stream.NewProducer(w.kafka, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.producer.Close)
	t.Cleanup(w.killAll)
	w.braze.topic, w.braze.schema = w.kafka.Topic(schema.BrazeEngagements), w.ids[schema.BrazeEngagements]
	w.far(events, seed)
	w.places()
	t.Logf("kafka: real %s; PostgreSQL: real, tables %s; everything is there after %v", w.cluster.Version(), w.layout, time.Since(began).Round(time.Millisecond))
	return w
}

// far makes the far ends of the sinks, of which one stays away.
func (w *wayBack) far(events int, seed uint64) {
	w.t.Helper()
	for i, name := range []string{healthySink, slowSink, failingSink, absentSink} {
		e := newEnd(w.t, name, events, seed+uint64(i), w.crew, func() time.Duration { return time.Since(w.began) })
		w.ends[name] = e
		switch name {
		case slowSink:
			e.after = [2]time.Duration{50 * time.Millisecond, 100 * time.Millisecond}
		case failingSink:
			e.failOf = 2
		case absentSink:
			continue
		}
		if err := e.open(w.t); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, name := range allSinks {
		w.groups[name] = &group{w.kafka.Brokers, w.kafka.Group(currentsfanout.Group(name)), w.braze.topic}
	}
}

// places makes places for the front door and two of currents-fanout.
func (w *wayBack) places() {
	w.t.Helper()
	addr, err := freeAddr()
	if err != nil {
		w.t.Fatal(err)
	}
	w.braze.url = "http://" + addr + "/v1/braze/currents?ws=eu"
	file := filepath.Join(w.dir, "sinks.yaml")
	if err := os.WriteFile(file, []byte(w.sinks()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	bin := build(w.t, Fanout)
	commit := []string{"FANOUT_COMMIT_EVERY=50ms", "FANOUT_COMMIT_EVERY=500ms"}[w.dice.IntN(2)]
	for _, name := range []string{"fanout-a", "fanout-b"} {
		w.stand(Fanout, name, bin, schema.BrazeEngagements, "SINKS_FILE="+file, "WAREHOUSE_DSN="+w.dsn, commit)
	}
	w.door = w.stand(Door, "ingest", build(w.t, Door), schema.BrazeEngagements, "INGEST_ADDR="+addr, "INGEST_KEYS=chaos:chaos-key",
		"BRAZE_CURRENTS_TOKENS="+connectorToken, "INGEST_DELIVERY_TIMEOUT=1s")
}

// sinks is the sinks.yaml of the story.
func (w *wayBack) sinks() string {
	var b strings.Builder
	b.WriteString("sinks:\n")
	http := func(name string, concurrency, batch int) {
		fmt.Fprintf(&b, "  - {name: %s, kind: http, concurrency: %d, batch: {events: %d, linger: 200ms}, http: {url: \"http://%s/\", headers: {%s: \"${KAFKA_CLIENT_ID}\"}}}\n",
			name, concurrency, batch, w.ends[name].addr, processHeader)
	}
	http(healthySink, 4, 500)
	http(slowSink, 2, 100)
	http(failingSink, 4, 1000)
	http(absentSink, 4, 500)
	folder := url.URL{Scheme: "file", Path: filepath.ToSlash(w.lake)}
	fmt.Fprintf(&b, "  - {name: %s, kind: files, batch: {events: 20000, linger: 2s}, files: {url: %q}}\n", filesSink, folder.String())
	fmt.Fprintf(&b, "  - {name: %s, kind: postgres, batch: {events: 2000, linger: 200ms}, postgres: {dsn: \"${WAREHOUSE_DSN}\", layout: %s}}\n", postgresSink, w.layout)
	return b.String()
}

// metricOf sums one of a process's metrics over those that have a label.
func metricOf(text, name string, labels ...string) (sum int) {
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+"{")
		if !ok {
			continue
		}
		at := strings.LastIndexByte(rest, ' ')
		for _, label := range labels {
			ok = ok && strings.Contains(rest[:max(at, 0)], label)
		}
		if n, err := strconv.ParseFloat(rest[at+1:], 64); ok && err == nil {
			sum += int(n)
		}
	}
	return sum
}

// booksOf are what a process says of every sink.
func (w *wayBack) booksOf(ctx context.Context, c *child) (list []books) {
	text := c.metrics(ctx)
	for _, name := range allSinks {
		sink := fmt.Sprintf("sink=%q", name)
		done := func(outcome string) int {
			return metricOf(text, "sluice_fanout_records_total", sink, fmt.Sprintf("outcome=%q", outcome))
		}
		list = append(list, books{
			process: c.name, sink: name, accepted: metricOf(text, "sluice_fanout_accepted_total", sink),
			delivered: done("delivered"), skipped: done("skipped"), refused: done("refused"),
			back: metricOf(text, "sluice_fanout_returned_total", sink), held: metricOf(text, "sluice_fanout_held", sink),
		})
	}
	return list
}
