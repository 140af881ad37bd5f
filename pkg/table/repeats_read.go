package table

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sluicehq/sluice/pkg/stream"
)

// late is how much earlier than the newest record a later one may be stamped for its repeats to be found without fail:
// clocks of several writers differ.
const late = time.Hour

// run enters what the topic says.
func (r *Repeats) run() {
	for r.ctx.Err() == nil {
		r.mu.Lock()
		f := r.follower
		r.mu.Unlock()
		err := f.Poll(r.ctx, func(number int32, records []*stream.Record) { r.enter(f, number, records) })
		if r.current() != f {
			continue // it was closed under our hands
		}
		if r.trouble(err); err != nil && !wait(r.ctx, time.Second) {
			return
		}
	}
}

func (r *Repeats) current() *stream.Follower {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.follower
}

// enter takes records of a partition in, trying until it can.
func (r *Repeats) enter(f *stream.Follower, number int32, records []*stream.Record) {
	r.mu.Lock()
	p := r.parts[number]
	if r.follower != f {
		r.mu.Unlock()
		return
	}
	// Also where nobody takes them: the follower does not come to them again, and whoever needs them another one.
	r.seen[number] = records[len(records)-1].Offset + 1
	if p == nil || !p.ready {
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	for {
		err := r.take(ended, p, records)
		if wait, ok := errors.AsType[*unknownKey](err); ok { // here, where nobody is held up who offers records
			if _, _, err = r.o.Key(r.ctx, wait.of); err == nil {
				continue
			}
		}
		switch {
		case err == nil:
			r.mu.Lock()
			r.announce()
			if r.parts[number] == p {
				r.steer(p)
			}
			r.mu.Unlock()
			return
		case damaged(err):
			r.stumbled(p, err)
			return
		}
		if r.trouble(err); !wait(r.ctx, time.Second) {
			return
		}
	}
}

// take finds the repeats among records and enters their keys, all in one batch of the database. Between what has been
// entered and the first of them nothing is missing.
func (r *Repeats) take(ctx context.Context, p *repeatsPart, records []*stream.Record) error {
	p.scan.Lock()
	defer p.scan.Unlock()
	if p.gone || records[len(records)-1].Offset < p.next.Load() {
		return nil
	}
	fresh, latest := newPile(len(records)), p.latest
	var repeats []int64
	now := time.Now().UnixMilli()
	for _, rec := range records {
		if rec.Offset < p.next.Load() {
			continue
		}
		ms := max(0, min(rec.Timestamp.UnixMilli(), now)) // a clock that is ahead must not have everything forgotten
		latest = max(latest, ms)
		key, ok, err := r.o.Key(ctx, rec)
		if err != nil {
			return &unknownKey{rec, err}
		}
		if !ok || len(key) > maxKey {
			continue
		}
		hash := maphash.Bytes(r.seed, key)
		last, found, err := r.last(p, fresh, hash, key)
		if err != nil {
			return err
		}
		if found && ms-last <= r.o.Window.Milliseconds() {
			repeats = append(repeats, rec.Offset)
		}
		if !found || last < ms {
			fresh.put(hash, key, entry{at: ms})
		}
	}
	return r.write(p, fresh, latest, repeats, records[len(records)-1].Offset+1)
}

// unknownKey says of which record the key could not be told.
type unknownKey struct {
	of    *stream.Record
	cause error
}

func (u *unknownKey) Error() string { return "finding a record's key: " + u.cause.Error() }
func (u *unknownKey) Unwrap() error { return u.cause }

// last is the newest timestamp under which a key has come.
func (r *Repeats) last(p *repeatsPart, fresh *pile, hash uint64, key []byte) (ms int64, found bool, err error) {
	if e, ok := fresh.get(hash, key); ok {
		return e.at, true, nil
	}
	if e, ok := p.unwritten.get(hash, key); ok {
		return e.at, true, nil
	}
	for _, f := range p.filters {
		if !f.has(hash) {
			continue
		}
		e, ok, err := r.store.entry(p.epoch, appendEntryKey(nil, p.table, p.number, f.bucket, key))
		if ok || err != nil {
			return e.at, ok, err
		}
	}
	return 0, false, nil
}

// unwrittenKeys are few enough to be read again after a crash, and many enough for the database to take them in together:
// what is offered comes in small pieces, each of which would be cold there.
const unwrittenKeys = 4096

// write shows keys, repeats and how far the copy has come, and brings them to the disk once they are worth it: with
// repeats at once, since their bits have no other place.
func (r *Repeats) write(p *repeatsPart, fresh *pile, latest int64, repeats []int64, next int64) error {
	if len(repeats) > 0 || p.unwritten.len()+fresh.len() >= unwrittenKeys {
		return r.commit(p, fresh, latest, repeats, next)
	}
	if p.unwritten == nil {
		p.unwritten = fresh
	} else {
		for _, at := range fresh.index { // in any order
			key, e := fresh.at(at)
			p.unwritten.put(maphash.Bytes(r.seed, key), key, e)
		}
	}
	p.latest = latest
	p.next.Store(next)
	return nil
}

// flush writes what is not written. The lock is held.
func (r *Repeats) flush(p *repeatsPart) error {
	if p.unwritten.len() == 0 {
		return nil
	}
	return r.commit(p, newPile(0), p.latest, nil, p.next.Load())
}

// commit brings keys, repeats and how far the copy has come to the disk, and shows them.
func (r *Repeats) commit(p *repeatsPart, fresh *pile, latest int64, repeats []int64, next int64) error {
	if len(repeats) > 0 { // until the commit: who asks meanwhile must not read what is on the disk still
		p.bits.mu.Lock()
		defer p.bits.mu.Unlock()
	}
	live := r.bucketOf(latest - (r.o.Window + late).Milliseconds())
	err := r.store.use(p.epoch, func(db *pebble.DB) error {
		batch := db.NewBatchWithSize(48*(fresh.len()+p.unwritten.len()) + 256)
		defer batch.Close()
		if live > p.forgotten {
			from, to := appendEntryKey(nil, p.table, p.number, 0, nil), appendEntryKey(nil, p.table, p.number, live, nil)
			if err := batch.DeleteRange(from, to, nil); err != nil {
				return err
			}
		}
		var key, value []byte
		enter := func(k []byte, e entry) error {
			bucket := r.bucketOf(e.at)
			var f *filter
			p.filters, f = filterIn(p.filters, bucket, r.budget)
			f.add(maphash.Bytes(r.seed, k), r.budget)
			key = appendEntryKey(key[:0], p.table, p.number, bucket, k)
			value = appendEntry(value[:0], e)
			return batch.Set(key, value, nil)
		}
		if err := errors.Join(p.unwritten.each(enter), fresh.each(enter)); err != nil { // what is newer stands behind
			return err
		}
		if err := r.setBits(db, batch, p, repeats); err != nil {
			return err
		}
		m := mark{p.topic, next, time.Now()}
		if err := batch.Set(appendPrefix(key[:0], p.table, p.number, spaceMeta), m.encode(), nil); err != nil {
			return err
		}
		return batch.Commit(pebble.NoSync)
	})
	if err != nil {
		return fmt.Errorf("entering what repeats: %w", err)
	}
	p.latest, p.unwritten = latest, nil
	if live > p.forgotten {
		p.forgotten = live
		kept := p.filters[:0:0]
		for _, f := range p.filters {
			if f.bucket >= live {
				kept = append(kept, f)
			} else {
				f.drop(r.budget)
			}
		}
		p.filters = kept
	}
	p.next.Store(next)
	return nil
}

func (r *Repeats) bucketOf(ms int64) uint32 { return uint32(max(ms, 0) / r.bucket.Milliseconds()) }
