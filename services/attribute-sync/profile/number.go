package profile

import (
	"bytes"
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/braze"
)

// number reads a number. Nothing is ever read as a float: what an id or an amount says stays as it is.
func (c *scanner) number() (content, bool) {
	from := c.i
	negative := c.i < len(c.b) && c.b[c.i] == '-'
	if negative {
		c.i++
	}
	first := c.i
	n := uint64(0)
	for c.i < len(c.b) && c.b[c.i]-'0' <= 9 {
		n = n*10 + uint64(c.b[c.i]-'0') // of no use, and not used, beyond 18 digits
		c.i++
	}
	whole18 := c.i-first <= 18
	if c.i == first || c.b[first] == '0' && c.i > first+1 {
		return c.broken(braze.RuleNotJSON, "")
	}
	if whole18 && (c.i == len(c.b) || c.b[c.i] != '.' && c.b[c.i]|0x20 != 'e') {
		if negative {
			n = -n
		}
		return content{whole, integer, n}, true
	}
	is, exponent := integer, false
	if c.i < len(c.b) && c.b[c.i] == '.' {
		is = fraction
		c.i++
		if c.digits() == 0 {
			return c.broken(braze.RuleNotJSON, "")
		}
	}
	if c.i < len(c.b) && c.b[c.i]|0x20 == 'e' {
		is, exponent = fraction, true
		c.i++
		if c.i < len(c.b) && (c.b[c.i] == '+' || c.b[c.i] == '-') {
			c.i++
		}
		if c.digits() == 0 {
			return c.broken(braze.RuleNotJSON, "")
		}
	}
	if exponent || c.i-from > maxDigits {
		if _, err := strconv.ParseFloat(string(c.b[from:c.i]), 64); err != nil {
			return c.broken(braze.RuleOutOfRange, "a number is at most 1.8e308")
		}
	}
	k, sum := c.numberSum(c.b[from:c.i])
	return content{k, is, sum}, true
}

// maxDigits is how many digits every number may have that is written without an exponent.
const maxDigits = 300

func (c *scanner) digits() (n int) {
	for c.i < len(c.b) && c.b[c.i]-'0' <= 9 {
		c.i++
		n++
	}
	return n
}

// numberSum is the same for all spellings of a number: the integer itself where it is one that fits, else
// a hash of its digits without the zeros at both ends and of the exponent that goes with them.
func (c *scanner) numberSum(spelling []byte) (kind, uint64) {
	mantissa, exponent := spelling, int64(0)
	if e := bytes.IndexAny(spelling, "eE"); e >= 0 {
		mantissa = spelling[:e]
		n, err := strconv.ParseInt(string(spelling[e+1:]), 10, 64)
		if err != nil || n > math.MaxInt32 || n < math.MinInt32 {
			// Nobody means it, and only zero would have another spelling.
			return hashed, xxhash.Sum64(bytes.ToLower(spelling)) ^ saltNumber
		}
		exponent = n
	}
	negative := mantissa[0] == '-'
	out := c.scratch[:0]
	fraction := false
	for _, ch := range mantissa {
		switch {
		case ch == '.':
			fraction = true
		case ch == '-':
		default:
			if fraction {
				exponent--
			}
			if ch != '0' || len(out) > 0 {
				out = append(out, ch)
			}
		}
	}
	for len(out) > 0 && out[len(out)-1] == '0' {
		out = out[:len(out)-1]
		exponent++
	}
	c.scratch = out
	if len(out) == 0 {
		return whole, 0
	}
	if exponent >= 0 && int64(len(out))+exponent <= 19 {
		n, err := strconv.ParseUint(string(out), 10, 64)
		for range exponent {
			n *= 10
		}
		switch { // 19 digits fit into a uint64
		case err == nil && !negative && n <= math.MaxInt64:
			return whole, n
		case err == nil && negative && n <= 1<<63:
			return whole, -n
		}
	}
	if negative {
		out = append(out, '-')
	}
	out = strconv.AppendInt(append(out, 'e'), exponent, 10)
	c.scratch = out
	return hashed, xxhash.Sum64(out) ^ saltNumber
}
