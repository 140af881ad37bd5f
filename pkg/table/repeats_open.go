package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sluicehq/sluice/pkg/stream"
)

// reopen puts another part in the place of one. The lock is held.
func (r *Repeats) reopen(old *repeatsPart, again bool) *repeatsPart {
	p := &repeatsPart{number: old.number, need: old.need, held: old.held, left: old.left, wanted: old.wanted}
	r.parts[p.number] = p
	r.publish()
	r.open(p, old, again)
	return p
}

// open makes a part ready beside everything else, trying until it is; again leaves out what the copy says. The lock
// is held.
func (r *Repeats) open(p, old *repeatsPart, again bool) {
	r.side.Go(func() {
		if old != nil {
			r.retire(old)
		}
		for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
			err := r.prepare(p, again)
			if r.ctx.Err() != nil {
				return
			}
			if r.trouble(err); err == nil {
				break
			}
			if !wait(r.ctx, pause) {
				return
			}
		}
		if err := r.adopt(p); err != nil {
			r.trouble(err)
		}
	})
}

// prepare finds out what the copy of a partition is worth, and from where on the topic has to be read.
func (r *Repeats) prepare(p *repeatsPart, again bool) error {
	if _, err := r.store.renew(); err != nil {
		return err
	}
	var err error
	if p.table, p.epoch, err = r.store.table(r.o.Topic + "/repeats/" + r.o.Window.String()); err != nil {
		return err
	}
	layout, err := r.log.Layout(r.ctx)
	if err != nil {
		return err
	}
	extents, err := r.log.Extents(r.ctx)
	if err != nil {
		return err
	}
	extent, ok := extents[p.number]
	if !ok {
		return fmt.Errorf("%s has no partition %d", r.o.Topic, p.number)
	}
	now := time.Now()
	recent, err := r.log.Since(r.ctx, now.Add(-recently))
	if err != nil {
		return err
	}
	window, err := r.log.Since(r.ctx, now.Add(-recently-r.o.Window))
	if err != nil {
		return err
	}
	r.mu.Lock()
	need := p.need
	r.mu.Unlock()
	p.topic, p.end, p.bits.chunks = layout.ID, extent.End, map[int64]*chunk{}
	for _, f := range p.filters { // of a try that failed
		f.drop(r.budget)
	}
	p.filters = nil
	return r.store.use(p.epoch, func(db *pebble.DB) error {
		m, ok, err := readMark(db, p.table, p.number)
		if err != nil {
			return err
		}
		if ok && !again && m.Topic == layout.ID && m.Next <= extent.End {
			if p.trusted, err = readTrust(db, p); err != nil {
				return err
			}
			if need >= p.trusted {
				p.next.Store(max(m.Next, extent.First))
				return r.fill(db, p, extent)
			}
		}
		from := extent.First
		p.trusted = 0
		if !again && need >= recent[p.number] {
			from, p.trusted = max(from, window[p.number]), recent[p.number]
		}
		p.next.Store(min(from, extent.End))
		return r.begin(db, p, now)
	})
}

// begin throws the copy of a partition away and notes where the next one begins.
func (r *Repeats) begin(db *pebble.DB, p *repeatsPart, now time.Time) error {
	batch := db.NewBatch()
	defer batch.Close()
	if err := wipe(batch, p.table, p.number); err != nil {
		return err
	}
	m := mark{p.topic, p.next.Load(), now}
	if err := batch.Set(appendPrefix(nil, p.table, p.number, spaceMeta), m.encode(), nil); err != nil {
		return err
	}
	trust := binary.BigEndian.AppendUint64(nil, uint64(p.trusted))
	if err := batch.Set(appendPrefix(nil, p.table, p.number, spaceTrust), trust, nil); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}

func readTrust(db *pebble.DB, p *repeatsPart) (int64, error) {
	b, closer, err := db.Get(appendPrefix(nil, p.table, p.number, spaceTrust))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, errBroken
	}
	if err != nil {
		return 0, fmt.Errorf("reading from where on repeats are known: %w", err)
	}
	defer closer.Close()
	if len(b) != 8 {
		return 0, errBroken
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// fill makes the filters of what is on the disk, and drops what is of offsets that are deleted.
func (r *Repeats) fill(db *pebble.DB, p *repeatsPart, extent stream.Extent) error {
	gone := appendChunkKey(nil, p, max(0, extent.First)>>chunkShift)
	if err := db.DeleteRange(appendChunkKey(nil, p, 0), gone, pebble.NoSync); err != nil {
		return fmt.Errorf("dropping repeats of deleted records: %w", err)
	}
	lower, upper := span(p.table, p.number, spaceBucket)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	var filters []*filter
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()[prefixLen:]
		e, ok := decodeEntry(it.Value())
		if len(key) < 4 || !ok {
			return errors.Join(errBroken, it.Close())
		}
		var f *filter
		filters, f = filterIn(filters, binary.BigEndian.Uint32(key), r.budget)
		f.add(maphash.Bytes(r.seed, key[4:]), r.budget)
		p.latest = max(p.latest, e.at)
	}
	p.filters = filters
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("reading keys: %w", err)
	}
	return nil
}

// adopt has a part that is prepared read on.
func (r *Repeats) adopt(p *repeatsPart) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.need < p.trusted { // somebody has come meanwhile who reads further back
		r.reopen(p, true)
		return nil
	}
	next := p.next.Load()
	if next < r.seen[p.number] {
		if err := r.replaceFollower(); err != nil {
			r.reopen(p, false)
			return err
		}
	}
	if left := p.end - next; left > 10_000 {
		r.o.Log.Info().Int32("partition", p.number).Int64("records", left).Msg("reading the topic to find what repeats in it")
	}
	p.ready, r.seen[p.number] = true, next
	r.publish()
	r.steer(p)
	r.announce()
	return nil
}

// replaceFollower begins with a follower that has nothing in hand. The lock is held.
func (r *Repeats) replaceFollower() error {
	f, err := stream.NewFollower(r.kafka, r.o.Topic)
	if err != nil {
		return err
	}
	old := r.follower
	r.follower, r.seen = f, map[int32]int64{}
	for _, p := range r.parts {
		if p.ready {
			p.follow = false
			r.steer(p)
		}
	}
	r.side.Go(old.Close)
	return nil
}

// stumbled begins a part anew of which something could not be read or written.
func (r *Repeats) stumbled(p *repeatsPart, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts[p.number] != p || r.ctx.Err() != nil {
		return
	}
	r.o.Log.Warn().Err(err).Int32("partition", p.number).Msg("the copy of a partition cannot be used; it is looked at again")
	r.reopen(p, false)
}
