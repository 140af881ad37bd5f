// Package streamtest is what every broker must let package stream promise: one suite, run against
// the embedded broker and against Apache Kafka.
package streamtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Run holds the brokers to the suite.
func Run(t *testing.T, brokers []string) {
	tests := map[string]func(t *testing.T, b *bench){
		"records of a key come back in order and are committed":                                 testOrder,
		"a successor starts at the first unsettled record and knows where to look for receipts": testSuccessor,
		"a partition too far ahead is paused until it is relieved":                              testPause,
		"no more is lent out than the window allows":                                            testRoom,
		"a second member takes over without a record delivered twice":                           testHandover,
		"a receipt that comes when its writer's partition is another's does not count":          testLateReceipt,
		"an offset moved by another tool means: deliver again":                                  testMovedOffset,
		"reading a range ends where the topic ended":                                            testRead,
		"a topic that exists is left alone, one that is missing is created":                     testAdmin,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, brokers))
		})
	}
}

// bench is what a test works on: topics and a group of its own.
type bench struct {
	config   stream.Config
	topic    string
	receipts string
	group    string
	admin    *stream.Admin
	producer *stream.Producer
}

const partitions = 3

func newBench(t *testing.T, brokers []string) *bench {
	t.Helper()
	prefix := "st-" + strings.ToLower(rand.Text()[:8]) + "."
	c := stream.Config{Brokers: brokers, TopicPrefix: prefix, Compression: "lz4", ReplicationFactor: -1}
	b := &bench{config: c, topic: c.Topic("events"), receipts: c.Topic("receipts"), group: c.Group("g")}
	var err error
	if b.admin, err = stream.NewAdmin(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.admin.Close)
	for _, topic := range []string{b.topic, b.receipts} {
		if err := b.admin.CreateTopic(t.Context(), topic, partitions, map[string]string{"retention.ms": "3600000"}); err != nil {
			t.Fatal(err)
		}
	}
	if b.producer, err = stream.NewProducer(c, stream.ProducerOptions{ByPartition: []string{b.receipts}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.producer.Close)
	return b
}

// produce writes records n to m-1, record i with key i%keys.
func (b *bench) produce(t *testing.T, from, to, keys int) {
	t.Helper()
	var records []*stream.Record
	for i := from; i < to; i++ {
		records = append(records, &stream.Record{Topic: b.topic, Key: []byte("user-" + strconv.Itoa(i%keys)), Value: []byte(strconv.Itoa(i))})
	}
	if err := b.producer.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
}

// receipt writes the receipt of a delivery and returns its offset.
func (b *bench) receipt(ctx context.Context, d stream.Delivery) (int64, error) {
	r := &stream.Record{Topic: b.receipts, Partition: d.Partition().Number, Key: d.Key(), Value: []byte(strconv.FormatInt(d.Offset(), 10))}
	err := b.producer.ProduceAll(ctx, r)
	return r.Offset, err
}

// member is a consumer with a handler that keeps what it is lent.
type member struct {
	mu       sync.Mutex
	changed  sync.Cond
	assigned []*stream.Partition
	lent     []stream.Delivery
	revoked  int
	onTake   func(d stream.Delivery) // settles at once, when set

	stop   context.CancelFunc
	result chan error
}

func (m *member) Assigned(_ context.Context, parts []*stream.Partition) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assigned = append(m.assigned, parts...)
	m.changed.Broadcast()
	return nil
}

func (m *member) Take(_ context.Context, lent []stream.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lent = append(m.lent, lent...)
	m.changed.Broadcast()
	if m.onTake != nil {
		for _, d := range lent {
			m.onTake(d)
		}
	}
	return nil
}

func (m *member) Revoked(context.Context, []*stream.Partition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.revoked++
	m.changed.Broadcast()
}

// await waits until the member's state satisfies a condition.
func (m *member) await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, m.changed.Broadcast)()
	m.mu.Lock()
	defer m.mu.Unlock()
	for !cond() {
		if ctx.Err() != nil {
			t.Fatalf("waiting for %s: lent %d, assigned %d, revoked %d", what, len(m.lent), len(m.assigned), m.revoked)
		}
		m.changed.Wait()
	}
}

