package table

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Tx is one batch of a Processor's work. It is good for one call of Process and the call of Ended that
// follows.
type Tx struct {
	Now     time.Time
	Records []*stream.Record // in order within each partition

	p       *Processor
	batch   emitter
	table   uint16
	epoch   uint64
	parts   map[int32]*overlay
	numbers []int32 // of parts, rising
	worked  bool    // the work has seen it
	failed  error   // the first that the work was told and may have swallowed
	arena   []byte  // what was read
	key     []byte  // of the database, to look up or write
	scratch []byte  // a value to write
	size    int     // of the changes, about
}

// emitter is what a Tx needs of a stream.Batch.
type emitter interface {
	Emit(r *stream.Record) error
}

// overlay is what a Tx knows of a partition: what it has read, and what it has changed.
type overlay struct {
	part    *part
	cells   map[string]*cell
	changed []*cell
	last    *stream.Record // emitted to the changelog
}

// cell is one key.
type cell struct {
	key   []byte
	had   bool // there is a value in the copy
	was   []byte
	due   int64 // of the value in the copy
	set   bool  // changed by this Tx
	value []byte
	next  int64 // when the new value is due
}

// ErrTooLarge says that a key and its value do not fit into a record.
var ErrTooLarge = errors.New("the value is too large for a record")

var errPartition = errors.New("the partition is not ours, or its state is not restored")

func (tx *Tx) reset(b *stream.Batch) {
	tx.release()
	tx.batch, tx.Now, tx.Records = b, b.Now, b.Records
	tx.parts = map[int32]*overlay{}
}

// release drops what a batch held on to.
func (tx *Tx) release() {
	const keep = 16 << 20
	arena := tx.arena[:0]
	if cap(arena) > keep {
		arena = nil
	}
	*tx = Tx{p: tx.p, arena: arena, key: tx.key[:0], scratch: tx.scratch[:0], numbers: tx.numbers[:0]}
}

// Partitions are those that are ours and restored.
func (tx *Tx) Partitions() []int32 { return tx.numbers }

// Get returns the value of a key in a partition, which is that of the record worked on, as this Tx has left it. The
// value must not be changed, and is gone after Ended.
func (tx *Tx) Get(partition int32, key []byte) (value []byte, ok bool, err error) {
	c, err := tx.cell(partition, key)
	switch {
	case err != nil:
		return nil, false, err
	case c.set:
		return c.value, c.value != nil, nil
	}
	return c.was, c.had, nil
}

// Put changes the value of a key, and when it is due; never, with the zero time. Key and value are not copied:
// they must stay as they are until Ended. A value has one byte at least. Due times are kept to the millisecond.
func (tx *Tx) Put(partition int32, key, value []byte, due time.Time) error {
	switch {
	case len(value) == 0:
		return tx.fail(errors.New("putting a value: it is empty, which would delete it"))
	case len(key)+len(value) > tx.p.limit:
		return ErrTooLarge // the work may go on without it
	}
	return tx.change(partition, key, value, dueMillis(due))
}

// Delete removes a key and its value.
func (tx *Tx) Delete(partition int32, key []byte) error {
	return tx.change(partition, key, nil, 0)
}

// Emit writes a record, which names its topic on the cluster, when and only when the batch is committed. It must
// stay as it is until Ended.
func (tx *Tx) Emit(r *stream.Record) error {
	return tx.fail(tx.batch.Emit(r))
}

func (tx *Tx) change(partition int32, key, value []byte, due int64) error {
	c, err := tx.cell(partition, key)
	if err != nil {
		return err
	}
	if !c.set {
		c.set = true
		o := tx.parts[partition]
		o.changed = append(o.changed, c)
	}
	c.value, c.next = value, due
	return nil
}

// cell finds a key among those that the Tx knows, or reads it.
func (tx *Tx) cell(partition int32, key []byte) (*cell, error) {
	o := tx.parts[partition]
	if o == nil {
		return nil, tx.fail(fmt.Errorf("looking up a key of partition %d: %w", partition, errPartition))
	}
	if c := o.cells[string(key)]; c != nil {
		return c, nil
	}
	own := string(key)
	c := &cell{key: []byte(own)}
	tx.key = append(appendPrefix(tx.key[:0], tx.table, partition, spaceValue), key...)
	start := len(tx.arena)
	found := false
	err := tx.p.store.use(tx.epoch, func(db *pebble.DB) error {
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
	if err == nil && found {
		c.had = true
		c.due, c.was, err = splitValue(tx.arena[start:len(tx.arena):len(tx.arena)])
		if err != nil {
			tx.p.store.condemn(tx.epoch)
			err = errors.Join(errBroken, err)
		}
	}
	if err != nil {
		return nil, tx.fail(fmt.Errorf("looking up a key of partition %d: %w", partition, err))
	}
	o.cells[own] = c
	return c, nil
}

func (tx *Tx) fail(err error) error {
	if err != nil && tx.failed == nil {
		tx.failed = err
	}
	return err
}

// same reports whether a cell is left as it was.
func (c *cell) same() bool {
	if c.value == nil {
		return !c.had
	}
	return c.had && c.due == c.next && bytes.Equal(c.was, c.value)
}

// emit writes the changes to the changelog, one record for each key.
func (tx *Tx) emit() error {
	for _, number := range tx.numbers {
		o := tx.parts[number]
		kept := o.changed[:0]
		for _, c := range o.changed {
			if c.same() {
				continue
			}
			kept = append(kept, c)
			tx.size += 2*len(c.key) + len(c.value) + 64
			r := record(tx.p.o.Changelog, number, c.key, c.value, c.next)
			if err := tx.batch.Emit(r); err != nil {
				return err
			}
			o.last = r
		}
		o.changed = kept
	}
	return nil
}

// write puts the changes of a partition, which are committed, into a batch of the database.
func (o *overlay) write(batch *pebble.Batch, tx *Tx) error {
	var failed error
	set := func(err error) {
		if failed == nil {
			failed = err
		}
	}
	key := func(c *cell) []byte {
		tx.key = append(appendPrefix(tx.key[:0], tx.table, o.part.number, spaceValue), c.key...)
		return tx.key
	}
	for _, c := range o.changed {
		if c.had && c.due != 0 && c.due != c.next {
			tx.key = appendDue(tx.key[:0], tx.table, o.part.number, c.due, c.key)
			set(batch.Delete(tx.key, nil))
		}
		if c.value == nil {
			set(batch.Delete(key(c), nil))
			continue
		}
		tx.scratch = appendValue(tx.scratch[:0], c.next, c.value)
		set(batch.Set(key(c), tx.scratch, nil))
		if c.next != 0 {
			tx.key = appendDue(tx.key[:0], tx.table, o.part.number, c.next, c.key)
			set(batch.Set(tx.key, nil, nil))
			o.part.dueAt = min(o.part.dueAt, c.next)
		}
	}
	if o.last != nil {
		o.part.next = o.last.Offset + 1
	}
	o.part.asOf = tx.Now
	tx.key = appendPrefix(tx.key[:0], tx.table, o.part.number, spaceMeta)
	set(batch.Set(tx.key, mark{o.part.topic, o.part.next, o.part.asOf}.encode(), nil))
	return failed
}
