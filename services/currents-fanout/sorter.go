package currentsfanout

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/ledger"
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

// judge finds out what becomes of a record before the sink is asked: nothing yet (no Kind), skipped or refused. It is
// not ready while that cannot be known.
func (r *runner) judge(p *part, rec stream.Delivery, d draft) (of feed, what outcome.Outcome, ready bool) {
	of = p.of
	if of == ofNothing {
		if of, what = r.judgeRetry(rec); what.Kind != 0 {
			return of, what, true
		}
	} else if repeats := r.repeats(p); repeats != nil {
		double, known := repeats.Repeat(p.Number, rec.Offset())
		switch {
		case !known:
			return ofNothing, what, false
		case double:
			return of, outcome.Outcome{Kind: outcome.Skipped, Reason: "double"}, true
		}
	}
	if r.selector.all { // it is read when it is shaped
		return of, what, true
	}
	if !r.feeds.known(of, rec.Value()) {
		return of, what, false
	}
	if err := r.feeds.decode(context.Background(), of, rec.Value(), d); err != nil {
		what, ready = refusal(err)
		return of, what, ready
	}
	if why := r.selector.skips(of, d); why != "" {
		what = outcome.Outcome{Kind: outcome.Skipped, Reason: why}
	}
	return of, what, true
}

// Headers of a record of the retries.
const (
	sinkHeader   = "sink"         // which sink it is for
	originHeader = "origin-topic" // which topic it stood on, without prefix
)

// judgeRetry finds out what a record of the retries is, and whether it is for this sink.
func (r *runner) judgeRetry(rec stream.Delivery) (feed, outcome.Outcome) {
	if headerOf(rec, sinkHeader) != r.config.Name {
		return ofNothing, outcome.Outcome{Kind: outcome.Skipped, Reason: "other_sink"}
	}
	origin := headerOf(rec, originHeader)
	of := named(origin)
	if of == ofNothing {
		return of, outcome.Outcome{Kind: outcome.Refused, Reason: "no_origin", Detail: "the header " + originHeader + " names no topic that sinks read"}
	}
	return of, outcome.Outcome{}
}

func headerOf(rec stream.Delivery, key string) string {
	for _, h := range rec.Headers() {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// learn asks the registry for a schema. It reports whether it is known now.
func (r *runner) learn(ctx context.Context, u unread) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := r.feeds.learn(ctx, u.of, u.value)
	if err != nil && ctx.Err() == nil {
		r.log.Warn().Err(err).Msg("waiting for the schema registry")
	}
	r.health.Set("registry", err)
	return err == nil
}

// settle ends a record. The lock is held.
func (r *runner) settle(p *part, d stream.Delivery, what outcome.Outcome) {
	t := tally{r: r}
	t.settle(p, d, what)
	t.count()
}

// tally counts records that end together: counting each by itself would cost more than ending it.
type tally struct {
	r       *runner
	kind    outcome.Kind // of the last
	reason  string
	n       int // how many like that
	records int64
	bytes   int64
}

// settle ends a record. The runner's lock is held, until count.
func (t *tally) settle(p *part, d stream.Delivery, what outcome.Outcome) {
	if t.n > 0 && (what.Kind != t.kind || what.Reason != t.reason) {
		t.r.metrics.settled(t.kind, t.reason, t.n)
		t.n = 0
	}
	t.kind, t.reason = what.Kind, what.Reason
	t.n++
	t.records++
	t.bytes += int64(len(d.Value()))
	d.Settle(ledger.NoReceipt)
	if p.held--; p.held == 0 && p.gone {
		t.r.quiet.Broadcast()
	}
}

// count enters what has ended into the books.
func (t *tally) count() {
	if t.n > 0 {
		t.r.metrics.settled(t.kind, t.reason, t.n)
	}
	t.r.held.Add(-t.records)
	t.r.heldBytes.Add(-t.bytes)
}

// originOf is the topic that a record first stood on, without prefix.
func originOf(of feed) string {
	if of == ofNothing {
		return schema.Retries(Name)
	}
	return feedNames[of]
}
