package tabletest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// viewed is a view of the bench's output topic, with the clock that it goes by.
type viewed struct {
	*table.View
	late     atomic.Int64 // nanoseconds that its clock is ahead
	restored atomic.Int64 // records that the last Assign has read
}

// view opens a view. It is closed with the test, if not before.
func (b *bench) view(t *testing.T, store *table.Store) *viewed {
	t.Helper()
	v := &viewed{}
	var err error
	v.View, err = table.OpenView(b.config, store, table.ViewOptions{
		Topic: b.out, Window: time.Hour, Log: logger(t),
		Decode: func(r *stream.Record) (key, value []byte, ok bool) {
			return r.Key, r.Value, len(r.Value) > 0
		},
		Progress: func(p table.Progress) { v.restored.Store(p.Records) },
		Now:      func() time.Time { return time.Now().Add(time.Duration(v.late.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func (v *viewed) assign(t *testing.T, numbers ...int32) {
	t.Helper()
	if err := v.Assign(t.Context(), numbers); err != nil {
		t.Fatal(err)
	}
}

// receipts appends entries from from to to-1 to partition i%partitions, so long ago, and returns them.
func (b *bench) receipts(t *testing.T, from, to int, ago time.Duration) []*stream.Record {
	t.Helper()
	p, err := stream.NewProducer(b.config, stream.ProducerOptions{ByPartition: []string{b.out}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var records []*stream.Record
	for i := from; i < to; i++ {
		records = append(records, &stream.Record{
			Topic: b.out, Partition: int32(i % partitions), Timestamp: time.Now().Add(-ago),
			Key: fmt.Appendf(nil, "%016d", i), Value: fmt.Appendf(nil, "value %d", i),
		})
	}
	if err := p.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	return records
}

// add tells the view of records that we have appended.
func (v *viewed) add(records []*stream.Record) {
	for _, r := range records {
		v.Add(r.Partition, r.Offset, r.Timestamp, r.Key, r.Value)
	}
}

// know checks which of the entries from from to to-1 the view knows.
func (v *viewed) know(t *testing.T, from, to int, want bool) {
	t.Helper()
	wrong := 0
	for i := from; i < to; i++ {
		value, ok, err := v.Get(int32(i%partitions), fmt.Appendf(nil, "%016d", i))
		if err != nil {
			t.Fatal(err)
		}
		if ok != want || ok && string(value) != fmt.Sprintf("value %d", i) {
			wrong++
		}
	}
	if wrong > 0 {
		t.Errorf("of entries %d to %d, known: %t wanted, %d are not as they should", from, to-1, want, wrong)
	}
}

func testViewPast(t *testing.T, b *bench) {
	b.receipts(t, 0, 100, 2*time.Hour)
	b.receipts(t, 100, 200, 50*time.Minute)
	b.receipts(t, 200, 300, 0)
	v := b.view(t, openStore(t, t.TempDir()))
	v.assign(t, 0, 1)
	if _, _, err := v.Get(2, []byte("x")); err == nil {
		t.Error("a partition was asked that is not assigned, and there was no error")
	}
	v.assign(t, 0, 1, 2)
	v.know(t, 0, 100, false)
	v.know(t, 100, 300, true)
	v.know(t, 300, 400, false)
	if s := v.Stats(); s.Partitions != 3 || s.Entries < 200 || s.FilterBytes == 0 {
		t.Errorf("stats: %+v", s)
	}
	v.add(b.receipts(t, 300, 400, 0))
	v.know(t, 300, 400, true)

	v.late.Store(int64(20 * time.Minute)) // 50 minutes ago is now 70 minutes ago
	v.know(t, 100, 200, false)
	v.know(t, 200, 400, true)
	v.late.Store(int64(3 * time.Hour))
	v.know(t, 200, 400, false)
	await(t, "the filters to be dropped", func() bool { return v.Stats().FilterBytes == 0 })
	if s := v.Stats(); s.Entries != 0 {
		t.Errorf("stats after the window has passed: %+v", s)
	}
}

func testViewWarm(t *testing.T, b *bench) {
	dir := t.TempDir()
	store := openStore(t, dir)
	v := b.view(t, store)
	v.assign(t, 0, 1, 2)
	v.add(b.receipts(t, 0, 3000, 0))
	v.know(t, 0, 3000, true)
	closeAll(t, v, store)

	b.receipts(t, 3000, 3090, 0) // of another owner
	store = openStore(t, dir)
	v = b.view(t, store)
	v.assign(t, 0, 1, 2)
	v.know(t, 0, 3090, true)
	if n := v.restored.Load(); n != 90 {
		t.Errorf("%d records were read to restore a warm view, want 90", n)
	}
	v.Revoke([]int32{1})
	b.receipts(t, 4000, 4100, 0)
	v.assign(t, 1)
	for i := 4000; i < 4100; i++ {
		if i%partitions == 1 {
			v.know(t, i, i+1, true)
		}
	}
	closeAll(t, v, store)

	if err := b.cluster.DeleteTopic(t.Context(), b.out); err != nil {
		t.Fatal(err)
	}
	b.recreate(t, b.out, nil)
	b.receipts(t, 0, 10, 0)
	v = b.view(t, openStore(t, dir))
	v.assign(t, 0, 1, 2)
	v.know(t, 0, 10, true)
	v.know(t, 10, 4100, false) // of the topic that is gone
}

func closeAll(t *testing.T, v *viewed, store *table.Store) {
	t.Helper()
	if v != nil {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}

func testViewDamaged(t *testing.T, b *bench) {
	dir := t.TempDir()
	store := openStore(t, dir)
	v := b.view(t, store)
	v.assign(t, 0, 1, 2)
	v.add(b.receipts(t, 0, 3000, 0))
	closeAll(t, v, store)
	damage(t, dir)
	store = openStore(t, dir)
	v = b.view(t, store)
	v.assign(t, 0, 1, 2)
	v.add(b.receipts(t, 3000, 3100, 0))
	later := b.receipts(t, 3100, 3700, 0)
	var adding sync.WaitGroup
	adding.Go(func() { // while it is being restored
		for i := range later {
			v.add(later[i : i+1])
		}
	})
	v.know(t, 0, 3100, true)
	adding.Wait()
	v.know(t, 0, 3700, true)
	v.know(t, 3700, 3800, false)
	if s := store.Stats(); s.Wiped != 1 {
		t.Errorf("%d databases were thrown away, want 1", s.Wiped)
	}
}

// damage turns bits in every file of a store that holds values.
func damage(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.[sb][sl][to]*")) // sst and blob
	if err != nil || len(files) == 0 {
		t.Fatalf("files with values: %v %v", files, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(b)/2; i += 50 {
			b[i] ^= 0x40
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
