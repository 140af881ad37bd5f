package attributesync

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// kind is what a record is by its topic.
type kind int

const (
	aProfile kind = iota
	anOrder
	aCase
	aReceipt
)

// inputNames are the topics that are read, without prefix.
var inputNames = [...]string{
	aProfile: schema.CustomerProfiles, anOrder: schema.CommerceEvents, aCase: schema.SupportCases, aReceipt: schema.BrazeDeliveries,
}

// batch is the work of one transaction. Its memory is used again.
type batch struct {
	tasks   []task
	turn    turn // whose turn it is
	user    user
	tally   tally
	scratch []byte
	memory  memory
}

// place names a customer: the same key may stand in two partitions, if two producers place it differently.
type place struct {
	partition int32
	key       string
}

// task is one thing to do for a customer: to take a record in, or to see to what has come due.
type task struct {
	partition int32
	key       []byte
	order     int // among the tasks of a batch
	record    *stream.Record
	value     []byte // of the state, where the customer is due and there is no record
}

// maxDue bounds the customers of a batch whose time has come.
const maxDue = 5_000

// Process does one batch. An error says that the registry or the local copy could not be asked: the batch
// is dropped as a whole and comes again.
func (s *Service) Process(ctx context.Context, tx *table.Tx) error {
	b := &s.batch
	b.begin()
	due, err := tx.Due(maxDue)
	if err != nil {
		return err
	}
	s.gather(tx.Records, due)
	for tasks := b.tasks; len(tasks) > 0; {
		n := 1
		for n < len(tasks) && tasks[n].same(&tasks[0]) {
			n++
		}
		if err := s.serve(ctx, tx, tasks[:n]); err != nil {
			s.health.Set("state", err)
			return err
		}
		tasks = tasks[n:]
	}
	return nil
}

// Ended counts what a batch has come to, once it is certain.
func (s *Service) Ended(_ *table.Tx, err error) {
	if err != nil {
		s.metrics.dropped.Inc()
		return
	}
	s.health.Set("state", nil)
	s.metrics.count(&s.batch.tally)
}

// begin forgets the batch before.
func (b *batch) begin() {
	clear(b.tasks)
	b.tasks = b.tasks[:0]
	b.tally.reset()
}

// gather sorts what there is to do by customer; what concerns one keeps its order. Receipts that teach nothing,
// which are nearly all, are passed over before anybody's state is read for them.
//
// The customers come in the order of the table's keys. It does not matter for what comes of them, but
// neighbours stand near one another on the disk, and reading and writing them is cheaper so.
func (s *Service) gather(records []*stream.Record, due []table.Entry) {
	b := &s.batch
	for _, e := range due {
		b.tasks = append(b.tasks, task{partition: e.Partition, key: e.Key, order: len(b.tasks), value: e.Value})
	}
	for _, r := range records {
		if s.kinds[r.Topic] == aReceipt && !s.teaches(r) {
			continue
		}
		b.tasks = append(b.tasks, task{partition: r.Partition, key: r.Key, order: len(b.tasks), record: r})
	}
	slices.SortFunc(b.tasks, func(x, y task) int {
		return cmp.Or(cmp.Compare(x.partition, y.partition), bytes.Compare(x.key, y.key), cmp.Compare(x.order, y.order))
	})
}

// same reports whether two tasks are of the same customer.
func (t *task) same(other *task) bool {
	return t.partition == other.partition && bytes.Equal(t.key, other.key)
}

// memory keeps what is emitted, which must stay as it is until the batch has ended. A block is never used again:
// it goes when nobody holds any of it any more.
type memory struct{ block []byte }

const memoryBlock = 256 << 10

// keep copies bytes to where they stay.
func (m *memory) keep(b []byte) []byte {
	if cap(m.block)-len(m.block) < len(b) {
		m.block = make([]byte, 0, max(memoryBlock, len(b)))
	}
	from := len(m.block)
	m.block = append(m.block, b...)
	return m.block[from:len(m.block):len(m.block)]
}

// tally is what a batch has come to, to be counted once it is committed.
type tally struct {
	ended  map[ending]int
	points map[charge]int64
	losses map[charge]int
	unread int // receipts and states that could not be read
	lapsed int // cases of which nothing was heard for so long that they count as closed
	late   int // triggers that were given up, their time having passed long ago
}

// ending is how records ended.
type ending struct {
	kind   kind
	what   outcome.Kind
	reason string
}

// charge is what data points, and writes that did not win, are counted by.
type charge struct {
	source, field string
	what          string // fate, or the reason why a write did not win
}

func (t *tally) reset() {
	if t.ended == nil {
		t.ended, t.points, t.losses = map[ending]int{}, map[charge]int64{}, map[charge]int{}
	}
	clear(t.ended)
	clear(t.points)
	clear(t.losses)
	t.unread, t.lapsed, t.late = 0, 0, 0
}
