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

// handler is a Processor as its Transactor sees it.
type handler struct{ p *Processor }

// Assigned begins to restore what is ours now. Even what was ours before is looked at again: it costs little
// when nothing has changed, and the group may have forgotten us for a while.
func (h handler) Assigned(parts map[string][]int32) {
	p := h.p
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.forget()
	for _, numbers := range parts {
		p.assigned = append(p.assigned, numbers...)
	}
	slices.Sort(p.assigned)
	p.assigned = slices.Compact(p.assigned)
	p.restore(before)
}

// Revoked stops whatever is done for partitions.
func (h handler) Revoked() {
	h.p.mu.Lock()
	defer h.p.mu.Unlock()
	h.p.forget()
}

// forget ends an assignment. The restoration under way is told to stop, and may take a moment to.
func (p *Processor) forget() *job {
	p.turn++
	clear(p.ready)
	p.assigned = nil
	p.job.stop()
	return p.job
}

// distrust restores everything of ours from where the copy really ends: something went wrong with it.
func (p *Processor) distrust() {
	p.mu.Lock()
	defer p.mu.Unlock()
	assigned := p.assigned
	before := p.forget()
	p.assigned = assigned
	p.t.Pause(assigned...)
	p.restore(before)
}

// Process lets the work process a batch, and emits what it has changed.
func (h handler) Process(ctx context.Context, b *stream.Batch) error {
	p := h.p
	tx := p.tx
	if err := p.begin(b); err != nil {
		return err
	}
	if len(tx.parts) == 0 {
		return nil // nothing is restored yet
	}
	tx.worked = true
	if err := p.work.Process(ctx, tx); err != nil {
		return err
	}
	if tx.failed != nil {
		return tx.failed // whatever the work made of it
	}
	return tx.emit()
}

// begin makes the Tx ready for a batch.
func (p *Processor) begin(b *stream.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tx.reset(b)
	p.tx.table, p.tx.epoch = p.table, p.epoch
	if len(p.ready) > 0 && !p.store.sound(p.epoch) {
		return errBroken
	}
	for _, part := range p.ready {
		p.tx.parts[part.number] = &overlay{part: part, cells: map[string]*cell{}}
		p.tx.numbers = append(p.tx.numbers, part.number)
	}
	slices.Sort(p.tx.numbers)
	for _, r := range b.Records {
		if p.ready[r.Partition] == nil {
			return fmt.Errorf("a record of %s/%d came before the state of the partition was restored", r.Topic, r.Partition)
		}
	}
	return nil
}

// Ended writes what is committed to the local copy.
func (h handler) Ended(b *stream.Batch, err error) {
	p := h.p
	defer p.tx.release()
	if err == nil && p.tx.worked {
		if apply := p.apply(p.tx); apply != nil {
			p.o.Log.Warn().Err(apply).Msg("writing to the local copy; it is read from Kafka again")
			p.distrust()
		}
	}
	if p.tx.worked {
		p.work.Ended(p.tx, err)
	}
	if errors.Is(err, errBroken) || errors.Is(err, errRenewed) {
		p.distrust()
	}
}

// apply writes the changes of a committed batch, and how far the changelog is copied with them.
func (p *Processor) apply(tx *Tx) error {
	return p.store.use(tx.epoch, func(db *pebble.DB) error {
		batch := db.NewBatchWithSize(tx.size)
		defer batch.Close()
		for _, number := range tx.numbers {
			o := tx.parts[number]
			if o.last == nil && tx.Now.Sub(o.part.asOf) < markEvery {
				continue
			}
			if err := o.write(batch, tx); err != nil {
				return err
			}
		}
		if batch.Empty() {
			return nil
		}
		return batch.Commit(pebble.NoSync)
	})
}

// markEvery is how often the mark of a partition is renewed in which nothing changes.
const markEvery = time.Hour
