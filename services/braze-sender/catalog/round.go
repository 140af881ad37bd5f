package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// round keeps some catalogs in step until something is not as it is thought to be.
type round struct {
	k        *Keeper
	of       int32 // partitions of the state
	owner    string
	lost     map[string]bool // catalogs that have to be made anew
	producer *stream.Producer
	courier  *courier

	books   map[string]*book // by collection
	scribes map[string]scribe
	flying  int
}

// errForeign says that another owner has written what is known of a catalog of ours.
var errForeign = errors.New("somebody else has kept a catalog of ours in step meanwhile")

// run returns why the round has ended. By then nothing of it is under way.
func (r *round) run(ctx context.Context, rules []*content.Collection) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	claimed, err := r.open(ctx, rules)
	if err != nil {
		return err
	}
	defer r.giveBack()
	next, err := r.catchUp(ctx)
	if err != nil {
		return err
	}
	records := make(chan *stream.Record, 1000)
	var following sync.WaitGroup
	defer following.Wait()
	defer fail(nil)
	following.Go(func() { fail(r.follow(ctx, next, records)) })
	following.Go(func() { fail(r.watch(ctx, claimed)) })
	return r.loop(ctx, records)
}

// open reads what is known of the catalogs, and says that they are ours from now on. It returns where that
// stands, by partition of the state.
func (r *round) open(ctx context.Context, rules []*content.Collection) (map[int32]int64, error) {
	memories := map[string]*memory{}
	from := map[int32]int64{}
	for _, rule := range rules {
		memories[rule.Name] = &memory{have: map[string]have{}}
		p := stream.PartitionOf([]byte(rule.Name), r.of)
		r.scribes[rule.Name] = scribe{topic: r.k.state, partition: p, catalog: rule.Name, owner: r.owner}
		from[p] = 0
	}
	each := func(rec *stream.Record) error {
		from[rec.Partition] = rec.Offset + 1
		name, item := splitStateKey(rec.Key)
		if m := memories[name]; m != nil {
			return m.take(item, rec)
		}
		return nil
	}
	if err := stream.Read(ctx, r.k.o.Kafka, stream.Range{Topic: r.k.state, From: from}, each); err != nil {
		return nil, err
	}
	var claims []*stream.Record
	for _, rule := range rules {
		m := memories[rule.Name]
		if m.standing.Era == "" || r.lost[rule.Name] {
			m.standing = standing{Era: rand.Text()}
		}
		claim, err := r.scribes[rule.Name].catalogRecord(m.standing)
		if err != nil {
			return nil, err
		}
		claims = append(claims, claim)
	}
	if err := r.courier.write(ctx, claims); err != nil {
		return nil, err
	}
	// What another owner has written in between, and what comes later, is to be seen too.
	if err := stream.Read(ctx, r.k.o.Kafka, stream.Range{Topic: r.k.state, From: from}, each); err != nil {
		return nil, err
	}
	now := time.Now()
	for _, rule := range rules {
		m := memories[rule.Name]
		if m.owner != r.owner {
			return nil, errForeign
		}
		m.settle()
		b := newBook(rule, r.k.decoder)
		b.settled, b.spacing, b.keep = r.k.metrics.settled, r.k.o.Spacing, r.k.keep[rule.Name]
		b.pending = func(n int) { r.k.metrics.pending.Add(int64(n)) }
		b.remember(m)
		// What the owner before us has asked for may not be done yet.
		b.until, b.fresh = now.Add(b.spacing), now.Add(settling)
		r.books[rule.Name] = b
	}
	return from, nil
}

// catchUp reads the content there is. It returns where to go on from there.
func (r *round) catchUp(ctx context.Context) (map[int32]int64, error) {
	changes, err := stream.NewChangelog(r.k.o.Kafka, r.k.content)
	if err != nil {
		return nil, err
	}
	defer changes.Close()
	ends, err := changes.Extents(ctx)
	if err != nil {
		return nil, err
	}
	next := map[int32]int64{}
	for p, extent := range ends {
		next[p] = extent.First
	}
	err = stream.Read(ctx, r.k.o.Kafka, stream.Range{Topic: r.k.content, From: maps.Clone(next)}, func(rec *stream.Record) error {
		next[rec.Partition] = rec.Offset + 1
		return r.take(ctx, rec)
	})
	if err != nil {
		return nil, err
	}
	for p, extent := range ends {
		next[p] = max(next[p], extent.End) // behind the marker of a transaction
	}
	for _, b := range r.books {
		b.complete()
	}
	return next, nil
}

