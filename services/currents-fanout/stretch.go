package currentsfanout

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// stretch gathers one partition for a sink that takes stretches, and hands them over one after the other.
//
// Such a sink writes something under a name that is made of a stretch, and whatever is written under it once must be
// the same whenever it is written: a stretch that was begun before a crash is put together again exactly as
// it was, whatever the bounds say now. So nothing is committed but whole stretches.
type stretch struct {
	r    *runner
	p    *part
	wake chan struct{}

	left   context.Context // ends when nothing more is to be begun
	leave  context.CancelFunc
	under  context.Context // ends when even what is under way is cut off
	cancel context.CancelFunc

	// Under the runner's lock.
	pressed bool // it is to be closed as it is, to make room
	fixed   bool // its end is given
	writing bool
}

// openStretch begins to gather a partition. The lock is held.
func (r *runner) openStretch(p *part) {
	st := &stretch{r: r, p: p, wake: make(chan struct{}, 1)}
	st.under, st.cancel = context.WithCancel(context.Background())
	st.left, st.leave = context.WithCancel(st.under)
	p.stretch = st
	go func() {
		defer st.cancel()
		if o, ok := r.stretcher.(sink.Owner); ok {
			o.Owned(st.topic(), p.Number)
		}
		st.run()
	}()
}

// run hands stretches over until the partition goes.
func (st *stretch) run() {
	for first := st.p.Start.Offset; ; {
		end, begun, ok := st.begin(&first)
		if !ok {
			return
		}
		batch, end, closed, ok := st.gather(end, begun)
		if !ok {
			return
		}
		done, ok := st.hand(sink.Stretch{Topic: st.topic(), Partition: st.p.Number, First: first, End: end}, begun, batch, closed)
		if !ok {
			return
		}
		if done {
			first = end
		}
	}
}

func (st *stretch) topic() string {
	return strings.TrimPrefix(st.p.Topic, st.r.service.Kafka.TopicPrefix)
}

// begin waits for a first record and asks where the stretch ends that begins there, if one was begun.
func (st *stretch) begin(first *int64) (end int64, begun, ok bool) {
	for {
		st.r.mu.Lock()
		some := len(st.p.inbox) > 0
		if some && st.p.inbox[0].Offset() < *first { // the topic is another one than it was
			*first = st.p.inbox[0].Offset()
		}
		st.r.mu.Unlock()
		if some {
			break
		}
		if !st.rest(time.Time{}) {
			return 0, false, false
		}
	}
	for attempt := 0; st.left.Err() == nil; attempt++ {
		end, begun, err := st.r.stretcher.Begun(st.left, st.topic(), st.p.Number, *first)
		if err == nil {
			return end, begun && end > *first, true
		}
		if st.left.Err() != nil {
			break
		}
		st.r.log.Warn().Err(err).Str("topic", st.topic()).Int32("partition", st.p.Number).Msg("asking whether a stretch was begun")
		st.r.fared(st.r.gate.fail(pass{}, time.Now(), 0, ""))
		wait(st.left, st.r.schedule.Next(attempt, 0))
	}
	return 0, false, false
}

// gather waits until the records of a stretch are there, and takes them out of the inbox.
func (st *stretch) gather(end int64, begun bool) (batch []arrival, _ int64, closed why, ok bool) {
	for {
		n, closed, until := st.ready(end, begun)
		if closed != "" {
			return st.takeOut(n, end, begun, closed)
		}
		if !st.rest(until) {
			return nil, 0, "", false
		}
	}
}

// ready reports how many records make the stretch, and why it is closed; "" when it is not, and then when to look again.
func (st *stretch) ready(end int64, begun bool) (n int, closed why, until time.Time) {
	r, b, now := st.r, st.r.config.Batch, time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	inbox := st.p.inbox
	st.fixed = begun
	if begun {
		st.pressed = false // it was asked for before anybody knew
		n, _ = slices.BinarySearchFunc(inbox, end, func(a arrival, end int64) int { return int(a.Offset() - end) })
		if n < len(inbox) || n > 0 && inbox[n-1].Offset() == end-1 {
			return n, byRetry, until
		}
		r.makeRoom()
		return 0, "", now.Add(time.Second)
	}
	var bytes int64
	for n < len(inbox) && n < b.Events {
		if bytes += int64(len(inbox[n].Value())); n > 0 && bytes > int64(b.Bytes) {
			return n, byBytes, until
		}
		n++
	}
	due := now
	if n > 0 {
		due = time.Unix(0, inbox[0].at).Add(b.Linger)
	}
	switch {
	case n == 0:
		return 0, "", until
	case n == b.Events:
		return n, byEvents, until
	case bytes >= int64(b.Bytes):
		return n, byBytes, until
	case st.pressed:
		return n, byMemory, until
	case !now.Before(due):
		return n, byLinger, until
	}
	return 0, "", due
}

func (st *stretch) takeOut(n int, end int64, begun bool, closed why) ([]arrival, int64, why, bool) {
	st.r.mu.Lock()
	defer st.r.mu.Unlock()
	if st.p.gone {
		return nil, 0, "", false
	}
	batch := slices.Clone(st.p.inbox[:n])
	for _, a := range batch {
		st.p.bytes -= int64(len(a.Value()))
	}
	st.p.inbox = cut(st.p.inbox, n)
	if !begun {
		end = batch[n-1].Offset() + 1
	}
	st.pressed, st.writing = false, true
	return batch, end, closed, true
}

// rest waits until it is woken, or until a time that is not zero. It reports false when the partition goes.
func (st *stretch) rest(until time.Time) bool {
	var ring <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		ring = timer.C
	}
	select {
	case <-st.left.Done():
		return false
	case <-st.wake:
	case <-ring:
	}
	return true
}

// stretchesArrived wakes partitions for which something has come, and has some closed where that is too much.
func (r *runner) stretchesArrived() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.parts {
		if len(p.inbox) > 0 {
			signal(p.stretch.wake)
		}
	}
	r.makeRoom()
}

// makeRoom has the largest stretches closed while too much is held. Where only such are left whose end is given, and which
// are not complete, more has to be taken than the bounds say: it was under way at once in several processes, or
// the bounds were wider. The lock is held.
func (r *runner) makeRoom() {
	if !r.pressed() {
		return
	}
	var largest *part
	open := int64(0)
	for _, p := range r.parts {
		switch {
		case p.stretch.writing, p.stretch.pressed:
			return // room is being made
		case !p.stretch.fixed && len(p.inbox) > 0 && (largest == nil || p.bytes > largest.bytes):
			largest = p
		}
		open += p.bytes
	}
	if largest != nil {
		largest.stretch.pressed = true
		signal(largest.stretch.wake)
		return
	}
	if k := r.consumer.Load(); k != nil && open > 0 && k.Widen(r.window.records/2, r.window.bytes/2) {
		r.log.Warn().Int64("bytes", open).Msg("stretches that were begun need more memory than the sink has; it takes what they need")
	}
}

// narrow takes back what makeRoom has allowed beyond the bounds, once no stretch needs it. The lock is held.
func (r *runner) narrow() {
	for _, p := range r.parts {
		if p.stretch.fixed {
			return
		}
	}
	if k := r.consumer.Load(); k != nil {
		k.Narrow()
	}
}
