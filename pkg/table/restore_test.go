package table

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

type idle struct{}

func (idle) Process(context.Context, *Tx) error { return nil }
func (idle) Ended(*Tx, error)                   {}

// newRestored is a processor that nobody runs, and a restoration of its partition 1 that has begun.
func newRestored(t *testing.T, end int64) (*Processor, *restoration) {
	t.Helper()
	store, err := OpenStore(StoreOptions{Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	p, err := NewProcessor(stream.Config{Brokers: []string{"127.0.0.1:1"}, Compression: "lz4"}, store, ProcessorOptions{Group: "g", Topics: []string{"in"}, Changelog: "log"}, idle{})
	if err != nil {
		t.Fatal(err)
	}
	number, epoch, err := store.table("log")
	if err != nil {
		t.Fatal(err)
	}
	p.turn, p.assigned = 1, []int32{1, 2}
	r := &restoration{store: store, table: number, epoch: epoch, began: time.Now(), copies: map[int32]*mark{}}
	if _, err := r.begin(1, stream.Extent{First: 0, End: end}); err != nil {
		t.Fatal(err)
	}
	return p, r
}

// TestWhatIsWorkedOnIsNotRestoredOnceMore: reading one partition may fail when another is at work already, and
// what was asked for before that is behind it.
func TestWhatIsWorkedOnIsNotRestoredOnceMore(t *testing.T) {
	p, r := newRestored(t, 0)
	if got := p.missing(1, []int32{1, 2}); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("before: %v", got)
	}
	if err := p.complete(1, r, 1); err != nil {
		t.Fatal(err)
	}
	if got := p.missing(1, []int32{1, 2}); !slices.Equal(got, []int32{2}) {
		t.Errorf("with partition 1 at work: %v", got)
	}
	if got := p.missing(2, []int32{1, 2}); got != nil {
		t.Errorf("after the partitions were assigned anew: %v", got)
	}
	if len(r.copies) != 0 {
		t.Error("the restoration goes on writing the mark of a partition that is at work")
	}
}

// TestOutdatedTimersAreForgottenLittleByLittle: a restoration leaves one for each time that a key was renewed, and
// a batch must not read all of them at once.
func TestOutdatedTimersAreForgottenLittleByLittle(t *testing.T) {
	const keys, limit = 1_000, 10
	p, r := newRestored(t, 2*keys)
	now := time.Now()
	var records []*stream.Record
	for i := range keys {
		for _, due := range []time.Time{now.Add(-time.Hour + time.Duration(i)*time.Millisecond), now.Add(time.Hour)} {
			key := fmt.Sprintf("key-%04d", i)
			records = append(records, &stream.Record{Key: []byte(key), Value: []byte("value"), Headers: []stream.Header{{Key: DueHeader, Value: fmt.Appendf(nil, "%d", due.UnixMilli())}}})
		}
	}
	if err := r.take(1, records, 2*keys); err != nil {
		t.Fatal(err)
	}
	if err := p.complete(1, r, 1); err != nil {
		t.Fatal(err)
	}
	for round := 0; ; round++ {
		if err := p.begin(&stream.Batch{Now: now}); err != nil {
			t.Fatal(err)
		}
		due, err := p.tx.Due(limit)
		if err != nil || len(due) > 0 {
			t.Fatalf("%d are due, %v", len(due), err)
		}
		if n := len(p.tx.parts[1].cells); n > 5*limit {
			t.Fatalf("round %d looked at %d", round, n)
		}
		if p.ready[1].dueAt > now.UnixMilli() {
			if round < keys/(5*limit) {
				t.Errorf("done after %d rounds", round)
			}
			return
		}
		if round > keys {
			t.Fatal("it never ends")
		}
	}
}
