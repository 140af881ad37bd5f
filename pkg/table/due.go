package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Entry is a value whose time has come.
type Entry struct {
	Partition int32
	Key       []byte
	Value     []byte
	Due       time.Time
}

// Due returns values whose due time has passed, the oldest first, limit at most, without those that this Tx has
// put or deleted. A value is due until it is put with another due time, or deleted. Key and value must not be
// changed, and are gone after Ended.
func (tx *Tx) Due(limit int) ([]Entry, error) {
	var due []Entry
	for _, number := range tx.numbers {
		found, err := tx.dueOf(number, limit)
		if err != nil {
			return nil, tx.fail(fmt.Errorf("looking for what is due: %w", err))
		}
		due = append(due, found...)
	}
	slices.SortStableFunc(due, func(a, b Entry) int { return a.Due.Compare(b.Due) })
	return due[:min(max(limit, 0), len(due))], nil
}

// dueOf looks through the timers of a partition. One whose value is not due then is left over from a restoration,
// which writes timers without looking for older ones of the key; it is deleted.
func (tx *Tx) dueOf(number int32, limit int) ([]Entry, error) {
	part, now := tx.parts[number].part, tx.Now.UnixMilli()
	if part.dueAt > now || limit < 1 {
		return nil, nil
	}
	from := appendDue(nil, tx.table, number, part.dueAt, nil)
	to := appendDue(nil, tx.table, number, now+1, nil)
	var due []Entry
	first := now + 1 // nothing is due before, whatever becomes of this Tx
	for looked := 0; len(due) < limit; {
		if looked >= 4*limit { // the rest at the next opportunity: each is read, and a batch must not take for ever
			first = min(first, int64(binary.BigEndian.Uint64(from[prefixLen:])))
			break
		}
		timers, err := tx.timers(from, to, limit)
		if err != nil {
			return nil, err
		}
		looked += len(timers)
		var left [][]byte
		for _, t := range timers {
			at, key := int64(binary.BigEndian.Uint64(t[prefixLen:])), t[prefixLen+8:]
			c, err := tx.cell(number, key)
			if err != nil {
				return nil, err
			}
			if !c.had || c.due != at {
				left = append(left, t)
				continue
			}
			first = min(first, at)
			if !c.set && len(due) < limit {
				due = append(due, Entry{number, c.key, c.was, dueTime(at)})
			}
		}
		if err := tx.forgetTimers(left); err != nil {
			return nil, err
		}
		if len(timers) < limit {
			break
		}
		from = append(timers[len(timers)-1], 0)
	}
	part.dueAt = first
	return due, nil
}

// timers reads keys of the index of due times, limit at most.
func (tx *Tx) timers(from, to []byte, limit int) ([][]byte, error) {
	var timers [][]byte
	err := tx.p.store.use(tx.epoch, func(db *pebble.DB) error {
		it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			return err
		}
		for it.First(); it.Valid() && len(timers) < limit; it.Next() {
			timers = append(timers, slices.Clone(it.Key()))
		}
		return errors.Join(it.Error(), it.Close())
	})
	return timers, err
}

func (tx *Tx) forgetTimers(timers [][]byte) error {
	if len(timers) == 0 {
		return nil
	}
	return tx.p.store.use(tx.epoch, func(db *pebble.DB) error {
		batch := db.NewBatch()
		defer batch.Close()
		for _, t := range timers {
			if err := batch.Delete(t, nil); err != nil {
				return err
			}
		}
		return batch.Commit(pebble.NoSync)
	})
}
