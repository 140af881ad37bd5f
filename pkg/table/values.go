package table

import (
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// How a Processor's values go to the disk and back. Only its own goroutine and, while that stands still, the
// callbacks of a rebalance come here.

// lookUp finds what is stored under a cell's key: in memory, or on the disk.
func (p *Processor) lookUp(tx *Tx, part *part, c *cell) error {
	if i, ok := p.hot.get(part.tag, c.key); ok {
		if !i.deleted {
			c.had, c.was, c.due = true, i.value, i.due
		}
		return nil
	}
	tx.key = append(appendPrefix(tx.key[:0], tx.table, part.number, spaceValue), c.key...)
	start, found := len(tx.arena), false
	err := p.store.use(tx.epoch, func(db *pebble.DB) error {
		value, closer, err := db.Get(tx.key)
		if errors.Is(err, pebble.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		tx.arena = append(tx.arena, value...)
		found = true
		return closer.Close()
	})
	if err != nil || !found {
		return err
	}
	if c.due, c.was, err = splitValue(tx.arena[start:len(tx.arena):len(tx.arena)]); err != nil {
		p.store.condemn(tx.epoch)
		return errors.Join(errBroken, err)
	}
	c.had = true
	return p.remember(item{tag: part.tag, due: c.due, key: c.key, value: c.was})
}

// remember puts an item into memory. What waits there is written to the disk when there is too much of it.
func (p *Processor) remember(i item) error {
	if p.hot.full(i) {
		if err := p.writeHot(); err != nil {
			return err
		}
	}
	if p.hot.put(i) {
		return nil
	}
	if err := p.writeHot(); err != nil {
		return err
	}
	p.hot.put(i)
	return nil
}

// writeEvery bounds what has to be read again after a crash.
const writeEvery = 30 * time.Second

// markEvery is how often it is noted that a partition is looked after in which nothing changes.
const markEvery = time.Hour

// apply takes the changes of a committed batch over: they are in memory then, and on the disk some time. How far a
// partition's copy reaches is changed after its values, so that what is written in between claims too little.
func (p *Processor) apply(tx *Tx) error {
	if err := p.applyTimers(tx); err != nil {
		return err
	}
	for _, number := range tx.numbers {
		o := tx.parts[number]
		for _, c := range o.changed {
			err := p.remember(item{tag: o.part.tag, due: c.next, deleted: c.value == nil, dirty: true, key: c.key, value: c.value})
			if err != nil {
				return err
			}
			if c.next != 0 {
				o.part.dueAt = min(o.part.dueAt, c.next)
			}
		}
		if o.last != nil {
			o.part.next, o.part.asOf, o.part.noted = o.last.Offset+1, tx.Now, false
		} else if tx.Now.Sub(o.part.asOf) > markEvery {
			o.part.asOf, o.part.noted = tx.Now, false
		}
	}
	if tx.Now.Sub(p.wrote) < writeEvery {
		return nil
	}
	p.wrote = tx.Now
	return p.writeHot()
}

// applyTimers writes the index of due times, at once: a value that is due has to be found there. That it may be ahead of
// the values on the disk does no harm: after a crash the rest of the changelog is read before anything is due.
func (p *Processor) applyTimers(tx *Tx) error {
	return p.store.use(tx.epoch, func(db *pebble.DB) error {
		var batch *pebble.Batch
		for _, number := range tx.numbers {
			for _, c := range tx.parts[number].changed {
				if c.due == c.next {
					continue
				}
				if batch == nil {
					batch = db.NewBatch()
					defer batch.Close()
				}
				if c.due != 0 {
					if err := batch.Delete(appendDue(nil, tx.table, number, c.due, c.key), nil); err != nil {
						return err
					}
				}
				if c.next != 0 {
					if err := batch.Set(appendDue(nil, tx.table, number, c.next, c.key), nil, nil); err != nil {
						return err
					}
				}
			}
		}
		if batch == nil {
			return nil
		}
		return batch.Commit(pebble.NoSync)
	})
}

// writeHot writes what is in memory only, and how far the copies have come with it.
func (p *Processor) writeHot() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.writeHotLocked()
}

func (p *Processor) writeHotLocked() error {
	err := p.store.use(p.epoch, p.writeTo)
	if err != nil {
		p.torn = true // memory takes for written what is not
		return fmt.Errorf("writing values: %w", err)
	}
	return nil
}

// chunkBytes are written at once. That is more than the database gathers, so that it writes them as they are.
const chunkBytes = 16 << 20

// writeTo writes what is in memory only, and the marks behind it: values that are newer than the mark says do no
// harm, since what the mark leaves out is read again.
func (p *Processor) writeTo(db *pebble.DB) error {
	numbers := make(map[uint32]int32, len(p.ready))
	for number, part := range p.ready {
		numbers[part.tag] = number
	}
	batch := db.NewBatchWithSize(min(chunkBytes+2<<20, p.hot.dirty+p.hot.dirty/8+1024))
	defer func() { batch.Close() }()
	var key, value []byte
	err := p.hot.flush(func(i item) error {
		number, ok := numbers[i.tag]
		if !ok {
			return errors.New("a value in memory is of no partition of ours")
		}
		key = append(appendPrefix(key[:0], p.table, number, spaceValue), i.key...)
		if i.deleted {
			return batch.Delete(key, nil)
		}
		value = appendValue(value[:0], i.due, i.value)
		if err := batch.Set(key, value, nil); err != nil || batch.Len() < chunkBytes {
			return err
		}
		if err := errors.Join(batch.Commit(pebble.NoSync), batch.Close()); err != nil {
			return err
		}
		batch = db.NewBatchWithSize(chunkBytes + 2<<20)
		return nil
	})
	if err != nil {
		return err
	}
	for number, part := range p.ready {
		if part.noted {
			continue
		}
		part.noted = true
		key = appendPrefix(key[:0], p.table, number, spaceMeta)
		if err := batch.Set(key, mark{part.topic, part.next, part.asOf}.encode(), nil); err != nil {
			return err
		}
	}
	if batch.Empty() {
		return nil
	}
	return batch.Commit(pebble.NoSync)
}

// settle writes what is in memory only of partitions that may go, and remembers how they stood. p.mu is held.
func (p *Processor) settle() {
	if len(p.ready) == 0 {
		return
	}
	if err := p.writeHotLocked(); err != nil {
		p.o.Log.Warn().Err(err).Msg("the local copy is read from Kafka again")
		p.disown()
		return
	}
	for number, part := range p.ready {
		p.kept[number] = *part
	}
}

// disown forgets everything in memory. The copies end where they ended when they were written last.
func (p *Processor) disown() {
	p.hot.clear()
	clear(p.kept)
	clear(p.ready)
	p.torn = false
}
