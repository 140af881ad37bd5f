package plan

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// kind is what a record is by its topic.
type kind int

const (
	anAction kind = iota
	anEngagement
	aChange
	aDelivery
	inputs
)

// inputNames are the topics that are read, without prefix.
var inputNames = [inputs]string{
	anAction: schema.BrazeActions, anEngagement: schema.BrazeEngagements, aChange: schema.CRMChanges, aDelivery: schema.CRMDeliveries,
}

// transaction is what the planner needs of a table.Tx.
type transaction interface {
	Get(partition int32, key []byte) (value []byte, ok bool, err error)
	Put(partition int32, key, value []byte, due time.Time) error
	Delete(partition int32, key []byte) error
	Due(limit int) ([]table.Entry, error)
	Emit(r *stream.Record) error
}

// batch is the work of one transaction. Its memory is used again.
type batch struct {
	tasks   []task
	turn    turn
	tally   tally
	scratch []byte
	memory  memory

	action     event.Action
	engagement event.Engagement
}

// task is one thing to do under a key: to take a record in, or to see to what has come due.
type task struct {
	partition int32
	key       []byte
	order     int // among the tasks of a batch
	record    *stream.Record
	value     []byte // of the state, where the key is due and there is no record
}

// maxDue bounds the keys of a batch whose time has come.
const maxDue = 5_000

// Process does one batch. An error says that the registry or the local copy could not be asked: the batch is dropped as
// a whole and comes again.
func (p *Planner) Process(ctx context.Context, tx *table.Tx) error {
	return p.process(ctx, tx, tx.Records, tx.Now)
}

func (p *Planner) process(ctx context.Context, tx transaction, records []*stream.Record, now time.Time) error {
	b := &p.batch
	b.begin()
	due, err := tx.Due(maxDue)
	if err != nil {
		return err
	}
	if err := p.gather(ctx, records, due); err != nil {
		return err
	}
	p.core.judge.now = millis(now)
	for tasks := b.tasks; len(tasks) > 0; {
		n := 1
		for n < len(tasks) && tasks[n].same(&tasks[0]) {
			n++
		}
		if err := p.serve(ctx, tx, now, tasks[:n]); err != nil {
			p.state(err)
			return err
		}
		tasks = tasks[n:]
	}
	return nil
}

// Ended counts what a batch has come to, once it is certain.
func (p *Planner) Ended(_ *table.Tx, err error) { p.ended(err) }

func (p *Planner) ended(err error) {
	if err != nil {
		p.metrics.dropped.Inc()
		return
	}
	p.state(nil)
	p.metrics.count(&p.batch.tally)
}

func (p *Planner) state(err error) {
	if p.o.State != nil {
		p.o.State(err)
	}
}

// begin forgets the batch before.
func (b *batch) begin() {
	clear(b.tasks)
	b.tasks = b.tasks[:0]
	b.tally.reset()
}

// gather sorts what there is to do by key; what concerns one keeps its order. Records that no rule wants, which are nearly
// all engagements, are passed over before anybody's state is read for them.
func (p *Planner) gather(ctx context.Context, records []*stream.Record, due []table.Entry) error {
	b := &p.batch
	for _, e := range due {
		b.tasks = append(b.tasks, task{partition: e.Partition, key: e.Key, order: len(b.tasks), value: e.Value})
	}
	for _, r := range records {
		wanted, err := p.wants(ctx, r)
		if err != nil {
			return err
		}
		if wanted {
			b.tasks = append(b.tasks, task{partition: r.Partition, key: r.Key, order: len(b.tasks), record: r})
		}
	}
	slices.SortFunc(b.tasks, func(x, y task) int {
		return cmp.Or(cmp.Compare(x.partition, y.partition), bytes.Compare(x.key, y.key), cmp.Compare(x.order, y.order))
	})
	return nil
}

// wants reports whether a record has to be looked at more closely. One that cannot be read has to.
func (p *Planner) wants(ctx context.Context, r *stream.Record) (bool, error) {
	b := &p.batch
	k := p.kinds[r.Topic]
	var err error
	wanted := true
	switch k {
	case anAction:
		if _, err = p.actions.Decode(ctx, r.Value, &b.action); err == nil {
			wanted = p.o.Rules.WantsAction(b.action.Name)
		}
	case anEngagement:
		if _, err = p.engagements.Decode(ctx, r.Value, &b.engagement); err == nil {
			wanted = p.o.Rules.WantsType(b.engagement.Type)
		}
	case aDelivery:
		d, err := crm.ReadDelivery(r.Value)
		if err != nil {
			b.tally.unread++
		}
		return err == nil && teaches(&d), nil
	case aChange, inputs:
	}
	if err != nil {
		if _, unreadable := avro.AsUnreadable(err); !unreadable {
			return false, err // the registry is away: nothing is given up that might be readable
		}
	}
	if !wanted {
		b.tally.ended[ending{k, outcome.Skipped, "no_rule"}]++
	}
	return wanted, nil
}

// same reports whether two tasks are under the same key.
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
