package table_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// offeredRepeats is a Repeats that is fed, and a way to have it not know any key for a while.
func (s *repeatsScene) openOffered(memory *table.RepeatsMemory) (r *table.Repeats, asked *atomic.Int64, away *atomic.Bool) {
	s.t.Helper()
	store, err := table.OpenStore(table.StoreOptions{Dir: s.dir, Log: zerolog.Nop()})
	if err != nil {
		s.t.Fatal(err)
	}
	asked, away = new(atomic.Int64), new(atomic.Bool)
	r, err = table.OpenRepeats(s.kafka, store, table.RepeatsOptions{
		Topic: s.topic, Window: s.window, Log: zerolog.Nop(), Offered: true, Share: memory,
		Key: func(_ context.Context, r *stream.Record) ([]byte, bool, error) {
			if away.Load() {
				return nil, false, errors.New("the registry is away")
			}
			asked.Add(1)
			return r.Key, len(r.Key) > 0, nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		r.Close()
		if err := store.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return r, asked, away
}

// offer offers records of partition 0 up to an offset, from one on that need not be the first of them.
func (s *repeatsScene) offer(r *table.Repeats, from, end int) {
	r.Offer(0, int64(from), int64(end), func() []*stream.Record {
		var list []*stream.Record
		for i := from; i < end; i++ {
			again := *s.written[0][i]
			again.Offset = int64(i)
			list = append(list, &again)
		}
		return list
	})
}

func (s *repeatsScene) ready(r *table.Repeats) {
	s.t.Helper()
	for deadline := time.After(20 * time.Second); r.Stats().Partitions == 0; {
		select {
		case <-deadline:
			s.t.Fatalf("the partition is not opened: %+v", r.Stats())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (s *repeatsScene) all(r *table.Repeats, n int) {
	s.t.Helper()
	for offset := range n {
		if got, want := s.ask(r, 0, int64(offset)), s.want(0, int64(offset)); got != want {
			s.t.Errorf("%d repeats: %v, want %v", offset, got, want)
		}
	}
}

// some are records of partition 0 of which many come again.
func (s *repeatsScene) some(n int) {
	s.t.Helper()
	rng, began := rand.New(rand.NewPCG(5, 5)), time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	var records []*stream.Record
	for i := range n {
		records = append(records, &stream.Record{Key: fmt.Append(nil, rng.IntN(n/2)), Timestamp: began.Add(time.Duration(i) * time.Millisecond)})
	}
	s.produce(records...)
}

func TestWhatIsOfferedIsNotReadAgain(t *testing.T) {
	s := newRepeatsScene(t, time.Hour)
	r, asked, _ := s.openOffered(nil)
	r.Hold(0, 0)
	s.ready(r)
	s.some(300)
	for _, stretch := range [][2]int{{0, 100}, {0, 60}, {60, 140}, {100, 120}, {140, 300}} { // of two who read side by side
		s.offer(r, stretch[0], stretch[1])
	}
	s.all(r, 300)
	if n := asked.Load(); n != 300 {
		t.Errorf("%d keys were asked for, want each of 300 once", n)
	}
}

func TestWhatNobodyOffersInTimeIsRead(t *testing.T) {
	for _, c := range []struct {
		name  string
		offer func(s *repeatsScene, r *table.Repeats, away *atomic.Bool)
	}{
		{"somebody begins further ahead", func(s *repeatsScene, r *table.Repeats, _ *atomic.Bool) {
			s.offer(r, 200, 300)
		}},
		{"who is slow feeds, who is further ahead waits", func(s *repeatsScene, r *table.Repeats, _ *atomic.Bool) {
			s.offer(r, 0, 10)
			s.offer(r, 250, 300)
			s.offer(r, 10, 20)
		}},
		{"the keys cannot be told for a while", func(s *repeatsScene, r *table.Repeats, away *atomic.Bool) {
			s.offer(r, 0, 100)
			away.Store(true)
			s.offer(r, 100, 300)
			if r.Stats().Failing == nil { // it may not have been asked yet
				<-time.After(50 * time.Millisecond)
			}
			away.Store(false)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newRepeatsScene(t, time.Hour)
			r, _, away := s.openOffered(nil)
			r.Hold(0, 0)
			s.ready(r)
			s.some(300)
			c.offer(s, r, away)
			s.all(r, 300)
			s.some(100) // from here on it is fed again
			s.offer(r, 300, 400)
			s.all(r, 400)
		})
	}
}

func TestAHolderWhoBeginsFurtherAheadIsToldWithoutOfferingAnything(t *testing.T) {
	s := newRepeatsScene(t, time.Hour)
	s.some(100)
	r, _, _ := s.openOffered(nil)
	r.Hold(0, 100)
	s.all(r, 100)
}

func TestSeveralRepeatsShareTheirMemory(t *testing.T) {
	memory := table.NewRepeatsMemory(1 << 20)
	var all []*table.Repeats
	for range 2 {
		s := newRepeatsScene(t, time.Hour)
		s.some(200)
		r, _, _ := s.openOffered(memory)
		r.Hold(0, 200)
		s.all(r, 200)
		all = append(all, r)
	}
	first, second := all[0].Stats().FilterBytes, all[1].Stats().FilterBytes
	if first != second || first < 2*(16<<10)*2 { // a small filter each: two bytes for each of 16,384 keys
		t.Errorf("they take %d and %d bytes, want both of the same memory", first, second)
	}
}
