package attributesync

import (
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
	shares []share
	byKey  map[place]int // index of shares
	user   user          // whose turn it is
	tally  tally
}

// place names a customer: the same key may stand in two partitions, if two producers place it differently.
type place struct {
	partition int32
	key       string
}

// share is what concerns one customer.
type share struct {
	place
	records []*stream.Record
	value   []byte // of the state, where it is known already
	due     bool
}

// maxDue bounds the customers of a batch whose time has come.
const maxDue = 5_000

// Process does one batch. An error says that the registry or the local copy could not be asked: the batch
// is dropped as a whole and comes again.
func (s *Service) Process(ctx context.Context, tx *table.Tx) error {
	b := &s.batch
	b.begin()
	b.gather(tx.Records)
	due, err := tx.Due(maxDue)
	if err != nil {
		return err
	}
	for _, e := range due {
		sh := b.share(place{e.Partition, string(e.Key)})
		sh.due, sh.value = true, e.Value
	}
	for i := range b.shares {
		if err := s.serve(ctx, tx, &b.shares[i]); err != nil {
			s.health.Set("state", err)
			return err
		}
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
	if b.byKey == nil {
		b.byKey = map[place]int{}
	}
	clear(b.byKey)
	for i := range b.shares {
		b.shares[i] = share{records: b.shares[i].records[:0]}
	}
	b.shares = b.shares[:0]
	b.tally.reset()
}

// gather sorts records by customer. Those of one customer keep their order.
func (b *batch) gather(records []*stream.Record) {
	for _, r := range records {
		sh := b.share(place{r.Partition, string(r.Key)})
		sh.records = append(sh.records, r)
	}
}

// share finds a customer's share, or begins one.
func (b *batch) share(at place) *share {
	i, ok := b.byKey[at]
	if !ok {
		i = len(b.shares)
		b.byKey[at] = i
		if i < cap(b.shares) {
			b.shares = b.shares[:i+1] // with the memory that an earlier one had
		} else {
			b.shares = append(slices.Grow(b.shares, 1), share{})
		}
		b.shares[i].place = at
	}
	return &b.shares[i]
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
