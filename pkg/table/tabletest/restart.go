package tabletest

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// recreate creates a topic that was deleted a moment ago.
func (b *bench) recreate(t *testing.T, topic string, configs map[string]string) {
	t.Helper()
	await(t, "the topic to be gone", func() bool {
		states, err := b.admin.Topics(t.Context(), nil, topic)
		return err == nil && !states[0].Exists
	})
	if err := b.admin.CreateTopic(t.Context(), topic, partitions, configs); err != nil {
		t.Fatal(err)
	}
}

func testWarm(t *testing.T, b *bench) {
	const n, keys = 2000, 100
	dir := t.TempDir()
	b.put(t, 0, n/2, keys)
	work := &adder{out: b.out}
	store := openStore(t, dir)
	m := b.join(t, store, work)
	await(t, "the first half", func() bool { return work.committed() == n/2 })
	m.leave(t)
	closeAll(t, nil, store)

	// Another process has the partitions for a while, with a disk of its own.
	other := &adder{out: b.out}
	b.put(t, n/2, n/2+40, keys)
	stranger := openStore(t, t.TempDir())
	m = b.join(t, stranger, other)
	await(t, "what comes in between", func() bool { return other.committed() == 40 })
	if got := m.restored(); got < keys {
		t.Errorf("a cold start read %d records of the changelog: there are %d keys", got, keys)
	}
	m.leave(t)

	b.put(t, n/2+40, n, keys)
	m = b.join(t, openStore(t, dir), work)
	await(t, "the rest", func() bool { return work.committed() == n-40 })
	if got := m.restored(); got < 1 || got > 40 {
		t.Errorf("a warm start read %d records of the changelog, want those of the other process: 40 at most", got)
	}
	m.mu.Lock()
	last := m.progress[len(m.progress)-1]
	m.mu.Unlock()
	if !last.Done || last.Partitions != partitions || last.Records > last.Of || last.Topic != b.state {
		t.Errorf("the last that was said of the progress is %+v", last)
	}
	m.leave(t)
	b.check(t, n, keys)
}

func testDeleted(t *testing.T, b *bench) {
	dir := t.TempDir()
	store := openStore(t, dir)
	work := &adder{out: b.out}
	m := b.join(t, store, work)
	b.say(t, "a", "1")
	b.say(t, "b", "2")
	await(t, "both", func() bool { return work.committed() == 2 })
	m.leave(t)
	closeAll(t, nil, store)
	other := &adder{out: b.out}
	m = b.join(t, openStore(t, t.TempDir()), other)
	b.say(t, "a", "delete")
	await(t, "the deletion elsewhere", func() bool { return other.committed() == 1 })
	m.leave(t)
	m = b.join(t, openStore(t, dir), work)
	b.say(t, "a", "10")
	b.say(t, "b", "delete")
	b.say(t, "b", "20")
	await(t, "the rest", func() bool { return work.committed() == 5 })
	m.leave(t)
	holds(t, "the state differs", map[string]string{"a": "10", "b": "20"}, b.contents)
}

func testTimers(t *testing.T, b *bench) {
	dir := t.TempDir()
	store := openStore(t, dir)
	work := &adder{out: b.out}
	m := b.join(t, store, work)
	for _, k := range []string{"a", "b", "c", "d", "e"} {
		b.say(t, k, "due 1000")
	}
	b.say(t, "late", "due 3600000")
	b.say(t, "b", "delete")
	b.say(t, "c", "due 3600000")
	await(t, "the orders", func() bool { return work.committed() == 8 })
	m.leave(t)
	closeAll(t, nil, store)
	// Half of what is due fires from a cold copy, where a restoration wrote timers that do not count any more.
	m = b.join(t, openStore(t, t.TempDir()), work)
	await(t, "what is due", func() bool {
		out := b.outputs(t)
		return out["fired a"] > 0 && out["fired d"] > 0 && out["fired e"] > 0
	})
	work.mu.Lock()
	ticks := work.ticks
	work.mu.Unlock()
	await(t, "ticks", func() bool { work.mu.Lock(); defer work.mu.Unlock(); return work.ticks > ticks+2 })
	m.leave(t)
	holds(t, "what fired differs", map[string]int{"fired a": 1, "fired d": 1, "fired e": 1}, b.outputs)
	// The warm copy of the beginning still has the timers that have fired elsewhere.
	m = b.join(t, openStore(t, dir), work)
	b.say(t, "late", "due 0")
	await(t, "one more", func() bool { return b.outputs(t)["fired late"] > 0 })
	m.leave(t)
	holds(t, "what fired differs", map[string]int{"fired a": 1, "fired d": 1, "fired e": 1, "fired late": 1}, b.outputs)
	holds(t, "the state differs", map[string]string{"c": "waiting"}, b.contents)
}

