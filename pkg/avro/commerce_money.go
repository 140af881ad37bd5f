package avro

import (
	"unsafe"

	"github.com/sluicehq/sluice/pkg/event"
)

// money appends a nullable decimal(38,9).
func (w *commerceWriter) money(field string, m event.Money) {
	if m == "" {
		w.dst = append(w.dst, branchNull)
		return
	}
	a, ok := m.Amount()
	if !ok && w.bad == "" {
		w.bad = field
	}
	w.dst = append(w.dst, branchValue, byte(2*a.Len())) // at most 16, whose zigzag is one byte
	w.dst = a.AppendBytes(w.dst)
}

// texts keeps the texts of a record's amounts, several in one piece of memory.
type texts struct{ piece []byte }

const (
	longestAmount = 40 // a sign, 38 digits, a point
	firstPiece    = 2 * longestAmount
	largestPiece  = 4 << 10
)

// optMoney reads a nullable decimal(38,9).
func (t *texts) optMoney(r *Reader, field string) event.Money {
	if !r.Present(field) {
		return ""
	}
	a, ok := event.AmountFromBytes(r.Bytes(field))
	if !ok {
		r.fail(field + ": the amount has more than 38 digits")
		return ""
	}
	return t.money(a)
}

func (t *texts) money(a event.Amount) event.Money {
	if cap(t.piece)-len(t.piece) < longestAmount {
		t.piece = make([]byte, 0, min(max(2*cap(t.piece), firstPiece), largestPiece))
	}
	from := len(t.piece)
	t.piece = a.AppendText(t.piece)
	text := t.piece[from:]
	return event.Money(unsafe.String(unsafe.SliceData(text), len(text)))
}