// take gives a record of content to the collection that it is of, if that is ours.
func (r *round) take(ctx context.Context, rec *stream.Record) error {
	name, rest, _ := strings.Cut(string(rec.Key), "/")
	b := r.books[name]
	if b == nil || rest == "" {
		return nil
	}
	id, locale, _ := strings.Cut(rest, "#")
	r.k.metrics.took()
	err := b.take(ctx, id, locale, rec, time.Now())
	return r.wanting(name, err)
}

// wanting names the catalog whose records are needed once more.
func (r *round) wanting(name string, err error) error {
	if errors.Is(err, errBodies) {
		return &needed{name}
	}
	return err
}

// follow passes on what comes.
func (r *round) follow(ctx context.Context, from map[int32]int64, records chan<- *stream.Record) error {
	err := stream.Read(ctx, r.k.o.Kafka, stream.Range{Topic: r.k.content, From: from, Follow: true}, func(rec *stream.Record) error {
		if name, _, _ := strings.Cut(string(rec.Key), "/"); r.books[name] == nil {
			return nil
		}
		select {
		case records <- rec:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// watch looks out for records of the state that another owner has written.
func (r *round) watch(ctx context.Context, from map[int32]int64) error {
	err := stream.Read(ctx, r.k.o.Kafka, stream.Range{Topic: r.k.state, From: from, Follow: true}, func(rec *stream.Record) error {
		if name, _ := splitStateKey(rec.Key); r.books[name] != nil && ownerOf(rec) != r.owner {
			return fmt.Errorf("catalog %s: %w", name, errForeign)
		}
		return nil
	})
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// loop is the goroutine that owns the books.
func (r *round) loop(ctx context.Context, records <-chan *stream.Record) error {
	landed := make(chan *flight, (maxFlights+1)*len(r.books))
	err := r.turn(ctx, records, landed)
	for ; r.flying > 0; r.flying-- { // what is under way is answered and written down
		f := <-landed
		f.book.land(f, time.Now())
	}
	return err
}

func (r *round) turn(ctx context.Context, records <-chan *stream.Record, landed chan *flight) error {
	flights, drop := context.WithCancel(ctx)
	defer drop() // those that wait for their budget wait no longer
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case rec := <-records:
			if err := r.take(ctx, rec); err != nil {
				return err
			}
		case f := <-landed:
			r.flying--
			if err := r.land(f); err != nil {
				return err
			}
		case <-alarm.C:
		}
		next, err := r.dispatch(flights, landed)
		if err != nil {
			return err
		}
		alarm.Reset(next)
	}
}

// land takes note of a flight.
func (r *round) land(f *flight) error {
	f.book.land(f, time.Now())
	name := f.book.rule.Name
	r.k.metrics.changed(f)
	switch {
	case f.err != nil:
		return f.err
	case f.lost:
		return &missing{name}
	case f.stopped:
		what := "items"
		if f.body != nil {
			what = f.body.Endpoint().Permission
		}
		r.k.tell(name, fmt.Errorf("catalog %s is not kept in step, Braze answers %d (%s): %s", name, f.answer.Status, what, f.answer.Message))
	case f.answer.Status != 0 && f.kind != note:
		r.k.tell(name, nil)
	}
	return nil
}

// longest is how often everything is looked at, whatever the clock has done meanwhile.
const longest = time.Minute

// dispatch begins what can be done now. It returns how long nothing else will come of itself.
func (r *round) dispatch(ctx context.Context, landed chan<- *flight) (time.Duration, error) {
	now := time.Now()
	wait := longest
	for _, name := range slices.Sorted(maps.Keys(r.books)) {
		b := r.books[name]
		for {
			f, err := b.next(now)
			if err != nil {
				return 0, r.wanting(name, err)
			}
			if f == nil {
				break
			}
			r.flying++
			go func() {
				r.courier.fly(ctx, f, r.scribes[name])
				landed <- f
			}()
		}
		if at := b.wake(now); !at.IsZero() {
			wait = min(wait, max(at.Sub(now), 0))
		}
	}
	return wait, nil
}

// giveBack accounts for the records that have led to nothing yet: they will be read again.
func (r *round) giveBack() {
	for _, b := range r.books {
		for _, it := range b.items {
			if it.open {
				b.pending(-1)
			}
			if it.held > 0 {
				b.settled(outcome.Outcome{Kind: outcome.Skipped, Reason: "read_again"}, it.held)
				it.held = 0
			}
		}
	}
}
