package table

import (
	"context"
	"errors"
	"fmt"
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
		}
	}()
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
	for _, number := range numbers {
		extent, ok := extents[number]
		if !ok {
			return fmt.Errorf("restoring partition %d: %s has no such partition", number, p.o.Changelog)
		}
		from, err := r.begin(number, extent)
		if err != nil {
			return err
		}
		stretches[number] = stream.Stretch{From: from, To: extent.End}
		of += extent.End - from
	}
	report.begin(len(numbers), of)
	for _, number := range numbers {
		if stretches[number].From >= stretches[number].To {
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
	report.done()
	p.o.Log.Info().Int("partitions", len(numbers)).Int64("records", report.p.Records).Dur("elapsed", time.Since(r.began)).Msg("state restored")
	return nil
}

// complete takes note that the copy of a partition is complete, and lets its records come.
func (p *Processor) complete(turn uint64, r *restoration, number int32) error {
	m := r.copies[number]
	m.AsOf = r.began
	if err := r.store.use(r.epoch, func(db *pebble.DB) error { return r.mark(db, number) }); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn != turn {
		return errors.New("the partitions have been assigned anew")
	}
	p.table, p.epoch = r.table, r.epoch
	p.ready[number] = &part{number: number, topic: m.Topic, next: m.Next, asOf: m.AsOf}
	p.t.Resume(number)
	return nil
}

// restoration writes what is read of a changelog.
type restoration struct {
	store  *Store
	table  uint16
	epoch  uint64
	topic  [16]byte
	began  time.Time
	copies map[int32]*mark
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
		batch := db.NewBatch()
		defer batch.Close()
		if err := wipe(batch, r.table, number); err != nil {
			return err
		}
		if err := r.mark(batch, number); err != nil {
			return err
		}
		return batch.Commit(pebble.NoSync)
	})
	return from, err
}

// safety is taken off the time that a copy may be alone: reading takes a while, and clocks differ.
const safety = 24 * time.Hour

// mark writes how far a copy has come.
func (r *restoration) mark(w pebble.Writer, number int32) error {
	if err := w.Set(appendPrefix(nil, r.table, number, spaceMeta), r.copies[number].encode(), pebble.NoSync); err != nil {
		return fmt.Errorf("noting how far a copy has come: %w", err)
	}
	return nil
}

// take writes records of a partition, and that its copy reaches up to next with them. Timers are written without
// looking whether the key had another one before: dueOf finds out.
func (r *restoration) take(number int32, records []*stream.Record, next int64) error {
	return r.store.use(r.epoch, func(db *pebble.DB) error {
		batch := db.NewBatch()
		defer batch.Close()
		var key, value []byte
		for _, rec := range records {
			key = append(appendPrefix(key[:0], r.table, number, spaceValue), rec.Key...)
			if len(rec.Value) == 0 {
				if err := batch.Delete(key, nil); err != nil {
					return err
				}
				continue
			}
			due := readDue(rec)
			value = appendValue(value[:0], due, rec.Value)
			if err := batch.Set(key, value, nil); err != nil {
				return err
			}
			if due != 0 {
				key = appendDue(key[:0], r.table, number, due, rec.Key)
				if err := batch.Set(key, nil, nil); err != nil {
					return err
				}
			}
		}
		r.copies[number].Next = next
		if err := r.mark(batch, number); err != nil {
			return err
		}
		return batch.Commit(pebble.NoSync)
	})
}
