package ledger_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/ledger"
)

func TestSettleCommitsOnlyTheContiguousPrefix(t *testing.T) {
	l := ledger.New(10, 0)
	a, b, c := l.Take(10, 0), l.Take(12, 0), l.Take(13, 0) // offset 11 is a gap: a transaction's marker, say
	steps := []struct {
		name    string
		ticket  ledger.Ticket
		receipt int64
		want    ledger.Position
		open    int
	}{
		{"the last settles first: nothing may be committed, its receipt must be read again", c, 100, ledger.Position{Offset: 10, Receipt: 0}, 3},
		{"the first settles: the prefix is one long", a, 101, ledger.Position{Offset: 11, Receipt: 100}, 2},
		{"the gap between closes: everything is settled", b, 102, ledger.Position{Offset: 14, Receipt: 103}, 0},
	}
	for _, s := range steps {
		if !l.Settle(s.ticket, s.receipt) {
			t.Fatalf("%s: settling was refused", s.name)
		}
		if diff := cmp.Diff(s.want, l.Committable()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", s.name, diff)
		}
		if got := l.Open(); got != s.open {
			t.Errorf("%s: open = %d, want %d", s.name, got, s.open)
		}
	}
}

// TestReceiptsOfAnEarlierOwnerAreNotForgotten is the story of a record that was delivered twice after
// two ordinary restarts: the first successor had settled only the head, whose new receipt stood behind
// the old ones, and told the second to look behind it.
func TestReceiptsOfAnEarlierOwnerAreNotForgotten(t *testing.T) {
	l := ledger.New(0, 100) // record 0 is open; 1 to 300 have receipts from 100 on
	l.Hold(301, 100)
	head := l.Take(0, 0)
	l.Settle(head, 400)
	if diff := cmp.Diff(ledger.Position{Offset: 1, Receipt: 100}, l.Committable()); diff != "" {
		t.Errorf("with 1 to 300 not taken again yet: (-want +got)\n%s", diff)
	}
	for i := range int64(300) {
		l.Settle(l.Take(i+1, 0), 100+i)
	}
	if diff := cmp.Diff(ledger.Position{Offset: 301, Receipt: 401}, l.Committable()); diff != "" {
		t.Errorf("with everything settled: (-want +got)\n%s", diff)
	}
}

// TestAReceiptOfAnUnsettledRecordIsFound: it says how far the record has come, and whoever takes over must
// not begin it anew.
func TestAReceiptOfAnUnsettledRecordIsFound(t *testing.T) {
	l := ledger.New(0, 0)
	first, second := l.Take(0, 0), l.Take(1, 0)
	l.Mark(second, 5)
	l.Mark(second, 7) // the earlier one counts
	l.Settle(first, 9)
	if diff := cmp.Diff(ledger.Position{Offset: 1, Receipt: 5}, l.Committable()); diff != "" {
		t.Errorf("while the second is under way: (-want +got)\n%s", diff)
	}
	l.Settle(second, 12)
	l.Mark(second, 2) // too late to mean anything
	if diff := cmp.Diff(ledger.Position{Offset: 2, Receipt: 13}, l.Committable()); diff != "" {
		t.Errorf("with both settled: (-want +got)\n%s", diff)
	}
}

func TestSettlingTwiceIsRefused(t *testing.T) {
	l := ledger.New(0, 0)
	l.Take(0, 0)
	second := l.Take(1, 0)
	if !l.Settle(second, 0) || l.Settle(second, 1) {
		t.Fatal("the second settling of a record must be refused, the first accepted")
	}
	if l.Settle(second+1, 0) {
		t.Fatal("settling a record that was never taken must be refused")
	}
}

// naive is the ledger as one would write it on a napkin.
type naive struct {
	offsets  []int64
	receipts map[int]int64
	position ledger.Position
}

func (n *naive) committable() ledger.Position {
	p := n.position
	i := 0
	for ; i < len(n.offsets); i++ {
		r, ok := n.receipts[i]
		if !ok {
			break
		}
		p.Offset, p.Receipt = n.offsets[i]+1, max(p.Receipt, r+1)
	}
	for ; i < len(n.offsets); i++ {
		if r, ok := n.receipts[i]; ok && r != ledger.NoReceipt {
			p.Receipt = min(p.Receipt, r)
		}
	}
	return p
}

// FuzzLedger settles in any order and compares with the napkin after every step.
func FuzzLedger(f *testing.F) {
	f.Add([]byte{1, 0, 200, 1, 90, 201, 3})
	f.Add([]byte{255, 254, 253, 0, 1, 2, 128})
	f.Fuzz(func(t *testing.T, script []byte) {
		start := ledger.Position{Offset: 5, Receipt: 7}
		l, n := ledger.New(start.Offset, start.Receipt), &naive{receipts: map[int]int64{}, position: start}
		var tickets []ledger.Ticket
		offset, receipt := start.Offset, start.Receipt
		for _, b := range script {
			if b >= 128 || len(tickets) == 0 { // take a record, perhaps after a gap
				offset += int64(b % 4)
				tickets = append(tickets, l.Take(offset, 0))
				n.offsets = append(n.offsets, offset)
				offset++
			} else { // settle one
				i := int(b) % len(tickets)
				_, done := n.receipts[i]
				r := receipt
				if b%5 == 0 {
					r = ledger.NoReceipt
				} else {
					receipt++
				}
				if l.Settle(tickets[i], r) == done {
					t.Fatalf("settling entry %d: already settled = %v, and yet answered so", i, done)
				}
				if !done {
					n.receipts[i] = r
				}
			}
			if diff := cmp.Diff(n.committable(), l.Committable()); diff != "" {
				t.Fatalf("(-napkin +ledger)\n%s", diff)
			}
		}
	})
}

func BenchmarkTakeSettle(b *testing.B) {
	b.ReportAllocs()
	l := ledger.New(0, 0)
	var held [512]ledger.Ticket
	for i := range held {
		held[i] = l.Take(int64(i), 0)
	}
	for i := 0; b.Loop(); i++ {
		at := rand.IntN(len(held))
		l.Settle(held[at], int64(i))
		held[at] = l.Take(int64(i+len(held)), 0)
	}
}
