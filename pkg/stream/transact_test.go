package stream_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// copyist copies every record of the inputs to the output.
type copyist struct {
	t       *stream.Transactor
	out     string
	process func(b *stream.Batch) error // instead of copying, when set

	mu     sync.Mutex
	sizes  []int // of committed batches
	ticks  int
	failed []error
}

func (c *copyist) Assigned(parts map[string][]int32) {
	for _, numbers := range parts {
		c.t.Resume(numbers...)
	}
}

func (c *copyist) Revoked() {}

func (c *copyist) Process(_ context.Context, b *stream.Batch) error {
	if c.process != nil {
		if err := c.process(b); err != nil {
			return err
		}
	}
	for _, r := range b.Records {
		if err := b.Emit(&stream.Record{Topic: c.out, Key: r.Key, Value: r.Value}); err != nil {
			return err
		}
	}
	return nil
}

func (c *copyist) Ended(b *stream.Batch, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.failed = append(c.failed, err)
	case len(b.Records) == 0:
		c.ticks++
	default:
		c.sizes = append(c.sizes, len(b.Records))
	}
}

func (c *copyist) look(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *copyist) copied() (n int) {
	c.look(func() {
		for _, size := range c.sizes {
			n += size
		}
	})
	return n
}

// desk is where a copyist works: topics and a group of its own.
type desk struct {
	config   stream.Config
	in, out  string
	producer *stream.Producer
}

func newDesk(t *testing.T, brokers []string) *desk {
	t.Helper()
	c := stream.Config{Brokers: brokers, TopicPrefix: "tx-" + strings.ToLower(rand.Text()[:8]) + ".", Compression: "lz4", ReplicationFactor: -1, SessionTimeout: 6 * time.Second}
	d := &desk{config: c, in: c.Topic("in"), out: c.Topic("out")}
	admin, err := stream.NewAdmin(c)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, topic := range []string{d.in, d.out} {
		if err := admin.CreateTopic(t.Context(), topic, 2, map[string]string{"retention.ms": "3600000"}); err != nil {
			t.Fatal(err)
		}
	}
	if d.producer, err = stream.NewProducer(c, stream.ProducerOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.producer.Close)
	return d
}

