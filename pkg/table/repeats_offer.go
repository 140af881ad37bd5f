package table

import (
	"context"

	"github.com/sluicehq/sluice/pkg/stream"
)

// ended is for asking who may not wait.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Offer hands over what somebody who holds a partition has read of it anyway: all records from one offset up to
// another, of which there is at least one. Where that is what comes next it is entered at once, and the topic is not read
// a second time for it. Records is only called where they are of use, and what it returns is not kept. What
// cannot be entered now is read later.
//
// A partition is read by itself whenever somebody is further ahead than what is entered, until it is not so any more: who
// is slow makes nobody wait.
func (r *Repeats) Offer(partition int32, from, end int64, records func() []*stream.Record) {
	r.mu.Lock()
	p := r.parts[partition]
	if p == nil {
		r.mu.Unlock()
		return
	}
	p.wanted = max(p.wanted, end)
	if !p.ready {
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	var err error
	fresh := end > p.next.Load()
	if fresh && from <= p.next.Load() { // and it stays so: next only rises
		err = r.take(ended, p, records())
	}
	if damaged(err) {
		r.stumbled(p, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts[partition] != p {
		return
	}
	if err == nil && fresh && from <= p.next.Load() {
		r.failing = nil
		r.announce()
	}
	r.steer(p)
}

// steer has the follower read a partition, or leaves it to those who offer it. The lock is held.
func (r *Repeats) steer(p *repeatsPart) {
	next := p.next.Load()
	follow := !r.o.Offered || p.wanted > next
	switch {
	case !p.ready || follow == p.follow:
		return
	case follow:
		// What the follower has read is being entered by whoever polls it, and it does not come to it again.
		next = max(next, r.seen[p.number])
		r.seen[p.number] = next
		r.follower.Follow(p.number, next)
	default:
		r.follower.Leave(p.number)
	}
	p.follow = follow
}
