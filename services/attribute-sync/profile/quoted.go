package profile

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

// quoted takes a string and returns what stands between its quotes.
func (c *scanner) quoted() (inner []byte, escaped, ok bool) {
	from := c.i + 1
	for i := from; ; {
		i += ordinary(c.b[i:])
		if i >= len(c.b) {
			break
		}
		switch ch := c.b[i]; {
		case ch == '"':
			c.i = i + 1
			return c.b[from:i], escaped, true
		case ch == '\\':
			escaped = true
			i += 2
			if i > len(c.b) {
				i = len(c.b)
			}
		case ch < ' ':
			c.broken(braze.RuleNotJSON, "")
			return nil, false, false
		default:
			r, n := utf8.DecodeRune(c.b[i:])
			if r == utf8.RuneError && n == 1 {
				c.broken(braze.RuleNotJSON, "")
				return nil, false, false
			}
			i += n
		}
	}
	c.broken(braze.RuleNotJSON, "")
	return nil, false, false
}

// meaning is what a string says without its escapes, good until the next one; nothing, and a broken rule,
// where an escape is none.
func (c *scanner) meaning(inner []byte, escaped bool) []byte {
	if !escaped {
		return inner
	}
	quoted := slices.Concat([]byte{'"'}, inner, []byte{'"'})
	said, err := jsontext.AppendUnquote(c.scratch[:0], quoted)
	if err != nil {
		c.broken(braze.RuleNotJSON, "")
		return nil
	}
	c.scratch = said
	return said
}

func (c *scanner) textSum(inner []byte, escaped bool) (uint64, bool) {
	sum := xxhash.Sum64(c.meaning(inner, escaped))
	return sum, c.rule == ""
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// ordinary is how many bytes at the beginning of b mean only themselves in a string, looked at eight at
// once: a byte is special when it is below a space, a quote, a backslash, or beyond ASCII. The
// subtractions borrow into a byte only behind one that is special itself, and only the first counts.
func ordinary(b []byte) int {
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		v := binary.LittleEndian.Uint64(b[n:])
		quote, slash := v^(ones*'"'), v^(ones*'\\')
		special := ((v - ones*' ') | (quote - ones) | (slash - ones) | v) & highs
		if special != 0 {
			return n + bits.TrailingZeros64(special)/8
		}
	}
	for ; n < len(b); n++ {
		if ch := b[n]; ch < ' ' || ch == '"' || ch == '\\' || ch >= utf8.RuneSelf {
			break
		}
	}
	return n
}