func testRecreated(t *testing.T, b *bench) {
	dir := t.TempDir()
	store := openStore(t, dir)
	work := &adder{out: b.out}
	m := b.join(t, store, work)
	b.put(t, 0, 300, 10)
	await(t, "all records", func() bool { return work.committed() == 300 })
	m.leave(t)
	closeAll(t, nil, store)
	if err := b.cluster.DeleteTopic(t.Context(), b.state); err != nil {
		t.Fatal(err)
	}
	await(t, "the topic to be gone", func() bool {
		states, err := b.admin.Topics(t.Context(), nil, b.state)
		return err == nil && !states[0].Exists
	})
	b.createChangelog(t)
	m = b.join(t, openStore(t, dir), work)
	b.put(t, 0, 10, 10)
	await(t, "ten more", func() bool { return work.committed() == 310 })
	m.leave(t)
	holds(t, "state of a topic that is gone has survived", sums(10, 10), b.contents)
}

func testDamaged(t *testing.T, b *bench) {
	const n, keys = 2000, 300
	dir := t.TempDir()
	store := openStore(t, dir)
	work := &adder{out: b.out}
	m := b.join(t, store, work)
	b.put(t, 0, n/2, keys)
	await(t, "the first half", func() bool { return work.committed() == n/2 })
	m.leave(t)
	closeAll(t, nil, store)
	damage(t, dir)
	store = openStore(t, dir)
	m = b.join(t, store, work)
	b.put(t, n/2, n, keys)
	await(t, "the second half", func() bool { return work.committed() == n })
	m.leave(t)
	if s := store.Stats(); s.Wiped != 1 {
		t.Errorf("%d databases were thrown away, want 1", s.Wiped)
	}
	b.check(t, n, keys)
}

func testHandover(t *testing.T, b *bench) {
	const n, keys = 6000, 200
	work := []*adder{{out: b.out}, {out: b.out}, {out: b.out}}
	total := func() (sum int) {
		for _, w := range work {
			sum += w.committed()
		}
		return sum
	}
	stores := []*table.Store{openStore(t, t.TempDir()), openStore(t, t.TempDir()), openStore(t, t.TempDir())}
	var members [3]*member
	at := 0
	step := func(more int) {
		b.put(t, at, at+more, keys)
		at += more
	}
	step(1000)
	members[0] = b.join(t, stores[0], work[0])
	await(t, "the first", func() bool { return total() > 500 })
	step(1000)
	members[1] = b.join(t, stores[1], work[1])
	await(t, "the second", func() bool { return members[1].processor.Stats().Ready > 0 })
	step(1000)
	await(t, "both at work", func() bool { return work[1].committed() > 100 })
	members[2] = b.join(t, stores[2], work[2])
	step(1000)
	await(t, "the third", func() bool { return members[2].processor.Stats().Ready > 0 })
	members[0].leave(t)
	step(1000)
	await(t, "the two others", func() bool {
		return members[1].processor.Stats().Ready+members[2].processor.Stats().Ready == partitions
	})
	members[0] = b.join(t, stores[0], work[0]) // warm
	members[1].leave(t)
	step(1000)
	await(t, "all records", func() bool { return total() == n })
	members[0].leave(t)
	members[2].leave(t)
	b.check(t, n, keys)
}

func testRefusedTopics(t *testing.T, b *bench) {
	tests := map[string]struct {
		partitions int32
		configs    map[string]string
	}{
		"not compacted":           {partitions, map[string]string{"cleanup.policy": "delete", "delete.retention.ms": "604800000"}},
		"tombstones go too early": {partitions, map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "86400000"}},
		"with a partition more":   {partitions + 1, map[string]string{"cleanup.policy": "compact", "delete.retention.ms": "604800000"}},
	}
	n := 0
	for name, test := range tests {
		n++
		topic := b.config.Topic("state-" + strconv.Itoa(n))
		if err := b.admin.CreateTopic(t.Context(), topic, test.partitions, test.configs); err != nil {
			t.Fatal(err)
		}
		o := b.options(logger(t))
		o.Changelog = topic
		p, err := table.NewProcessor(b.config, openStore(t, t.TempDir()), o, &adder{})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); err == nil {
			t.Errorf("%s: the changelog was taken", name)
		}
	}
}

func testTooLarge(t *testing.T, b *bench) {
	work := &adder{out: b.out}
	var told error
	work.onProcess = func(tx *table.Tx) error {
		for _, r := range tx.Records {
			told = tx.Put(r.Partition, r.Key, make([]byte, 2<<20), time.Time{})
			if err := tx.Emit(&stream.Record{Topic: b.out, Value: []byte("instead")}); err != nil {
				return err
			}
		}
		return nil
	}
	m := b.join(t, openStore(t, t.TempDir()), work)
	b.say(t, "a", "1")
	await(t, "the record", func() bool { return work.committed() == 1 })
	m.leave(t)
	if !errors.Is(told, table.ErrTooLarge) {
		t.Errorf("putting two megabytes: %v, want ErrTooLarge", told)
	}
	holds(t, "the state differs", map[string]string{"a": "1"}, b.contents)
}
