package currentsfanout

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Assigned opens partitions.
func (r *runner) Assigned(_ context.Context, parts []*stream.Partition) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, given := range parts {
		at := place{given.Topic, given.Number}
		p := &part{Partition: given, of: r.feeds.on(given.Topic), read: given.Start.Offset}
		p.under, p.cancel = context.WithCancel(context.Background())
		if d := r.repeats(p); d != nil {
			d.Hold(given.Number, given.Start.Offset)
		}
		if old := r.parts[at]; old != nil { // an assignment that was not finished
			r.drop(old)
			r.dropAll(old)
			old.cancel()
		}
		r.parts[at] = p
		if r.stretcher != nil {
			r.openStretch(p)
		}
	}
	return nil
}

// repeats tells the doubles of a partition; nil where there are none to be told.
func (r *runner) repeats(p *part) repeats {
	if p.of == ofNothing || r.doubles == nil || r.doubles.repeats[p.of] == nil {
		return nil
	}
	return r.doubles.repeats[p.of]
}

// repeats is what a runner asks of table.Repeats.
type repeats interface {
	Hold(partition int32, from int64)
	Release(partition int32)
	Repeat(partition int32, offset int64) (repeat, known bool)
	Moved() <-chan struct{}
	Offer(partition int32, from, end int64, records func() []*stream.Record)
}

// Take puts records into the inboxes of their partitions.
func (r *runner) Take(_ context.Context, lent []stream.Delivery) error {
	r.offer(lent) // before anybody asks
	now := time.Now().UnixNano()
	r.metrics.accepted.Add(float64(len(lent)))
	var bytes int64
	r.mu.Lock()
	for _, d := range lent {
		p := r.parts[place{d.Partition().Topic, d.Partition().Number}] // the consumer lends of no other
		p.inbox = append(p.inbox, arrival{d, now})
		p.held++
		p.bytes += int64(len(d.Value()))
		bytes += int64(len(d.Value()))
	}
	r.held.Add(int64(len(lent)))
	r.heldBytes.Add(bytes)
	r.mu.Unlock()
	if r.stretcher != nil {
		r.stretchesArrived()
		return nil
	}
	signal(r.arrived)
	if r.pressed() {
		r.wakeLanes()
	}
	return nil
}

// pressed reports whether so much is held that nothing is worth waiting for company any more.
func (r *runner) pressed() bool {
	return r.heldBytes.Load() >= r.window.bytes*3/4 || r.held.Load() >= int64(r.window.records)*3/4
}

// Revoked gives partitions back. What is under way for them is finished, and so is what stands before something that was
// handed over, tried again where it is not taken: the next owner begins where nothing is missing, and would hand the
// rest over twice. All else stays on the topic.
func (r *runner) Revoked(ctx context.Context, parts []*stream.Partition) {
	r.mu.Lock()
	var going []*part
	for _, given := range parts {
		at := place{given.Topic, given.Number}
		if p := r.parts[at]; p != nil {
			delete(r.parts, at)
			going = append(going, p)
			r.drop(p)
		}
	}
	r.mu.Unlock()
	done := func() bool {
		for _, p := range going {
			if p.held > 0 {
				return false
			}
		}
		return true
	}
	drain, cancel := context.WithTimeout(ctx, r.service.Fanout.Drain)
	defer cancel()
	if !r.await(drain, done) {
		r.log.Warn().Msg("what is under way is cut off: its partitions go")
		r.cutOff(going)
		cut, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		if !r.await(cut, done) {
			r.log.Error().Msg("the sink does not let go of a batch; what it does with it from now on is not heard")
		}
	}
	r.forget(going)
	for _, p := range going {
		p.cancel()
	}
}

// drop takes back what is not under way. The lock is held.
func (r *runner) drop(p *part) {
	p.gone = true
	if d := r.repeats(p); d != nil {
		d.Release(p.Number)
	}
	r.release(p, len(p.inbox), p.bytes)
	p.inbox, p.bytes = nil, 0
	if p.stretch != nil {
		p.stretch.leave()
		return
	}
	for _, l := range r.lanes {
		l.drop(p, false)
	}
}

// dropAll takes back what drop has left, and whatever comes back from now on. The lock is held.
func (r *runner) dropAll(p *part) {
	p.over = true
	for _, l := range r.lanes {
		l.drop(p, true)
	}
}

// release takes records out of the books that go back unsettled. The lock is held.
func (r *runner) release(p *part, records int, bytes int64) {
	r.metrics.returned.Add(float64(records))
	r.takeOut(p, records, bytes)
}

// takeOut takes records out of the books. The lock is held.
func (r *runner) takeOut(p *part, records int, bytes int64) {
	p.held -= records
	r.held.Add(-int64(records))
	r.heldBytes.Add(-bytes)
	if p.held == 0 && p.gone {
		r.quiet.Broadcast()
	}
}

// forget counts as given back what a sink would not let go of.
func (r *runner) forget(parts []*part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range parts {
		if p.held > 0 {
			r.log.Error().Int("records", p.held).Str("topic", p.Topic).Int32("partition", p.Number).Msg("records are given back whose batch has not ended")
		}
	}
}

// await waits until something of the runner's holds, or the context ends.
func (r *runner) await(ctx context.Context, holds func() bool) bool {
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		r.quiet.Broadcast()
		r.mu.Unlock()
	})
	defer stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !holds() {
		if ctx.Err() != nil {
			return false
		}
		r.quiet.Wait()
	}
	return true
}

// cutOff ends what is under way for partitions.
func (r *runner) cutOff(parts []*part) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		if l.cancel != nil && l.concerns(parts) {
			l.cancel()
		}
	}
	for _, p := range parts {
		p.cancel()
		r.dropAll(p)
		if p.stretch != nil {
			p.stretch.cancel()
		}
	}
}
