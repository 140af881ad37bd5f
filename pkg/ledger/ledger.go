// Package ledger knows which records of a partition are settled, and how far one may commit.
//
// Records are settled in any order; only the contiguous prefix may be committed. The ledger also
// remembers where the receipt of each settled record stands, because a successor who starts at the
// committed offset must read the receipts of everything that was settled beyond it.
package ledger

import "sync"

// Ticket names an entry of a Ledger.
type Ticket uint64

// Ledger keeps the books of one partition. It is safe for concurrent use.
//
// It is a ring of entries from the oldest unsettled one to the newest taken: taking and settling
// cost the same however far the settled ones have run ahead.
type Ledger struct {
	mu      sync.Mutex
	ring    []entry // len is a power of two
	first   Ticket  // ticket of the oldest entry in the ring
	next    Ticket  // ticket of the entry after the newest
	commit  int64   // next offset to consume if everything up to first is settled
	receipt int64   // where receipts of records settled from now on can begin at the earliest
	// Records below until may have receipts of an earlier owner, the first of them at floor, that are
	// not in the books yet because the records have not been taken again.
	until int64
	floor int64
}

type entry struct {
	offset  int64
	stamp   int64
	receipt int64 // offset of the first receipt there is, or NoReceipt
	last    int64 // of the receipt that settled it
	settled bool
}

// NoReceipt is passed to Settle for a record that leaves no receipt.
const NoReceipt = -1

// New opens the books of a partition that is consumed from offset on, and whose receipts stand at
// receipt or later: the position that [Ledger.Committable] of a predecessor returned.
func New(offset, receipt int64) *Ledger {
	return &Ledger{ring: make([]entry, 64), commit: offset, receipt: receipt}
}

// Hold keeps the receipts from floor on in every Position until everything below the offset until is
// settled: an earlier owner has settled records there, and whoever comes next must find out as well.
func (l *Ledger) Hold(until, floor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.floor = until, floor
}

// Take enters a record. Offsets must rise; gaps are fine. Stamp is any time of the record's, for Oldest.
func (l *Ledger) Take(offset, stamp int64) Ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(l.next-l.first) == len(l.ring) {
		l.grow()
	}
	t := l.next
	*l.at(t) = entry{offset: offset, stamp: stamp, receipt: NoReceipt}
	l.next++
	return t
}

// Mark notes that a receipt stands at the given offset which says something of a record that is not
// settled yet. It is ignored for one that is.
func (l *Ledger) Mark(t Ticket, receipt int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t < l.first || t >= l.next || l.at(t).settled {
		return
	}
	if e := l.at(t); e.receipt == NoReceipt || receipt < e.receipt {
		e.receipt = receipt
	}
}

// Settle marks a record as done with, its receipt standing at the given offset of the receipts'
// partition. Settling twice is a bug in the caller and reported as false.
func (l *Ledger) Settle(t Ticket, receipt int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t < l.first || t >= l.next || l.at(t).settled {
		return false
	}
	e := l.at(t)
	e.settled, e.last = true, receipt
	if e.receipt == NoReceipt {
		e.receipt = receipt
	}
	for l.first < l.next {
		e := l.at(l.first)
		if !e.settled {
			break
		}
		l.commit = e.offset + 1
		// Receipts of a partition become durable in the order of their own offsets, so whatever is
		// still open will be receipted behind every receipt known now; see Hold for the exception.
		l.receipt = max(l.receipt, e.last+1)
		l.first++
	}
	return true
}

// Position is what a commit says: consume from Offset on, and look for receipts of what was settled
// out of order from Receipt on.
type Position struct {
	Offset  int64
	Receipt int64
}

// Committable is the position up to which everything is settled.
//
// Receipt is the least offset at which the receipt of a record at Offset or later can stand: the
// least among those of records beyond the prefix that have any, else just behind the newest receipt known.
func (l *Ledger) Committable() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := Position{Offset: l.commit, Receipt: l.receipt}
	for t := l.first; t < l.next; t++ {
		if e := l.at(t); e.receipt != NoReceipt {
			p.Receipt = min(p.Receipt, e.receipt)
		}
	}
	if l.commit < l.until {
		p.Receipt = min(p.Receipt, l.floor)
	}
	return p
}

// Open is how many entries stand between the prefix and the newest record: what memory the
// partition holds, settled out of order or not.
func (l *Ledger) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.next - l.first)
}

// Oldest returns the stamp of the oldest record that is not settled; ok is false when all are.
func (l *Ledger) Oldest() (stamp int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == l.next {
		return 0, false
	}
	return l.at(l.first).stamp, true
}

func (l *Ledger) at(t Ticket) *entry { return &l.ring[int(t)&(len(l.ring)-1)] }

func (l *Ledger) grow() {
	bigger := make([]entry, 2*len(l.ring))
	for t := l.first; t < l.next; t++ {
		bigger[int(t)&(len(bigger)-1)] = *l.at(t)
	}
	l.ring = bigger
}
