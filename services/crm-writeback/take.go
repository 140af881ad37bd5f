package crmwriteback

import (
	"context"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Assigned reads back what an earlier owner wrote beyond its last commit.
func (w *writer) Assigned(ctx context.Context, parts []*stream.Partition) error {
	if err := w.remember(ctx, parts); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, given := range parts {
		if old := w.parts[given.Number]; old != nil { // an assignment that was not finished
			w.drop([]*part{old})
		}
		w.parts[given.Number] = &part{Partition: given}
	}
	w.fresh = fresh{on: true}
	w.setShare()
	return nil
}

// setShare has the replicas divide the target's rate as they divide the partitions: without a word.
func (w *writer) setShare() {
	for _, p := range w.parts {
		w.quota.SetShare(time.Now(), float64(len(w.parts))/float64(p.Of))
		return
	}
}

// Take queues the target's rows, each behind the others of its object. Those of others, and those that were settled when they
// were planned, are the forwarder's.
func (w *writer) Take(_ context.Context, lent []stream.Delivery) error {
	items, others := make([]*item, 0, len(lent)), make([]stream.Delivery, 0, len(lent))
	for _, d := range lent {
		if w.recalled(d) {
			continue
		}
		write, err := crm.ReadWrite(d.Value())
		if err != nil || write.Target != w.name || write.Settled != nil {
			others = append(others, d)
			continue
		}
		items = append(items, newItem(d, nil, write))
	}
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, it := range items {
		it.part = w.parts[it.delivery.Partition().Number] // the consumer lends of no other
		w.accept(it)
		w.put(it, now)
	}
	if len(items) > 0 && w.fresh.on {
		if w.fresh.last = now; w.fresh.first.IsZero() {
			w.fresh.first = now
		}
	}
	for _, d := range others {
		w.passOver(w.parts[d.Partition().Number], d)
	}
	w.signal()
	return nil
}

// put queues an item. The lock is held.
func (w *writer) put(it *item, now time.Time) {
	at := objectKey{it.write.Object, it.write.Key}
	if it.write.Mode == crm.Note {
		at.key = it.write.ID
	}
	o := w.objects[at]
	if o == nil {
		o = &object{at: at}
		w.objects[at] = o
	}
	o.queue = append(o.queue, it)
	it.part.open++
	if len(o.queue) == 1 && o.idle() {
		w.enqueue(o, now, false)
	}
}

// Revoked gives partitions back. Calls under way are waited for, and their deliveries; all else stays on the topic.
func (w *writer) Revoked(ctx context.Context, parts []*stream.Partition) {
	w.mu.Lock()
	var going []*part
	for _, given := range parts {
		if p := w.parts[given.Number]; p != nil && p.Partition == given {
			delete(w.parts, given.Number)
			going = append(going, p)
		}
	}
	w.drop(going)
	w.setShare()
	w.mu.Unlock()
	done := func() bool { return !slices.ContainsFunc(going, func(p *part) bool { return p.busy > 0 }) }
	drain, cancel := context.WithTimeout(ctx, w.config.Writeback.Drain)
	defer cancel()
	if !w.await(drain, done) {
		w.log.Warn().Msg("calls under way are cut off: their partitions go")
		w.cutOff(going)
		cut, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if !w.await(cut, done) {
			w.log.Error().Msg("rows are given back of which nobody knows yet what became of them; they are written again")
		}
	}
	w.recall.forget(parts)
}

// drop takes back what is not under way of partitions that go. The lock is held.
func (w *writer) drop(going []*part) {
	if len(going) == 0 {
		return
	}
	for _, p := range going {
		p.gone = true
	}
	now := time.Now()
	w.dissolve(now)
	for _, o := range w.objects {
		was := o.queue[:min(o.busy, len(o.queue))]
		o.queue = append(slices.Clone(was), slices.DeleteFunc(o.queue[len(was):], w.isGone)...)
		o.stuck = false    // what it is stuck upon has gone with its partition
		if o.line != nil { // its head may be another now, and belong to another line
			w.dequeue(o)
		}
		switch {
		case len(o.queue) == 0:
			w.remove(o)
		case o.idle() && o.until.IsZero():
			w.enqueue(o, now, false)
		}
	}
}

// isGone reports whether an item's partition goes, and takes it out of the books then.
func (w *writer) isGone(it *item) bool {
	if it.part.gone {
		it.part.open--
		w.giveBack(it)
	}
	return it.part.gone
}

// dissolve puts back halves that wait for their call.
func (w *writer) dissolve(now time.Time) {
	for _, f := range w.halves {
		for i := range f.loads {
			if o := f.loads[i].object; w.release(o) {
				w.enqueue(o, now, true)
			}
		}
	}
	w.halves = nil
}

// await waits until something of the writer's holds, or the context ends.
func (w *writer) await(ctx context.Context, holds func() bool) bool {
	stop := context.AfterFunc(ctx, func() {
		w.mu.Lock()
		w.quiet.Broadcast()
		w.mu.Unlock()
	})
	defer stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	for !holds() {
		if ctx.Err() != nil {
			return false
		}
		w.quiet.Wait()
	}
	return true
}

// cutOff ends the calls under way for partitions.
func (w *writer) cutOff(going []*part) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for f := range w.flights {
		for _, l := range f.loads {
			if slices.ContainsFunc(l.items, func(it *item) bool { return slices.Contains(going, it.part) }) && f.cancel != nil {
				f.cancel()
			}
		}
	}
}
