package table

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// write brings what is added to the disk, in the background, and drops what has become too old.
func (v *View) write() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-v.ctx.Done():
			v.room.Broadcast()
			return
		case <-tick.C:
			v.expire()
		case <-v.wake:
		}
		for _, p := range v.ours() {
			err := v.flush(p)
			if damaged(err) {
				err = v.heal(p.epoch)
			}
			if err != nil && v.ctx.Err() == nil {
				v.o.Log.Warn().Err(err).Msg("writing to the local copy")
			}
		}
	}
}

// flush writes what was added to a partition.
func (v *View) flush(p *viewPart) error {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	p.mu.Lock()
	next := p.next
	if next == p.copied.Next || p.gone {
		p.mu.Unlock()
		return nil
	}
	p.writing, p.fresh = p.fresh, newPile(p.fresh.len())
	p.mu.Unlock()

	m := p.copied
	m.Next, m.AsOf = next, v.o.Now()
	err := v.store.use(p.epoch, func(db *pebble.DB) error {
		batch := db.NewBatchWithSize(len(p.writing.b) + 32*p.writing.len() + 128)
		defer batch.Close()
		var key, value []byte
		err := p.writing.each(func(k []byte, e entry) error {
			key = appendEntryKey(key[:0], p.table, p.number, v.bucketOf(e.at), k)
			value = appendEntry(value[:0], e)
			return batch.Set(key, value, nil)
		})
		if err != nil {
			return err
		}
		if err := batch.Set(appendPrefix(key[:0], p.table, p.number, spaceMeta), m.encode(), nil); err != nil {
			return err
		}
		return batch.Commit(pebble.NoSync)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	written := p.writing.len()
	switch {
	case err == nil:
		p.copied = m
	case !p.gone: // try again, with what came meanwhile on top
		before, newer := p.fresh.len(), p.fresh
		p.fresh = p.writing
		_ = newer.each(func(key []byte, e entry) error {
			p.fresh.put(maphash.Bytes(v.seed, key), key, e)
			return nil
		})
		written -= p.fresh.len() - before
	}
	p.writing = nil
	v.pending.Add(-int64(written))
	v.room.Broadcast()
	return err
}

// expire drops the buckets that are too old, of every partition there is a copy of.
func (v *View) expire() {
	live := v.bucketOf(v.oldest())
	if live == v.expired {
		return
	}
	for _, p := range v.ours() {
		p.mu.Lock()
		filters := *p.filters.Load()
		kept := slices.DeleteFunc(slices.Clone(filters), func(f *filter) bool { return f.bucket < live })
		p.filters.Store(&kept)
		for _, f := range filters[len(kept):] {
			f.drop(&v.budget)
		}
		p.mu.Unlock()
		err := v.store.use(p.epoch, func(db *pebble.DB) error {
			for number := range p.of {
				q := &viewPart{number: number, table: p.table}
				from, to := appendEntryKey(nil, q.table, q.number, 0, nil), appendEntryKey(nil, q.table, q.number, live, nil)
				if err := db.DeleteRange(from, to, pebble.NoSync); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return // it is tried again in a second
		}
	}
	v.expired = live
}
