package tabletest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

const (
	partitions     = 3
	sessionTimeout = 6 * time.Second // as short as brokers allow
)

// bench is what a test works on: topics and a group of its own.
type bench struct {
	cluster  Cluster
	config   stream.Config
	in, also string // input topics
	out      string
	state    string // the changelog
	group    string
	admin    *stream.Admin
	producer *stream.Producer
}

func newBench(t *testing.T, cluster Cluster) *bench {
	t.Helper()
	prefix := "tt-" + strings.ToLower(rand.Text()[:8]) + "."
	c := stream.Config{Brokers: cluster.Brokers, TopicPrefix: prefix, Compression: "lz4", ReplicationFactor: -1, SessionTimeout: sessionTimeout}
	b := &bench{
		cluster: cluster, config: c, group: c.Group("g"),
		in: c.Topic("in"), also: c.Topic("also"), out: c.Topic("out"), state: c.Topic("state"),
	}
	var err error
	if b.admin, err = stream.NewAdmin(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.admin.Close)
	for _, topic := range []string{b.in, b.also, b.out} {
		if err := b.admin.CreateTopic(t.Context(), topic, partitions, map[string]string{"retention.ms": "86400000"}); err != nil {
			t.Fatal(err)
		}
	}
	b.createChangelog(t)
	if b.producer, err = stream.NewProducer(c, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.producer.Close)
	return b
}

