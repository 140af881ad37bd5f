package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sluicehq/sluice/pkg/stream"
)

// job is a restoration under way. The nil job is over.
type job struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (j *job) stop() {
	if j != nil {
		j.cancel()
	}
}

func (j *job) wait() {
	if j != nil {
		<-j.done
	}
}

// restore begins to restore what is assigned, when the restoration before has come to its end.
func (p *Processor) restore(before *job) {
	ctx, cancel := context.WithCancel(p.running)
	j := &job{cancel, make(chan struct{})}
	p.job = j
	turn, numbers := p.turn, p.assigned
	go func() {
		defer close(j.done)
		defer cancel()
		before.wait()
		for pause := 100 * time.Millisecond; len(numbers) > 0 && ctx.Err() == nil; pause = min(2*pause, 5*time.Second) {
			err := p.restoreAll(ctx, turn, numbers)
			if err == nil || ctx.Err() != nil {
				return
			}
			p.o.Log.Warn().Err(err).Msg("restoring state; it is tried again")
			wait(ctx, pause)
			numbers = p.missing(turn, numbers)
		}
	}()
}

// missing are those partitions that are not worked on yet: of one that is, the copy is ahead of what could be read
// into it once more.
func (p *Processor) missing(turn uint64, numbers []int32) []int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn != turn {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(numbers), func(n int32) bool { return p.ready[n] != nil })
}

