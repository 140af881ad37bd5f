package currentsfanout

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// sortChunk is how many records are sorted before others get a turn.
const sortChunk = 256

// sort moves records from the inboxes to the lanes, until the context ends.
func (r *runner) sort(ctx context.Context) {
	d := newDraft()
	for ctx.Err() == nil {
		moved := r.moved() // before looking
		var unknown []unread
		more := false
		for _, p := range r.sortable() {
			again, schema := r.sortPart(p, d)
			more = more || again
			if schema != nil {
				unknown = append(unknown, *schema)
			}
		}
		for _, u := range unknown {
			more = r.learn(ctx, u) || more
		}
		if more {
			continue
		}
		retry := time.NewTimer(time.Hour)
		if len(unknown) > 0 {
			retry.Reset(time.Second)
		}
		select {
		case <-ctx.Done():
		case <-r.arrived:
		case <-moved[ofEngagements]:
		case <-moved[ofActions]:
		case <-retry.C:
		}
		retry.Stop()
	}
}

// moved are channels that are closed once more is known of doubles; nil where there are none to be known.
func (r *runner) moved() (moved [len(feedNames)]<-chan struct{}) {
	if r.doubles == nil {
		return moved
	}
	for i, d := range r.doubles.repeats {
		if d != nil {
			moved[i] = d.Moved()
		}
	}
	return moved
}

// sortable are the partitions with something in their inboxes.
func (r *runner) sortable() []*part {
	r.mu.Lock()
	defer r.mu.Unlock()
	var parts []*part
	for _, p := range r.parts {
		if len(p.inbox) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// unread is a record whose schema is not known yet.
type unread struct {
	of       feed
	value    []byte
	delivery stream.Delivery
}

// sortPart sorts some records of one partition. It reports whether there are more that could be, and which
// record waits for its schema.
func (r *runner) sortPart(p *part, d draft) (more bool, waits *unread) {
	var refused []refusedItem
	defer func() { // not under the lock, which is needed to settle those that are durable
		for _, it := range refused {
			r.refuse(&it.item, it.what)
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	slab := make([]item, 0, min(len(p.inbox), sortChunk))
	ended := tally{r: r}
	defer ended.count()
	n := 0
	woken := map[*lane]bool{}
	for n < min(len(p.inbox), sortChunk) && waits == nil && !p.gone {
		a := p.inbox[n]
		of, what, ready := r.judge(p, a.Delivery, d)
		if !ready {
			if of != ofNothing && !r.feeds.known(of, a.Value()) {
				waits = &unread{of, a.Value(), a.Delivery}
			}
			break
		}
		n++
		p.bytes -= int64(len(a.Value()))
		switch what.Kind {
		case outcome.Skipped:
			ended.settle(p, a.Delivery, what)
		case outcome.Refused:
			refused = append(refused, refusedItem{item{delivery: a.Delivery, part: p, of: of, taken: a.at}, what})
		default:
			slab = append(slab, item{delivery: a.Delivery, part: p, of: of, taken: a.at})
			l := r.laneOf(a.Key())
			l.put(&slab[len(slab)-1])
			woken[l] = true
		}
	}
	if p.gone {
		return false, nil
	}
	p.inbox = cut(p.inbox, n)
	for l := range woken {
		signal(l.wake)
	}
	return len(p.inbox) > 0 && n == sortChunk, waits
}

// refusedItem is a record on its way to the dead letters.
type refusedItem struct {
	item
	what outcome.Outcome
}

// cut takes the first n out of an inbox, without keeping what they hold alive.
func cut(inbox []arrival, n int) []arrival {
	if n == len(inbox) {
		clear(inbox)
		if cap(inbox) > 4096 {
			return nil
		}
		return inbox[:0]
	}
	clear(inbox[:n])
	rest := inbox[n:]
	if cap(rest) < len(inbox)/2 {
		return slices.Clone(rest)
	}
	return rest
}

// laneOf is the lane of a customer's events.
func (r *runner) laneOf(key []byte) *lane {
	return r.lanes[maphash.Bytes(r.seed, key)%uint64(len(r.lanes))]
}

// originOf is the topic that a record first stood on, without prefix.
func originOf(of feed) string {
	if of == ofNothing {
		return schema.Retries(Name)
	}
	return feedNames[of]
}
