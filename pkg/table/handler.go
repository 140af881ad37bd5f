package table

import (
	"context"
	"fmt"
	"slices"

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
	p.settle()
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
	p.disown()
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
	p.hot.round++
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
func (h handler) Ended(_ *stream.Batch, err error) {
	p := h.p
	defer p.tx.release()
	if err == nil && p.tx.worked {
		if apply := p.apply(p.tx); apply != nil {
			p.o.Log.Warn().Err(apply).Msg("writing to the local copy; it is read from Kafka again")
			p.torn = true // what is committed has to be in it
		}
	}
	if p.tx.worked {
		p.work.Ended(p.tx, err)
	}
	if p.torn || damaged(err) {
		p.distrust()
	}
}