func (d *desk) put(t *testing.T, from, to int) {
	t.Helper()
	var records []*stream.Record
	for i := from; i < to; i++ {
		records = append(records, &stream.Record{Topic: d.in, Key: []byte("k" + strconv.Itoa(i%7)), Value: []byte(strconv.Itoa(i))})
	}
	if err := d.producer.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

// start lets a copyist work; leave ends it, and waits until it has left.
func (d *desk) start(t *testing.T, c *copyist, o stream.TransactorOptions) (leave func()) {
	t.Helper()
	o.Group, o.Topics, o.Log = d.config.Group("g"), []string{d.in}, zerolog.Nop()
	if o.Tick == 0 {
		o.Tick = 20 * time.Millisecond
	}
	var err error
	c.out = d.out
	if c.t, err = stream.NewTransactor(d.config, o, c); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- c.t.Run(ctx) }()
	leave = sync.OnceFunc(func() {
		stop()
		if err := <-result; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(leave)
	return leave
}

func (d *desk) await(t *testing.T, what string, cond func() bool) {
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

// check makes sure that every number up to n was copied once. A transaction that has ended is there for readers
// a moment later.
func (d *desk) check(t *testing.T, n int) {
	t.Helper()
	want, got := map[string]int{}, map[string]int{}
	for i := range n {
		want[strconv.Itoa(i)] = 1
	}
	d.await(t, "the copies to be there for readers", func() bool {
		clear(got)
		records := 0
		err := stream.Read(t.Context(), d.config, stream.Range{Topic: d.out}, func(r *stream.Record) error {
			got[string(r.Value)]++
			records++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return records >= n
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("copies of each record (-want +got):\n%s", diff)
	}
}

func TestTransactorOnTheEmbeddedBroker(t *testing.T) {
	broker := startEmbedded(t)
	runTransactor(t, broker.Brokers())
}

func TestTransactorOnApacheKafka(t *testing.T) {
	runTransactor(t, kafkatest.Brokers(t))
}

func startEmbedded(t *testing.T) *embedded.Broker {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	return broker
}

func runTransactor(t *testing.T, brokers []string) {
	tests := map[string]func(t *testing.T, d *desk){
		"records that come together make one batch":         testCompany,
		"a batch is no larger than it may be":               testBatchBound,
		"a record that Kafka refuses undoes the batch":      testRefused,
		"a batch under way is finished before leaving":      testDrain,
		"of two members each record has one that copies it": testTwoMembers,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newDesk(t, brokers))
		})
	}
}

func testCompany(t *testing.T, d *desk) {
	c := &copyist{}
	d.start(t, c, stream.TransactorOptions{Linger: 700 * time.Millisecond})
	d.await(t, "ticks", func() (ok bool) { c.look(func() { ok = c.ticks > 3 }); return ok })
	for i := range 10 {
		d.put(t, i, i+1)
	}
	d.await(t, "the copies", func() bool { return c.copied() == 10 })
	c.look(func() {
		if len(c.sizes) > 2 { // one, if the machine is not very slow
			t.Errorf("ten records in a row came in batches of %v", c.sizes)
		}
	})
	if s := c.t.Stats(); s.Partitions != 2 || s.Held != 0 || s.HeldBytes != 0 || !s.Oldest.IsZero() || s.Behind != 0 || s.Committed == 0 || s.Aborted != 0 {
		t.Errorf("stats: %+v", s)
	}
	d.check(t, 10)
}

func testBatchBound(t *testing.T, d *desk) {
	d.put(t, 0, 200)
	c := &copyist{}
	var held, oldest bool
	c.process = func(b *stream.Batch) error {
		s := c.t.Stats()
		held = held || s.Held == len(b.Records) && s.Held > 0 && s.HeldBytes > 0
		oldest = oldest || !s.Oldest.IsZero()
		return nil
	}
	leave := d.start(t, c, stream.TransactorOptions{Linger: time.Second, MaxRecords: 30})
	d.await(t, "the copies", func() bool { return c.copied() == 200 })
	leave()
	for _, size := range c.sizes {
		if size > 30 {
			t.Errorf("batches of %v, want 30 at most", c.sizes)
		}
	}
	if !held || !oldest {
		t.Error("the statistics did not say what was held")
	}
	d.check(t, 200)
}

func testRefused(t *testing.T, d *desk) {
	c := &copyist{}
	once := true
	c.process = func(b *stream.Batch) error {
		if len(b.Records) > 0 && once {
			once = false
			return b.Emit(&stream.Record{Topic: c.out, Value: make([]byte, 2<<20)})
		}
		return nil
	}
	d.put(t, 0, 20)
	leave := d.start(t, c, stream.TransactorOptions{})
	d.await(t, "the copies", func() bool { return c.copied() == 20 })
	leave()
	if len(c.failed) != 1 || !stream.Permanent(c.failed[0]) {
		t.Errorf("failures %v, want one that is permanent", c.failed)
	}
	d.check(t, 20)
}

func testDrain(t *testing.T, d *desk) {
	c := &copyist{}
	reached, release := make(chan struct{}), make(chan struct{})
	c.process = func(b *stream.Batch) error {
		if len(b.Records) > 0 {
			close(reached)
			<-release
		}
		return nil
	}
	d.put(t, 0, 5)
	leave := d.start(t, c, stream.TransactorOptions{Linger: 200 * time.Millisecond})
	<-reached
	left := make(chan struct{})
	go func() { leave(); close(left) }()
	close(release)
	<-left
	if got := c.copied(); got != 5 {
		t.Errorf("%d records were copied by a batch under way, want 5", got)
	}
	d.check(t, 5)
}

func testTwoMembers(t *testing.T, d *desk) {
	d.put(t, 0, 500)
	a, b := &copyist{}, &copyist{}
	leaveA := d.start(t, a, stream.TransactorOptions{MaxRecords: 20})
	d.await(t, "some copies", func() bool { return a.copied() > 0 })
	d.start(t, b, stream.TransactorOptions{MaxRecords: 20})
	d.await(t, "both", func() bool { return a.t.Stats().Partitions == 1 && b.t.Stats().Partitions == 1 })
	d.put(t, 500, 1000)
	d.await(t, "work of both", func() bool { return b.copied() > 0 })
	leaveA()
	d.put(t, 1000, 1200)
	d.await(t, "all", func() bool { return a.copied()+b.copied() >= 1200 })
	d.check(t, 1200)
}

func TestTransactorCopiesOnceWhateverTheBrokerDoes(t *testing.T) {
	faults := map[string]func(b *embedded.Broker, round int){
		"answers to produce requests are lost": func(b *embedded.Broker, _ int) { b.LoseProduceAnswers(2) },
		"produce requests are refused":         func(b *embedded.Broker, _ int) { b.RefuseProduce(3) },
		"commits are refused":                  func(b *embedded.Broker, _ int) { b.RefuseCommits(2) },
		"connections are dropped":              func(b *embedded.Broker, _ int) { b.DropConnections() },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := startEmbedded(t)
			d := newDesk(t, broker.Brokers())
			c := &copyist{}
			leave := d.start(t, c, stream.TransactorOptions{MaxRecords: 25})
			total := 0
			for round := range 8 {
				d.put(t, total, total+100)
				total += 100
				fault(broker, round)
				d.await(t, fmt.Sprintf("some of round %d", round), func() bool { return c.copied() > total-100 })
				fault(broker, round)
			}
			d.await(t, "all copies", func() bool { return c.copied() >= total })
			leave()
			d.check(t, total)
			for _, err := range c.failed {
				if stream.Permanent(err) || errors.Is(err, context.Canceled) {
					t.Errorf("a batch failed for good: %v", err)
				}
			}
		})
	}
}