// restoreAll makes the copies of partitions complete and lets their records come, each as soon as it is.
//
// What a predecessor has committed stands in the changelog before the end that we ask for: its offsets, which
// Kafka holds back until its transaction is decided, are asked for first. Only the transaction's marker may still
// be missing there, and reading up to the end waits for it. After that nobody but us can commit anything for these
// partitions (stream.Transactor).
func (p *Processor) restoreAll(ctx context.Context, turn uint64, numbers []int32) error {
	if _, err := p.store.renew(); err != nil {
		return err
	}
	table, epoch, err := p.store.table(p.o.Changelog)
	if err != nil {
		return err
	}
	if err := p.log.AwaitStable(ctx, p.o.Group, p.o.Topics); err != nil {
		return err
	}
	layout, err := p.log.Layout(ctx)
	if err != nil {
		return err
	}
	extents, err := p.log.Extents(ctx)
	if err != nil {
		return err
	}
	r := restoration{store: p.store, table: table, epoch: epoch, topic: layout.ID, began: time.Now(), copies: map[int32]*mark{}}
	stretches := map[int32]stream.Stretch{}
	report := newReporter(p.o.Progress, p.o.Changelog, &p.progress)
	var of int64
	var lacking error
	for _, number := range numbers {
		extent, ok := extents[number]
		if !ok { // the others can be worked on
			lacking = errors.Join(lacking, fmt.Errorf("restoring partition %d: %s has no such partition", number, p.o.Changelog))
			continue
		}
		from, err := r.begin(number, extent)
		if err != nil {
			return err
		}
		stretches[number] = stream.Stretch{From: from, To: extent.End}
		of += extent.End - from
	}
	report.begin(len(numbers), of)
	for number, s := range stretches {
		if s.From >= s.To {
			if err := p.complete(turn, &r, number); err != nil {
				return err
			}
		}
	}
	err = p.log.Read(ctx, stretches, func(number int32, records []*stream.Record, next int64) error {
		if err := r.take(number, records, next); err != nil {
			return err
		}
		report.read(len(records))
		if next >= stretches[number].To {
			return p.complete(turn, &r, number)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if report.done(); lacking != nil {
		return lacking
	}
	p.o.Log.Info().Int("partitions", len(numbers)).Int64("records", report.p.Records).Dur("elapsed", time.Since(r.began)).Msg("state restored")
	return nil
}

// complete takes note that the copy of a partition is complete, and lets its records come.
func (p *Processor) complete(turn uint64, r *restoration, number int32) error {
	r.copies[number].AsOf = r.began
	if err := r.write(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn != turn {
		return errors.New("the partitions have been assigned anew")
	}
	p.admit(r, number)
	delete(r.copies, number) // its mark is the work's from now on
	p.t.Resume(number)
	return nil
}

// admit makes a partition one that is worked on. What is in memory of it from before counts when nobody else has changed
// anything since. p.mu is held.
func (p *Processor) admit(r *restoration, number int32) {
	m := r.copies[number]
	now := part{number: number, topic: m.Topic, next: m.Next, asOf: m.AsOf, noted: true}
	if was, ok := p.kept[number]; ok && was.topic == now.topic && was.next == now.next {
		now.tag = was.tag
	} else {
		p.tags++
		now.tag = p.tags
	}
	p.table, p.epoch = r.table, r.epoch
	p.ready[number] = &now
}

// restoration writes what is read of a changelog, much at a time.
type restoration struct {
	store  *Store
	table  uint16
	epoch  uint64
	topic  [16]byte
	began  time.Time
	copies map[int32]*mark

	batch      *pebble.Batch // not written yet
	key, value []byte
}

// begin finds out what a copy is worth and returns the offset to read on from. A copy of another topic of that name,
// one that claims more than there is, and one that was alone for too long are worth nothing.
func (r *restoration) begin(number int32, extent stream.Extent) (from int64, err error) {
	err = r.store.use(r.epoch, func(db *pebble.DB) error {
		m, ok, err := readMark(db, r.table, number)
		if err != nil {
			return err
		}
		if ok && m.Topic == r.topic && extent.First <= m.Next && m.Next <= extent.End && r.began.Sub(m.AsOf) < TombstoneRetention-safety {
			r.copies[number], from = &m, m.Next
			return nil
		}
		r.copies[number], from = &mark{r.topic, extent.First, r.began}, extent.First
		return wipe(db, r.table, number)
	})
	return from, err
}

// safety is taken off the time that a copy may be alone: reading takes a while, and clocks differ.
const safety = 24 * time.Hour

// restoreBytes are gathered before they are written: a batch that is larger than what the database gathers
// itself goes to the disk as it is.
const restoreBytes = 24 << 20

// take takes records of a partition in, and that its copy reaches up to next with them. Timers are written without
// looking whether the key had another one before: dueOf finds out.
func (r *restoration) take(number int32, records []*stream.Record, next int64) error {
	if r.batch == nil {
		err := r.store.use(r.epoch, func(db *pebble.DB) error {
			r.batch = db.NewBatchWithSize(restoreBytes + 4<<20)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, rec := range records {
		if err := r.set(number, rec); err != nil {
			return fmt.Errorf("gathering what was read: %w", err)
		}
	}
	r.copies[number].Next = next
	if r.batch.Len() < restoreBytes {
		return nil
	}
	return r.write()
}

func (r *restoration) set(number int32, rec *stream.Record) error {
	r.key = append(appendPrefix(r.key[:0], r.table, number, spaceValue), rec.Key...)
	if len(rec.Value) == 0 {
		return r.batch.Delete(r.key, nil)
	}
	due := readDue(rec)
	r.value = appendValue(r.value[:0], due, rec.Value)
	if err := r.batch.Set(r.key, r.value, nil); err != nil || due == 0 {
		return err
	}
	r.key = appendDue(r.key[:0], r.table, number, due, rec.Key)
	return r.batch.Set(r.key, nil, nil)
}

// write writes what was taken in, and how far the copies have come with it.
func (r *restoration) write() error {
	err := r.store.use(r.epoch, func(db *pebble.DB) error {
		batch := r.batch
		if batch == nil {
			batch = db.NewBatch()
		}
		defer batch.Close()
		r.batch = nil
		for number, m := range r.copies {
			if err := batch.Set(appendPrefix(nil, r.table, number, spaceMeta), m.encode(), nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.NoSync)
	})
	if err != nil {
		return fmt.Errorf("writing what was read: %w", err)
	}
	return nil
}