func (b *bench) createChangelog(t *testing.T) {
	t.Helper()
	err := b.admin.CreateTopic(t.Context(), b.state, partitions, map[string]string{
		"cleanup.policy":      "compact",
		"delete.retention.ms": strconv.FormatInt(table.TombstoneRetention.Milliseconds(), 10),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// key is the i-th of the keys that tests use.
func key(i int) string { return "user-" + strconv.Itoa(i) }

// put writes a record for each number from from to to-1, key i%keys, to the first input topic and every third to the
// second.
func (b *bench) put(t *testing.T, from, to, keys int) {
	t.Helper()
	var records []*stream.Record
	for i := from; i < to; i++ {
		topic := b.in
		if i%3 == 0 {
			topic = b.also
		}
		records = append(records, &stream.Record{Topic: topic, Key: []byte(key(i % keys)), Value: []byte(strconv.Itoa(i))})
	}
	if err := b.producer.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

// say writes one record to the first input topic.
func (b *bench) say(t *testing.T, key, value string) {
	t.Helper()
	if err := b.producer.ProduceAll(t.Context(), &stream.Record{Topic: b.in, Key: []byte(key), Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

// options are those of a processor of the bench.
func (b *bench) options(log zerolog.Logger) table.ProcessorOptions {
	return table.ProcessorOptions{
		Group: b.group, Topics: []string{b.in, b.also}, Changelog: b.state,
		Linger: 5 * time.Millisecond, Tick: 20 * time.Millisecond, MaxRecords: 500, Log: log,
	}
}

// member is a processor at work, with the store that it works on.
type member struct {
	store     *table.Store
	processor *table.Processor
	stop      context.CancelFunc
	result    chan error

	mu       sync.Mutex
	progress []table.Progress
}

// join starts a processor. It is stopped when the test ends, if not before.
func (b *bench) join(t *testing.T, store *table.Store, work table.Work, change ...func(*table.ProcessorOptions)) *member {
	t.Helper()
	m := &member{store: store, result: make(chan error, 1)}
	o := b.options(logger(t))
	o.Progress = func(p table.Progress) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.progress = append(m.progress, p)
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	if m.processor, err = table.NewProcessor(b.config, store, o, work); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go func() { m.result <- m.processor.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err, running := <-m.result; running && err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return m
}

// leave stops the processor and waits until it has left.
func (m *member) leave(t *testing.T) {
	t.Helper()
	m.stop()
	if err := <-m.result; err != nil {
		t.Errorf("Run: %v", err)
	}
	close(m.result)
}

// restored is how many records were read to restore what was assigned last.
func (m *member) restored() int64 { return m.processor.Stats().Restored }

// openStore opens a store that is closed when the test ends, if not before.
func openStore(t *testing.T, dir string) *table.Store {
	t.Helper()
	s, err := table.OpenStore(table.StoreOptions{Dir: dir, CacheBytes: 4 << 20, MemtableBytes: 1 << 20, Log: logger(t)})
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

// logger writes to the test's log until the test has ended.
func logger(t *testing.T) zerolog.Logger {
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return zerolog.New(w)
}

type testWriter struct {
	mu sync.Mutex
	t  *testing.T
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t = nil
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t != nil {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// await waits until a condition holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(90 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waiting for %s", what)
		}
	}
}

// holds compares what a reader finds with what it should, which may take a moment: a transaction that has ended is
// there for readers a little later.
func holds[V any](t *testing.T, what string, want map[string]V, read func(t *testing.T) map[string]V) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(5 * time.Second)
	for {
		diff := cmp.Diff(want, read(t))
		if diff == "" {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Errorf("%s (-want +got):\n%s", what, diff)
			return
		}
	}
}

// contents reads a compacted topic as whoever restores it from the beginning.
func (b *bench) contents(t *testing.T) map[string]string {
	t.Helper()
	content := map[string]string{}
	err := stream.Read(t.Context(), b.config, stream.Range{Topic: b.state}, func(r *stream.Record) error {
		if r.Value == nil {
			delete(content, string(r.Key))
		} else {
			content[string(r.Key)] = string(r.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// outputs reads what was emitted: value by value, how often.
func (b *bench) outputs(t *testing.T) map[string]int {
	t.Helper()
	seen := map[string]int{}
	err := stream.Read(t.Context(), b.config, stream.Range{Topic: b.out}, func(r *stream.Record) error {
		seen[string(r.Value)]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// adder is the work of most tests: the value of a key is the sum of the numbers that came with it, and every number
// is emitted once. What is not a number is an order, see orders.
type adder struct {
	out       string
	before    func(tx *table.Tx)       // called before a batch is worked on
	onProcess func(tx *table.Tx) error // called after it; may make it fail

	mu      sync.Mutex
	records int // in committed batches
	ticks   int
	failed  []error
}

func (a *adder) Process(_ context.Context, tx *table.Tx) error {
	if a.before != nil {
		a.before(tx)
	}
	for _, r := range tx.Records {
		if err := a.one(tx, r); err != nil {
			return err
		}
	}
	due, err := tx.Due(10)
	if err != nil {
		return err
	}
	for _, e := range due {
		if err := a.fire(tx, e); err != nil {
			return err
		}
	}
	if a.onProcess != nil {
		return a.onProcess(tx)
	}
	return nil
}

func (a *adder) one(tx *table.Tx, r *stream.Record) error {
	n, err := strconv.Atoi(string(r.Value))
	if err != nil {
		return a.order(tx, r)
	}
	value, ok, err := tx.Get(r.Partition, r.Key)
	if err != nil {
		return err
	}
	sum := 0
	if ok {
		if sum, err = strconv.Atoi(string(value)); err != nil {
			return fmt.Errorf("reading the sum of %s: %w", r.Key, err)
		}
	}
	if err := tx.Put(r.Partition, r.Key, []byte(strconv.Itoa(sum+n)), time.Time{}); err != nil {
		return err
	}
	return tx.Emit(&stream.Record{Topic: a.out, Key: r.Key, Value: r.Value})
}

// order does as a record says: "delete", or "due " and a number of milliseconds from now.
func (a *adder) order(tx *table.Tx, r *stream.Record) error {
	word, arg, _ := strings.Cut(string(r.Value), " ")
	switch word {
	case "delete":
		return tx.Delete(r.Partition, r.Key)
	case "due":
		ms, err := strconv.Atoi(arg)
		if err != nil {
			return err
		}
		return tx.Put(r.Partition, r.Key, []byte("waiting"), tx.Now.Add(time.Duration(ms)*time.Millisecond))
	}
	return nil
}

// fire is what happens when a value is due: it is emitted and deleted.
func (a *adder) fire(tx *table.Tx, e table.Entry) error {
	if err := tx.Emit(&stream.Record{Topic: a.out, Key: e.Key, Value: []byte("fired " + string(e.Key))}); err != nil {
		return err
	}
	return tx.Delete(e.Partition, e.Key)
}

func (a *adder) Ended(tx *table.Tx, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err != nil:
		a.failed = append(a.failed, err)
	case len(tx.Records) == 0:
		a.ticks++
	default:
		a.records += len(tx.Records)
	}
}

func (a *adder) committed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.records
}

func (a *adder) failures() []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]error{}, a.failed...)
}
