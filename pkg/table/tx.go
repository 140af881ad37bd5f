package table

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unsafe"

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
	stock   stock
	arena   []byte // what was read
	key     []byte // of the database, to look up or write
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
	*tx = Tx{p: tx.p, arena: arena, key: tx.key[:0], numbers: tx.numbers[:0]}
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
	case len(key)+len(value) > tx.p.limit, len(key) > maxKey:
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
	c := tx.stock.cell(key)
	if err := tx.p.lookUp(tx, o.part, c); err != nil {
		return nil, tx.fail(fmt.Errorf("looking up a key of partition %d: %w", partition, err))
	}
	o.cells[unsafe.String(unsafe.SliceData(c.key), len(c.key))] = c
	return c, nil
}

func (tx *Tx) fail(err error) error {
	if err != nil && tx.failed == nil {
		tx.failed = err
	}
	return err
}

// stock makes the many small things of a batch, some at a time.
type stock struct {
	cells   []cell
	keys    []byte
	records []stream.Record
}

const stockSize = 256

// cell makes one for a key, which is copied.
func (s *stock) cell(key []byte) *cell {
	if len(s.cells) == cap(s.cells) {
		s.cells = make([]cell, 0, stockSize)
	}
	if len(s.keys)+len(key) > cap(s.keys) {
		s.keys = make([]byte, 0, max(stockSize*32, len(key)))
	}
	at := len(s.keys)
	s.keys = append(s.keys, key...)
	s.cells = append(s.cells, cell{key: s.keys[at:len(s.keys):len(s.keys)]})
	return &s.cells[len(s.cells)-1]
}

func (s *stock) record() *stream.Record {
	if len(s.records) == cap(s.records) {
		s.records = make([]stream.Record, 0, stockSize)
	}
	s.records = append(s.records, stream.Record{})
	return &s.records[len(s.records)-1]
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
			r := tx.stock.record()
			*r = record(tx.p.o.Changelog, number, c.key, c.value, c.next)
			if err := tx.batch.Emit(r); err != nil {
				return err
			}
			o.last = r
		}
		o.changed = kept
	}
	return nil
}
