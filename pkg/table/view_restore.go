package table

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Assign makes partitions ours and returns when their recent past is known: what is missing in the local copy is read
// from the topic.
func (v *View) Assign(ctx context.Context, partitions []int32) error {
	v.assign.Lock()
	defer v.assign.Unlock()
	partitions = slices.DeleteFunc(slices.Clone(partitions), func(n int32) bool { return v.part(n) != nil })
	if len(partitions) == 0 {
		return nil
	}
	return v.restore(ctx, partitions)
}

// Revoke gives partitions back. Their copies stay on the disk for when they come again.
func (v *View) Revoke(partitions []int32) {
	v.assign.Lock()
	defer v.assign.Unlock()
	for _, number := range partitions {
		p := v.part(number)
		if p == nil {
			continue
		}
		if err := v.flush(p); err != nil {
			v.o.Log.Warn().Err(err).Msg("writing to the local copy")
		}
		v.publish(number, nil)
	}
}

// heal restores everything of ours after the copy turned out to be damaged in the database of an epoch.
func (v *View) heal(epoch uint64) error {
	v.assign.Lock()
	defer v.assign.Unlock()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		if _, err := v.store.renew(); err != nil {
			return err
		}
		var stale []int32
		for _, p := range v.ours() {
			if p.epoch <= epoch || !v.store.sound(p.epoch) {
				stale = append(stale, p.number)
			}
		}
		if len(stale) == 0 {
			return nil
		}
		err := v.restore(v.ctx, stale)
		if err == nil {
			return nil
		}
		v.o.Log.Warn().Err(err).Msg("restoring a view; it is tried again")
		if !wait(v.ctx, pause) {
			return errClosed
		}
	}
}

// restore reads partitions and makes them ours.
func (v *View) restore(ctx context.Context, partitions []int32) error {
	if _, err := v.store.renew(); err != nil {
		return err
	}
	table, epoch, err := v.store.table(v.o.Topic + "/" + v.o.Window.String()) // of another window the buckets are others
	if err != nil {
		return err
	}
	layout, err := v.log.Layout(ctx)
	if err != nil {
		return err
	}
	extents, err := v.log.Extents(ctx)
	if err != nil {
		return err
	}
	since, err := v.log.Since(ctx, time.UnixMilli(v.oldest()))
	if err != nil {
		return err
	}
	report := newReporter(v.o.Progress, v.o.Topic, &v.counts)
	parts, stretches := map[int32]*viewPart{}, map[int32]stream.Stretch{}
	var of int64
	for _, number := range partitions {
		extent, ok := extents[number]
		if !ok {
			return fmt.Errorf("restoring partition %d: %s has no such partition", number, v.o.Topic)
		}
		p := &viewPart{number: number, table: table, epoch: epoch, of: layout.Partitions, fresh: newPile(0)}
		p.filters.Store(new([]*filter))
		from, err := v.begin(p, layout.ID, extent, since[number])
		if err != nil {
			return err
		}
		parts[number], stretches[number] = p, stream.Stretch{From: from, To: extent.End}
		of += max(0, extent.End-from)
	}
	report.begin(len(partitions), of)
	err = v.log.Read(ctx, stretches, func(number int32, records []*stream.Record, next int64) error {
		report.read(len(records))
		return v.take(parts[number], records, next)
	})
	if err != nil {
		for _, p := range parts {
			for _, f := range *p.filters.Load() {
				f.drop(&v.budget)
			}
		}
		return err
	}
	for number, p := range parts {
		p.next = p.copied.Next
		v.publish(number, p)
	}
	report.done()
	return nil
}

// begin finds out what the copy of a partition is worth, makes its filters, and returns the offset to read on from.
func (v *View) begin(p *viewPart, topic [16]byte, extent stream.Extent, since int64) (from int64, err error) {
	err = v.store.use(p.epoch, func(db *pebble.DB) error {
		m, ok, err := readMark(db, p.table, p.number)
		if err != nil {
			return err
		}
		if ok && m.Topic == topic && m.Next <= extent.End {
			p.copied, from = m, max(m.Next, since)
			return v.fill(db, p)
		}
		p.copied = mark{topic, since, v.o.Now()}
		from = since
		return wipe(db, p.table, p.number)
	})
	return min(from, extent.End), err
}

// fill makes the filters of what is on the disk.
func (v *View) fill(db *pebble.DB, p *viewPart) error {
	lower := appendEntryKey(nil, p.table, p.number, v.bucketOf(v.oldest()), nil)
	_, upper := span(p.table, p.number, spaceBucket)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("reading a view: %w", err)
	}
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()[prefixLen:]
		bucket := binary.BigEndian.Uint32(key)
		v.filterOf(p, bucket).add(maphash.Bytes(v.seed, key[4:]), &v.budget)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return fmt.Errorf("reading a view: %w", err)
	}
	return nil
}

// take enters records that were read from the topic.
func (v *View) take(p *viewPart, records []*stream.Record, next int64) error {
	oldest, now := v.oldest(), v.o.Now()
	return v.store.use(p.epoch, func(db *pebble.DB) error {
		batch := db.NewBatch()
		defer batch.Close()
		var dbKey, dbValue []byte
		for _, r := range records {
			ms := min(r.Timestamp.UnixMilli(), now.UnixMilli())
			if ms < oldest {
				continue
			}
			key, value, ok := v.o.Decode(r)
			if !ok {
				continue
			}
			bucket := v.bucketOf(ms)
			dbKey = appendEntryKey(dbKey[:0], p.table, p.number, bucket, key)
			dbValue = appendEntry(dbValue[:0], entry{ms, value})
			if err := batch.Set(dbKey, dbValue, nil); err != nil {
				return err
			}
			v.filterOf(p, bucket).add(maphash.Bytes(v.seed, key), &v.budget)
		}
		m := p.copied
		m.Next, m.AsOf = next, now
		if err := batch.Set(appendPrefix(dbKey[:0], p.table, p.number, spaceMeta), m.encode(), nil); err != nil {
			return err
		}
		if err := batch.Commit(pebble.NoSync); err != nil {
			return err
		}
		p.copied = m
		return nil
	})
}