// leave drains the member and returns what Run returned.
func (m *member) leave(t *testing.T) {
	t.Helper()
	m.stop()
	if err := <-m.result; err != nil {
		t.Fatalf("Run: %v", err)
	}
}

func (b *bench) join(t *testing.T, o stream.ConsumerOptions, onTake func(d stream.Delivery)) (*member, *stream.Consumer) {
	t.Helper()
	m := &member{onTake: onTake, result: make(chan error, 1)}
	m.changed.L = &m.mu
	o.Group, o.Topics, o.Receipts, o.Log = b.group, []string{b.topic}, b.receipts, zerolog.Nop()
	if o.ReceiptsBy == nil {
		o.ReceiptsBy = b.producer
	}
	if o.CommitEvery == 0 {
		o.CommitEvery = 50 * time.Millisecond
	}
	c, err := stream.NewConsumer(b.config, o, m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	m.stop = stop
	go func() { m.result <- c.Run(ctx) }()
	t.Cleanup(stop)
	return m, c
}

func settle(d stream.Delivery) { d.Settle(ledger.NoReceipt) }

func testOrder(t *testing.T, b *bench) {
	const n, keys = 600, 7
	b.produce(t, 0, n, keys)
	m, c := b.join(t, stream.ConsumerOptions{}, settle)
	m.await(t, "all records", func() bool { return len(m.lent) == n })
	last := map[string]int{}
	for _, d := range m.lent {
		i, err := strconv.Atoi(string(d.Value()))
		if err != nil {
			t.Fatal(err)
		}
		if before, seen := last[string(d.Key())]; seen && i <= before {
			t.Fatalf("key %s: record %d came after %d", d.Key(), i, before)
		}
		last[string(d.Key())] = i
	}
	if s := c.Stats(); s.Held != 0 || s.Partitions != partitions || s.HeldBytes != 0 {
		t.Errorf("stats with everything settled: %+v", s)
	}
	m.leave(t)

	b.produce(t, n, n+10, keys)
	m2, _ := b.join(t, stream.ConsumerOptions{}, settle)
	m2.await(t, "the records after the commit", func() bool { return len(m2.lent) >= 10 })
	m2.leave(t)
	if len(m2.lent) != 10 {
		t.Errorf("a successor was lent %d records, want the 10 new ones", len(m2.lent))
	}
}

func testSuccessor(t *testing.T, b *bench) {
	const n = 90
	b.produce(t, 0, n, 1) // one key: one partition
	m, _ := b.join(t, stream.ConsumerOptions{}, nil)
	m.await(t, "all records", func() bool { return len(m.lent) == n })
	// 0 to 9 are settled, then every second one: the prefix is 10 long.
	want := map[int64]int64{}
	for i, d := range m.lent {
		if i >= 10 && i%2 == 1 {
			continue
		}
		at, err := b.receipt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		d.Settle(at)
		if i > 10 {
			want[d.Offset()] = at
		}
	}
	number := m.lent[0].Partition().Number
	m.leave(t)

	m2, _ := b.join(t, stream.ConsumerOptions{}, settle)
	m2.await(t, "the rest", func() bool { return len(m2.lent) == n-11 })
	var start ledger.Position
	for _, p := range m2.assigned {
		if p.Number == number {
			start = p.Start
		}
	}
	if start.Offset != 11 || m2.lent[0].Offset() != 11 {
		t.Fatalf("the successor starts at %d (first record %d), want 11", start.Offset, m2.lent[0].Offset())
	}
	found := map[int64]int64{}
	err := stream.Read(t.Context(), b.config, stream.Range{Topic: b.receipts, From: map[int32]int64{number: start.Receipt}}, func(r *stream.Record) error {
		offset, err := strconv.ParseInt(string(r.Value), 10, 64)
		if offset >= start.Offset {
			found[offset] = r.Offset
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("receipts found from %d on: %v, want %v", start.Receipt, found, want)
	}
	m2.leave(t)
}

func testLateReceipt(t *testing.T, b *bench) {
	b.produce(t, 0, 10, 1)
	// Each owner has a producer of its own; the first one's goes on after its consumer has left, as the
	// requests of a killed process do that stand in the broker's socket.
	writers := make([]*stream.Producer, 3)
	for i := range writers {
		p, err := stream.NewProducer(b.config, stream.ProducerOptions{ByPartition: []string{b.receipts}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		writers[i] = p
	}
	write := func(i int, number int32, what string) {
		if err := writers[i].ProduceAll(t.Context(), &stream.Record{Topic: b.receipts, Partition: number, Value: []byte(what)}); err != nil {
			t.Fatal(err)
		}
	}
	var number int32
	counted := func(m *member) (words []string) {
		for _, p := range m.assigned {
			if p.Number != number {
				continue
			}
			err := stream.Read(t.Context(), b.config, stream.Range{Topic: b.receipts, From: map[int32]int64{number: p.Start.Receipt}}, func(r *stream.Record) error {
				if p.Counts(r) {
					words = append(words, string(r.Value))
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return words
	}
	m1, _ := b.join(t, stream.ConsumerOptions{ReceiptsBy: writers[0]}, nil)
	m1.await(t, "all records", func() bool { return len(m1.lent) == 10 })
	number = m1.lent[0].Partition().Number
	write(0, number, "first owner, in time")
	m1.leave(t)

	m2, _ := b.join(t, stream.ConsumerOptions{ReceiptsBy: writers[1]}, nil)
	m2.await(t, "all records", func() bool { return len(m2.lent) == 10 })
	write(0, number, "first owner, too late")
	write(1, number, "second owner")
	if got := fmt.Sprint(counted(m2)); got != "[first owner, in time]" {
		t.Errorf("to the second owner count %s", got)
	}
	m2.leave(t)

	m3, _ := b.join(t, stream.ConsumerOptions{ReceiptsBy: writers[2]}, nil)
	m3.await(t, "all records", func() bool { return len(m3.lent) == 10 })
	if got := fmt.Sprint(counted(m3)); got != "[first owner, in time second owner]" {
		t.Errorf("to the third owner count %s", got)
	}
	m3.leave(t)
}

func testPause(t *testing.T, b *bench) {
	// All but the first are settled: nothing of them may be committed, but they take no memory.
	var first stream.Delivery
	m, c := b.join(t, stream.ConsumerOptions{WindowRecords: 10}, func(d stream.Delivery) {
		if string(d.Value()) == "0" {
			first = d
			return
		}
		settle(d)
	})
	m.await(t, "partitions", func() bool { return len(m.assigned) == partitions })
	b.produce(t, 0, 40, 1)
	awaitStats(t, c, "a paused partition", func(s stream.Stats) bool { return s.Paused == 1 })
	held := c.Stats().Ahead
	if held < 10 || held >= 20 {
		t.Errorf("the partition was paused %d records ahead of its commit, with a window of 10", held)
	}
	b.produce(t, 1001, 1002, 1000) // a key of another partition: it proves that fetching goes on
	m.await(t, "a record of another partition", func() bool {
		return len(m.lent) > 0 && string(m.lent[len(m.lent)-1].Value()) == "1001"
	})
	if len(m.lent) != held+1 {
		t.Errorf("%d records were lent, want %d of the paused partition and 1 of another", len(m.lent), held)
	}
	settle(first)
	m.await(t, "the paused partition to go on", func() bool { return len(m.lent) == 41 })
	m.leave(t)
}

func testRoom(t *testing.T, b *bench) {
	m, c := b.join(t, stream.ConsumerOptions{WindowRecords: 10}, nil)
	m.await(t, "partitions", func() bool { return len(m.assigned) == partitions })
	b.produce(t, 0, 12, 12)
	m.await(t, "as much as may be lent", func() bool { return len(m.lent) == 10 })
	b.produce(t, 12, 100, 12)
	m.mu.Lock()
	if s := c.Stats(); s.Held != 10 || len(m.lent) != 10 {
		t.Errorf("%d records are held with a window of 10", s.Held)
	}
	m.onTake = settle
	for _, d := range m.lent {
		settle(d)
	}
	m.mu.Unlock()
	m.await(t, "the rest", func() bool { return len(m.lent) == 100 })
	m.leave(t)
}

func awaitStats(t *testing.T, c *stream.Consumer, what string, cond func(stream.Stats) bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(30 * time.Second)
	for !cond(c.Stats()) {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waiting for %s: %+v", what, c.Stats())
		}
	}
}

func testHandover(t *testing.T, b *bench) {
	const n = 300
	m, _ := b.join(t, stream.ConsumerOptions{}, settle)
	m.await(t, "partitions", func() bool { return len(m.assigned) == partitions })
	b.produce(t, 0, n, 50)
	m.await(t, "all records", func() bool { return len(m.lent) == n })
	m2, _ := b.join(t, stream.ConsumerOptions{}, settle)
	m2.await(t, "a share of the partitions", func() bool { return len(m2.assigned) > 0 })
	m.await(t, "the revocation", func() bool { return m.revoked > 0 })
	b.produce(t, n, 2*n, 50)
	seen := map[string]int{}
	count := func() int {
		total := 0
		for _, who := range []*member{m, m2} {
			who.mu.Lock()
			total += len(who.lent)
			who.mu.Unlock()
		}
		return total
	}
	m2.await(t, "records", func() bool { return len(m2.lent) > 0 })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(60 * time.Second)
	for count() < 2*n {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("%d of %d records", count(), 2*n)
		}
	}
	m.leave(t)
	m2.leave(t)
	for _, who := range []*member{m, m2} {
		for _, d := range who.lent {
			seen[string(d.Value())]++
		}
	}
	for i := range 2 * n {
		if seen[strconv.Itoa(i)] != 1 {
			t.Errorf("record %d was lent %d times", i, seen[strconv.Itoa(i)])
		}
	}
}

func testMovedOffset(t *testing.T, b *bench) {
	b.produce(t, 0, 20, 1)
	m, _ := b.join(t, stream.ConsumerOptions{}, nil)
	m.await(t, "all records", func() bool { return len(m.lent) == 20 })
	for _, d := range m.lent {
		at, err := b.receipt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		d.Settle(at)
	}
	number := m.lent[0].Partition().Number
	m.leave(t)
	if err := b.admin.MoveOffset(t.Context(), b.group, b.topic, number, 5); err != nil {
		t.Fatal(err)
	}
	m2, _ := b.join(t, stream.ConsumerOptions{}, settle)
	m2.await(t, "the records again", func() bool { return len(m2.lent) == 15 })
	for _, p := range m2.assigned {
		if p.Number == number && p.Start != (ledger.Position{Offset: 5, Receipt: 20}) {
			t.Errorf("start = %+v, want offset 5 and no receipt to be found", p.Start)
		}
	}
	m2.leave(t)
}

func testRead(t *testing.T, b *bench) {
	b.produce(t, 0, 100, 10)
	middle := time.Now()
	read := func(r stream.Range) (n int) {
		r.Topic = b.topic
		if err := stream.Read(t.Context(), b.config, r, func(*stream.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := read(stream.Range{}); n != 100 {
		t.Errorf("read %d records, want 100", n)
	}
	if n := read(stream.Range{Since: middle.Add(time.Hour)}); n != 0 {
		t.Errorf("read %d records since an hour ahead, want none", n)
	}
	if n := read(stream.Range{Since: middle.Add(-time.Hour)}); n != 100 {
		t.Errorf("read %d records since an hour ago, want 100", n)
	}
	n := 0
	err := stream.Read(t.Context(), b.config, stream.Range{Topic: b.topic}, func(*stream.Record) error {
		n++
		return stream.ErrStop
	})
	if n != 1 || err != nil {
		t.Errorf("after ErrStop: %d records, %v", n, err)
	}
}

func testAdmin(t *testing.T, b *bench) {
	name := b.config.Topic("fresh")
	configs := map[string]string{"retention.ms": "7200000"}
	for range 2 { // the second time it is there already
		if err := b.admin.CreateTopic(t.Context(), name, 2, configs); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.admin.AlterTopic(t.Context(), name, map[string]string{"retention.ms": "3600000"}); err != nil {
		t.Fatal(err)
	}
	states, err := b.admin.Topics(t.Context(), []string{"retention.ms"}, name, b.config.Topic("none"))
	if err != nil {
		t.Fatal(err)
	}
	if s := states[0]; !s.Exists || s.Partitions != 2 || s.Configs["retention.ms"] != "3600000" {
		t.Errorf("state = %+v", s)
	}
	if states[1].Exists {
		t.Error("a topic that is missing is said to exist")
	}
}
