package event

import "math/bits"

// Amount is an exact sum of money, in billionths.
type Amount struct {
	hi int64 // two's complement, 128 bits in all
	lo uint64
}

// limit is 10³⁸, which no amount reaches.
var limit = func() Amount {
	hi, lo := bits.Mul64(1e19, 1e19)
	return Amount{int64(hi), lo}
}()

// fits reports whether an amount has at most 38 digits.
func (a Amount) fits() bool {
	if a.hi < 0 {
		a = a.Neg()
	}
	return a.hi >= 0 && (a.hi < limit.hi || a.hi == limit.hi && a.lo < limit.lo)
}

// shift multiplies by a power of ten. It is false if the result does not fit, or would not be exact;
// zero is zero whatever the power.
func (a Amount) shift(n int) (Amount, bool) {
	if a == (Amount{}) {
		return a, true
	}
	if n < 0 || n > MoneyPrecision {
		return Amount{}, false
	}
	for n > 0 {
		step := min(n, len(powers)-1)
		product, ok := a.Times(int64(powers[step]))
		if !ok {
			return Amount{}, false
		}
		a, n = product, n-step
	}
	return a, true
}

// powers are those of ten that an int64 holds.
var powers = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18}

func (a Amount) plus(n uint64) Amount {
	lo, carry := bits.Add64(a.lo, n, 0)
	return Amount{a.hi + int64(carry), lo}
}

// Sign is -1, 0 or 1.
func (a Amount) Sign() int {
	switch {
	case a.hi < 0:
		return -1
	case a.hi == 0 && a.lo == 0:
		return 0
	}
	return 1
}

// Neg is -a.
func (a Amount) Neg() Amount {
	lo, borrow := bits.Sub64(0, a.lo, 0)
	return Amount{-a.hi - int64(borrow), lo}
}

// Add is a + b; false if that does not fit.
func (a Amount) Add(b Amount) (Amount, bool) {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	sum := Amount{a.hi + b.hi + int64(carry), lo} // both have less than 127 bits
	return sum, sum.fits()
}

// Times is a × n; false if that does not fit.
func (a Amount) Times(n int64) (Amount, bool) {
	negative := a.hi < 0 != (n < 0)
	if a.hi < 0 {
		a = a.Neg()
	}
	factor := uint64(n)
	if n < 0 {
		factor = -factor
	}
	top, hi := bits.Mul64(uint64(a.hi), factor)
	carry, lo := bits.Mul64(a.lo, factor)
	hi, carry = bits.Add64(hi, carry, 0)
	if top+carry != 0 || hi>>63 != 0 {
		return Amount{}, false
	}
	product := Amount{int64(hi), lo}
	if !product.fits() {
		return Amount{}, false
	}
	if negative {
		product = product.Neg()
	}
	return product, true
}

// Money is the amount as text, without zeros at its end.
func (a Amount) Money() Money {
	var buf [48]byte
	return Money(a.AppendText(buf[:0]))
}

// AppendText appends the amount as text, without zeros at its end: 84.9, not 84.90.
func (a Amount) AppendText(dst []byte) []byte {
	if a.hi < 0 {
		dst = append(dst, '-')
		a = a.Neg()
	}
	const scale, half = 1e9, 1e19
	hi, rest := bits.Div64(0, uint64(a.hi), scale)
	lo, fraction := bits.Div64(rest, a.lo, scale)
	// What is before the point is less than 10²⁹, so that the upper half of it is less than 10¹⁹.
	upper, lower := bits.Div64(hi, lo, half)
	if upper > 0 {
		dst = appendDigits(dst, upper, 1)
		dst = appendDigits(dst, lower, 19)
	} else {
		dst = appendDigits(dst, lower, 1)
	}
	if fraction == 0 {
		return dst
	}
	width := MoneyScale
	for ; fraction%10 == 0; fraction /= 10 {
		width--
	}
	return appendDigits(append(dst, '.'), fraction, width)
}

// appendDigits appends n with at least so many digits.
func appendDigits(dst []byte, n uint64, width int) []byte {
	var buf [20]byte
	i := len(buf)
	for ; n > 0 || width > 0; width-- {
		i--
		buf[i] = '0' + byte(n%10)
		n /= 10
	}
	return append(dst, buf[i:]...)
}

// AppendBytes appends the amount's billionths as Avro's decimal has them: two's complement, the most
// significant byte first, no more bytes than needed.
func (a Amount) AppendBytes(dst []byte) []byte {
	n := a.Len()
	for i := n - 1; i >= 0; i-- {
		if i >= 8 {
			dst = append(dst, byte(a.hi>>(8*(i-8))))
		} else {
			dst = append(dst, byte(a.lo>>(8*i)))
		}
	}
	return dst
}

// Len is how many bytes [Amount.AppendBytes] appends, from 1 to 16.
func (a Amount) Len() int {
	if a.hi < 0 { // as many bits as its complement has
		a = Amount{^a.hi, ^a.lo}
	}
	n := bits.Len64(uint64(a.hi)) + 64
	if a.hi == 0 {
		n = bits.Len64(a.lo)
	}
	return n/8 + 1 // and one for the sign
}

// AmountFromBytes is the opposite of [Amount.AppendBytes]; more bytes than needed are read too, and
// none is zero. It is false for what does not fit.
func AmountFromBytes(b []byte) (Amount, bool) {
	var a Amount
	if len(b) > 0 && b[0] >= 0x80 {
		a = Amount{-1, ^uint64(0)}
	}
	sign := byte(a.hi)
	for len(b) > 16 {
		if b[0] != sign {
			return Amount{}, false
		}
		b = b[1:]
	}
	filler := a.hi
	for _, c := range b {
		a.hi = a.hi<<8 | int64(a.lo>>56)
		a.lo = a.lo<<8 | uint64(c)
	}
	return a, a.hi>>63 == filler && a.fits()
}
