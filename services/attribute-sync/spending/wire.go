package spending

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/event"
)

// wireVersion is the first byte of a state.
const wireVersion = 2

// Append appends the state, to be read by Decode. Of nothing it appends nothing.
//
//	version, placed, lastAt
//	totals    number; each currency, sum, at; by currency
//	orders    number; each hash of the id (8 bytes), flags, currency, worth, at, refunds as totals without at
//	refunds   number; each hash (8 bytes)
//	renewal and payments, each at and value
func (s *State) Append(dst []byte) []byte {
	if s.Empty() {
		return dst
	}
	dst = append(dst, wireVersion)
	dst = binary.AppendVarint(dst, s.placed)
	dst = binary.AppendVarint(dst, s.lastAt)
	dst = binary.AppendUvarint(dst, uint64(len(s.totals)))
	for i := range s.totals {
		dst = binary.AppendVarint(s.totals[i].append(dst), s.totals[i].at)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.orders)))
	for i := range s.orders {
		o := &s.orders[i]
		var flags byte
		if o.placed {
			flags |= 1
		}
		if o.cancelled {
			flags |= 2
		}
		dst = append(binary.LittleEndian.AppendUint64(dst, o.id), flags)
		dst = binary.AppendVarint(appendAmount(appendText(dst, o.currency), o.worth), o.at)
		dst = binary.AppendUvarint(dst, uint64(len(o.refunds)))
		for i := range o.refunds {
			dst = o.refunds[i].append(dst)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.refunds)))
	for _, r := range s.refunds {
		dst = binary.LittleEndian.AppendUint64(dst, r)
	}
	for _, m := range []moment{s.renewal, s.payments} {
		dst = binary.AppendVarint(binary.AppendVarint(dst, m.at), m.value)
	}
	return dst
}

func (t *total) append(dst []byte) []byte { return appendAmount(appendText(dst, t.currency), t.sum) }

func appendText(dst []byte, text string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(text))), text...)
}

func appendAmount(dst []byte, a event.Amount) []byte {
	return a.AppendBytes(binary.AppendUvarint(dst, uint64(a.Len())))
}

// errState says that bytes are no state.
var errState = errors.New("not the state of a customer's spending")

// Decode reads what Append has written; of no bytes at all, a state that knows nothing. When it fails
// the state knows nothing either.
func (s *State) Decode(b []byte) error {
	*s = State{totals: s.totals[:0], orders: s.orders[:0], refunds: s.refunds[:0]}
	if len(b) == 0 {
		return nil
	}
	r := reader{b: b}
	if v := r.byte(); v != wireVersion {
		return fmt.Errorf("%w: version %d", errState, v)
	}
	s.placed, s.lastAt = r.varint(), r.varint()
	for n := r.count(maxCurrencies); n > 0 && !r.bad; n-- {
		t := r.total()
		t.at = r.varint()
		r.demand(t.currency != "" && (len(s.totals) == 0 || s.totals[len(s.totals)-1].currency < t.currency))
		s.totals = append(s.totals, t)
	}
	for n := r.count(maxOrders); n > 0 && !r.bad; n-- {
		o := order{id: r.uint64()}
		flags := r.byte()
		o.placed, o.cancelled = flags&1 != 0, flags&2 != 0
		o.currency, o.worth, o.at = r.currency(), r.amount(), r.varint()
		for m := r.count(maxForeign); m > 0 && !r.bad; m-- {
			o.refunds = append(o.refunds, r.total())
		}
		s.orders = append(s.orders, o)
	}
	for n := r.count(maxRefunds); n > 0 && !r.bad; n-- {
		s.refunds = append(s.refunds, r.uint64())
	}
	for _, m := range []*moment{&s.renewal, &s.payments} {
		m.at, m.value = r.varint(), r.varint()
	}
	if r.bad || len(r.b) > 0 {
		*s = State{}
		return errState
	}
	return nil
}

// reader takes a state apart. What is read behind something bad is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.take(n - btoi(n <= 0)) // of what is no number, -1: nothing can be taken
	return v
}

// count reads how many things follow, at most so many.
func (r *reader) count(most uint64) uint64 {
	n, size := binary.Uvarint(r.b)
	if r.take(size - btoi(size <= 0)); n > most {
		r.bad = true
		return 0
	}
	return n
}

func (r *reader) demand(ok bool) { r.bad = r.bad || !ok }

// currency reads three letters, or none.
func (r *reader) currency() string {
	text := string(r.take(int(r.count(3))))
	r.demand(text == "" || isCurrency(text))
	return text
}

func (r *reader) total() total { return total{currency: r.currency(), sum: r.amount()} }

func (r *reader) amount() event.Amount {
	a, ok := event.AmountFromBytes(r.take(int(r.count(16))))
	r.demand(ok)
	return a
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
