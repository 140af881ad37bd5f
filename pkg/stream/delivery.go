package stream

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/sluicehq/sluice/pkg/ledger"
)

// Partition is one partition of a topic while it is assigned to us.
type Partition struct {
	Topic  string // on the cluster, prefix included
	Number int32
	Of     int             // how many partitions the topic has
	Start  ledger.Position // where the books were opened: what the predecessor left

	books    *ledger.Ledger
	fences   fences // the last is our own
	began    int    // how many partitions there were when the group began at their ends
	consumer *Consumer
	records  atomic.Int64 // lent out and not settled
	bytes    atomic.Int64 // of their values
	behind   atomic.Int64 // records up to the end of the partition, as last heard
	paused   atomic.Bool
	gone     atomic.Bool // revoked or lost: settling has no effect any more
}

// Counts reports whether a record of the receipts' topic is to be believed: whoever wrote it owned the
// partition then, and it stood there before we took over.
func (p *Partition) Counts(receipt *Record) bool {
	return receipt.Offset < p.fences[len(p.fences)-1].From && p.fences.count(receipt.Offset, receipt.ProducerID)
}

// HoldReceipts says that an earlier owner has settled records below the offset until whose receipts
// begin at floor: commits point there until all of them are settled here too. Assigned calls it.
func (p *Partition) HoldReceipts(until, floor int64) { p.books.Hold(until, floor) }

// full reports whether the partition is too far ahead of its commit.
func (p *Partition) full() bool { return p.books.Open() >= p.consumer.windowRecords() }

// relieved reports whether a paused partition may go on. The gap to full keeps it from flapping, but for a handler
// that has said that it must have more: what it holds would not shrink to the gap's other side.
func (p *Partition) relieved() bool {
	if p.consumer.eager.Load() {
		return !p.full()
	}
	return p.books.Open() <= p.consumer.windowRecords()/2
}

// Delivery is a record on loan. Whoever holds it settles it exactly once.
type Delivery struct {
	record *Record
	part   *Partition
	ticket ledger.Ticket
}

// Partition is where the record comes from.
func (d Delivery) Partition() *Partition { return d.part }

// Offset is the record's place in its partition.
func (d Delivery) Offset() int64 { return d.record.Offset }

// Key is the record's key; nil when it has none.
func (d Delivery) Key() []byte { return d.record.Key }

// KeyText is Key as a string that aliases it.
func (d Delivery) KeyText() string {
	return unsafe.String(unsafe.SliceData(d.record.Key), len(d.record.Key))
}

// Value is the record's value; nil for a tombstone. It must not be changed.
func (d Delivery) Value() []byte { return d.record.Value }

// Headers are the record's headers.
func (d Delivery) Headers() []Header { return d.record.Headers }

// AppendedAt is the record's own timestamp.
func (d Delivery) AppendedAt() time.Time { return d.record.Timestamp }

// Mark says that a receipt about the record stands at the given offset of the receipts' partition although
// it is not done with yet: whoever takes over has to find it.
func (d Delivery) Mark(receipt int64) {
	if !d.part.gone.Load() {
		d.part.books.Mark(d.ticket, receipt)
	}
}

// Settle says that the record is done with: delivered, skipped, or refused with its dead letter
// durable. Its receipt stands at the given offset of the receipts' partition, or there is none
// (ledger.NoReceipt). It may be called from any goroutine.
func (d Delivery) Settle(receipt int64) {
	if d.part.gone.Load() {
		return // the next owner reads the receipt, or does the work again
	}
	if !d.part.books.Settle(d.ticket, receipt) {
		panic("stream: a delivery was settled twice")
	}
	size := int64(len(d.record.Value))
	d.part.records.Add(-1)
	d.part.bytes.Add(-size)
	d.part.consumer.returned(1, size)
	if d.part.paused.Load() && d.part.relieved() {
		signal(d.part.consumer.relief)
	}
}
