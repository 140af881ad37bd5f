package table

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// world is a Processor's copy beside a naive model of it: a map, and the changelog as a list. Kafka is left out; what it
// does to a copy, restarts, crashes and other owners, is done here step by step as a fuzzer says.
type world struct {
	t     *testing.T
	dir   string
	p     *Processor
	log   [][]*stream.Record // committed, by partition
	state []map[string]thing
	draft []map[string]*thing // of the batch under way; nil for deleted
	sent  [][]*stream.Record
	open  bool
	now   time.Time
}

type thing struct {
	value string
	due   int64
}

const worldPartitions = 2

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), now: time.Now().Truncate(time.Millisecond)}
	for range worldPartitions {
		w.log = append(w.log, nil)
		w.state = append(w.state, map[string]thing{})
	}
	w.start()
	return w
}

// Emit takes a record of the changelog.
func (w *world) Emit(r *stream.Record) error {
	r.Offset = int64(len(w.log[r.Partition]) + len(w.sent[r.Partition]))
	w.sent[r.Partition] = append(w.sent[r.Partition], r)
	return nil
}

// start opens the store and makes a processor that has nothing yet.
func (w *world) start() {
	s, err := OpenStore(StoreOptions{Dir: w.dir, CacheBytes: 1 << 20, MemtableBytes: 256 << 10, Log: zerolog.Nop()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.p = &Processor{o: ProcessorOptions{Changelog: "state", Log: zerolog.Nop()}, store: s, limit: 1 << 10, ready: map[int32]*part{}, kept: map[int32]part{}, wrote: w.now}
	w.p.hot = newHot(0, 1<<10) // a segment of one item: everything is written and dropped again and again
	w.p.tx = &Tx{p: w.p}
	w.restore()
}

// restore makes the copy complete.
func (w *world) restore() {
	table, epoch, err := w.p.store.table("state")
	if err != nil {
		w.t.Fatal(err)
	}
	r := &restoration{store: w.p.store, table: table, epoch: epoch, topic: [16]byte{1}, began: w.now, copies: map[int32]*mark{}}
	for n := range int32(worldPartitions) {
		from, err := r.begin(n, stream.Extent{First: 0, End: int64(len(w.log[n]))})
		if err != nil {
			w.t.Fatal(err)
		}
		if records := w.log[n][from:]; len(records) > 0 {
			if err := r.take(n, records, int64(len(w.log[n]))); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := r.write(); err != nil {
			w.t.Fatal(err)
		}
		w.p.admit(r, n)
	}
}

func (w *world) begin() *Tx {
	if !w.open {
		w.open = true
		w.now = w.now.Add(time.Second)
		if err := w.p.begin(&stream.Batch{Now: w.now}); err != nil {
			w.t.Fatal(err)
		}
		w.p.tx.batch = w
		w.draft, w.sent = make([]map[string]*thing, worldPartitions), make([][]*stream.Record, worldPartitions)
		for n := range w.draft {
			w.draft[n] = map[string]*thing{}
		}
	}
	return w.p.tx
}

func (w *world) commit() {
	tx := w.begin()
	if err := tx.emit(); err != nil {
		w.t.Fatal(err)
	}
	for n := range w.log {
		for key, th := range w.draft[n] {
			if th == nil {
				delete(w.state[n], key)
			} else {
				w.state[n][key] = *th
			}
		}
		w.log[n] = append(w.log[n], w.sent[n]...)
	}
	if err := w.p.apply(tx); err != nil {
		w.t.Fatal(err)
	}
	w.end()
}

func (w *world) end() {
	w.p.tx.release()
	w.open = false
}

// expect is what a key must be.
func (w *world) expect(n int32, key string) (thing, bool) {
	if th, ok := w.draft[n][key]; ok {
		if th == nil {
			return thing{}, false
		}
		return *th, true
	}
	th, ok := w.state[n][key]
	return th, ok
}

func (w *world) get(n int32, key string) {
	value, ok, err := w.begin().Get(n, []byte(key))
	if err != nil {
		w.t.Fatal(err)
	}
	want, there := w.expect(n, key)
	if ok != there || string(value) != want.value {
		w.t.Fatalf("%d/%s is %q (%t), want %q (%t)", n, key, value, ok, want.value, there)
	}
}

func (w *world) due() {
	tx := w.begin()
	found, err := tx.Due(1000)
	if err != nil {
		w.t.Fatal(err)
	}
	var got, want []string
	for _, e := range found {
		got = append(got, fmt.Sprint(e.Partition, string(e.Key), string(e.Value), e.Due.UnixMilli()))
	}
	for n, state := range w.state {
		for key, th := range state {
			if _, changed := w.draft[n][key]; !changed && th.due != 0 && th.due <= w.now.UnixMilli() {
				want = append(want, fmt.Sprint(n, key, th.value, th.due))
			}
		}
	}
	if !slices.IsSortedFunc(found, func(a, b Entry) int { return a.Due.Compare(b.Due) }) {
		w.t.Fatalf("what is due is not in order: %v", got)
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		w.t.Fatalf("due at %d (-want +got):\n%s", w.now.UnixMilli(), diff)
	}
}

// elsewhere is a batch of another owner.
func (w *world) elsewhere(n int32, key string, value []byte, due int64) {
	r := record("state", n, []byte(key), value, due)
	r.Offset = int64(len(w.log[n]))
	w.log[n] = append(w.log[n], &r)
	if value == nil {
		delete(w.state[n], key)
	} else {
		w.state[n][key] = thing{string(value), due}
	}
}

// step does what three bytes say.
func (w *world) step(op, a, b byte) {
	n, key := int32(a)%worldPartitions, "k"+strconv.Itoa(int(a/2)%24)
	value := bytes.Repeat([]byte{'a' + b%26}, 1+int(b)*3)
	var due time.Time
	if b%3 == 0 {
		due = w.now.Add(time.Duration(int(b)-60) * 100 * time.Millisecond)
	}
	switch op % 16 {
	case 0, 1, 2, 3, 4:
		for i := range int(op%16) + 1 { // some keys at once
			key := "k" + strconv.Itoa(int(a/2+7*byte(i))%24)
			if err := w.begin().Put(n, []byte(key), value, due); err != nil {
				w.t.Fatal(err)
			}
			w.draft[n][key] = &thing{string(value), dueMillis(due)}
		}
	case 5:
		if err := w.begin().Delete(n, []byte(key)); err != nil {
			w.t.Fatal(err)
		}
		w.draft[n][key] = nil
	case 6, 7:
		w.get(n, key)
	case 8, 9:
		w.commit()
	case 10: // abort
		w.begin()
		w.end()
		w.draft = make([]map[string]*thing, worldPartitions)
	case 11:
		w.due()
	case 12: // restart
		w.abort()
		w.p.settle()
		w.p.disown()
		if err := w.p.store.Close(); err != nil {
			w.t.Fatal(err)
		}
		w.start()
	case 13: // crash; some of what was in memory may have reached the disk
		w.abort()
		var err error
		if b%3 == 0 {
			err = w.p.writeHot()
		}
		if b%3 != 1 {
			err = errors.Join(err, w.p.store.db.Flush())
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.p.store.abandon(); err != nil {
			w.t.Fatal(err)
		}
		w.start()
	case 14: // another disk
		w.abort()
		if err := errors.Join(w.p.store.abandon(), os.RemoveAll(w.dir)); err != nil {
			w.t.Fatal(err)
		}
		w.start()
	case 15: // the partitions are somebody else's for a while, or nobody's
		w.abort()
		w.p.forget()
		for range b % 4 {
			if b%5 == 0 {
				value = nil
			}
			w.elsewhere(n, key, value, dueMillis(due))
			key = "k" + strconv.Itoa(int(b)%24)
		}
		w.restore()
	}
}

func (w *world) abort() {
	if w.open {
		w.end()
	}
	w.draft = make([]map[string]*thing, worldPartitions)
}

// check compares everything.
func (w *world) check() {
	w.abort()
	for n := range int32(worldPartitions) {
		for i := range 24 {
			w.get(n, "k"+strconv.Itoa(i))
		}
	}
	w.now = w.now.Add(time.Hour)
	w.abort()
	w.due()
}

func FuzzCopyIsAsTheModelSays(f *testing.F) {
	f.Add([]byte("\x00\x01\x03\x08\x00\x00\x0b\x00\x00\x0c\x00\x00\x06\x01\x00"))
	f.Add([]byte("\x00\x01\x03\x08\x00\x00\x0d\x00\x01\x06\x01\x00\x0f\x01\x07\x0b\x00\x00"))
	f.Add([]byte("\x00\x01\x03\x01\x02\xf3\x08\x00\x00\x0e\x00\x00\x05\x01\x00\x08\x00\x00\x0d\x00\x00\x06\x01\x01"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		w := newWorld(t)
		defer func() {
			if err := w.p.store.Close(); err != nil {
				t.Error(err)
			}
		}()
		for ; len(ops) >= 3; ops = ops[3:] {
			w.step(ops[0], ops[1], ops[2])
		}
		w.check()
	})
}

// TestCopyIsAsTheModelSays goes through many operations, the same ones each time.
func TestCopyIsAsTheModelSays(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			x := seed*2 + 1
			for range 2_000 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				op := byte(x >> 8 % 16)
				if op >= 12 && x>>32%4 != 0 { // restarts are slow
					op -= 12
				}
				w.step(op, byte(x>>16), byte(x>>24))
			}
			w.check()
			if err := w.p.store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
