package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// maxPending is how many entries may wait to be written: Add waits beyond it. At writeAt somebody is told to write.
const (
	maxPending = 200_000
	writeAt    = 20_000
)

// ErrNotAssigned says that a partition was asked for that is not ours.
var ErrNotAssigned = errors.New("the partition is not assigned")

// Get returns the newest entry of a key that is not older than the window. Where the local copy turns out to be damaged
// it waits until it is restored.
func (v *View) Get(partition int32, key []byte) (value []byte, ok bool, err error) {
	hash := maphash.Bytes(v.seed, key)
	for {
		p := v.part(partition)
		if p == nil {
			return nil, false, ErrNotAssigned
		}
		for _, f := range *p.filters.Load() {
			if !f.has(hash) {
				continue
			}
			if value, ok, err = v.find(p, f.bucket, hash, key); ok || err != nil {
				break
			}
		}
		if err == nil || !damaged(err) {
			return value, ok, err
		}
		if err = v.heal(p.epoch); err != nil {
			return nil, false, err
		}
	}
}

// damaged reports whether an error says that the database is of no use.
func damaged(err error) bool { return errors.Is(err, errBroken) || errors.Is(err, errRenewed) }

// find looks a key up among what is not written yet, and then in a bucket on the disk.
func (v *View) find(p *viewPart, bucket uint32, hash uint64, key []byte) (value []byte, ok bool, err error) {
	p.mu.Lock()
	e, ok := p.fresh.get(hash, key)
	if !ok {
		e, ok = p.writing.get(hash, key)
	}
	p.mu.Unlock()
	if !ok {
		if e, ok, err = v.read(p, bucket, key); err != nil || !ok {
			return nil, false, err
		}
	}
	if e.at < v.oldest() {
		return nil, false, nil
	}
	return e.value, true, nil
}

// read looks a key up on the disk.
func (v *View) read(p *viewPart, bucket uint32, key []byte) (e entry, ok bool, err error) {
	e, ok, err = v.store.entry(p.epoch, appendEntryKey(nil, p.table, p.number, bucket, key))
	if errors.Is(err, errBroken) {
		v.store.condemn(p.epoch)
	}
	return e, ok && err == nil, err
}

// entry looks up what stands under a key of the database of an epoch.
func (s *Store) entry(epoch uint64, dbKey []byte) (e entry, ok bool, err error) {
	err = s.use(epoch, func(db *pebble.DB) error {
		b, closer, err := db.Get(dbKey)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking up an entry: %w", err)
		}
		defer closer.Close()
		if e, ok = decodeEntry(b); !ok {
			return errBroken
		}
		e.value = slices.Clone(e.value)
		return nil
	})
	return e, ok, err
}

// Add enters what was appended to a partition of ours, as soon as it is durable there. Offsets of a partition come in
// their order. Key and value are copied.
func (v *View) Add(partition int32, offset int64, at time.Time, key, value []byte) {
	p := v.part(partition)
	if p == nil {
		return // it went away; its next owner reads the topic
	}
	now := v.o.Now()
	e := entry{min(at.UnixMilli(), now.UnixMilli()), value} // a clock that is ahead makes no bucket of its own
	hash := maphash.Bytes(v.seed, key)
	if len(key) > maxKey {
		return
	}
	p.mu.Lock()
	for p.gone {
		p.mu.Unlock()
		if p = v.part(partition); p == nil {
			return
		}
		p.mu.Lock()
	}
	p.next = max(p.next, offset+1)
	if bucket := v.bucketOf(e.at); bucket >= v.bucketOf(now.Add(-v.o.Window).UnixMilli()) {
		v.enter(p, key, e, bucket, hash)
	}
	p.mu.Unlock()
	v.awaitRoom()
}

// enter makes an entry known that is not written yet. The lock of p is held.
func (v *View) enter(p *viewPart, key []byte, e entry, bucket uint32, hash uint64) {
	before := p.fresh.len()
	p.fresh.put(hash, key, e)
	v.filterOf(p, bucket).add(hash, &v.budget) // after the entry itself: who sees the filter finds it
	v.waiting(p.fresh.len() - before)
}

// waiting counts entries that wait to be written.
func (v *View) waiting(n int) {
	if v.pending.Add(int64(n)) >= writeAt {
		select {
		case v.wake <- struct{}{}:
		default:
		}
	}
}

// awaitRoom waits while too much waits to be written.
func (v *View) awaitRoom() {
	if v.pending.Load() < maxPending {
		return
	}
	v.room.L.Lock()
	defer v.room.L.Unlock()
	for v.pending.Load() >= maxPending && v.ctx.Err() == nil {
		v.room.Wait()
	}
}

// filterOf is the filter of a bucket, made when it is new. The lock of p is held, or nobody else knows p yet.
func (v *View) filterOf(p *viewPart, bucket uint32) *filter {
	filters := *p.filters.Load()
	grown, f := filterIn(filters, bucket, &v.budget)
	if len(grown) > len(filters) {
		p.filters.Store(&grown)
	}
	return f
}

// An entry on the disk is its time in milliseconds, in 8 bytes, and its value.

func appendEntry(b []byte, e entry) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(e.at)), e.value...)
}

func decodeEntry(b []byte) (entry, bool) {
	if len(b) < 8 {
		return entry{}, false
	}
	at := int64(binary.BigEndian.Uint64(b))
	return entry{at, b[8:]}, at >= 0
}

func appendEntryKey(b []byte, table uint16, partition int32, bucket uint32, key []byte) []byte {
	b = appendPrefix(b, table, partition, spaceBucket)
	b = binary.BigEndian.AppendUint32(b, bucket)
	return append(b, key...)
}
