package profile

import (
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/braze"
)

// maxDepth is how deep a value may be nested. Braze documents no limit; this keeps the stack small.
const maxDepth = 100

// scanner reads JSON once, holding it to the grammar and to Braze's rules for values while it works out
// what the value is, how it hashes and what it costs.
type scanner struct {
	b []byte
	i int

	leaves int64 // keys of objects that hold no object; what a nested value costs
	items  int   // elements of the outermost array
	ops    ops   // names of the outermost object that mean something to Braze
	free   bool  // strings may be of any length

	rule   braze.Rule // that is broken
	detail string

	hashes  []uint64 // names of the objects that we are in
	scratch []byte
}

// ops is which operators an object's names spell.
type ops uint8

const (
	opInc ops = 1 << iota
	opAdd
	opRemove
	opAddObjects
	opRemoveObjects
	opUpdateObjects
	opNone // a name that is no operator

	opPlain   = opAdd | opRemove
	opObjects = opAddObjects | opRemoveObjects | opUpdateObjects
)

// operator is what a name at the top of an object spells.
func operator(name []byte) ops {
	switch string(name) {
	case "inc":
		return opInc
	case "add":
		return opAdd
	case "remove":
		return opRemove
	case "$add":
		return opAddObjects
	case "$remove":
		return opRemoveObjects
	case "$update":
		return opUpdateObjects
	}
	return opNone
}

// start begins with new bytes.
func (c *scanner) start(b []byte) {
	c.b, c.i, c.rule, c.detail = b, 0, "", ""
	c.leaves, c.items, c.ops, c.hashes = 0, 0, 0, c.hashes[:0]
}

func (c *scanner) broken(rule braze.Rule, detail string) (content, bool) {
	if c.rule == "" {
		c.rule, c.detail = rule, detail
	}
	return content{}, false
}

func (c *scanner) space() {
	for c.i < len(c.b) && c.b[c.i] <= ' ' {
		if s := c.b[c.i]; s != ' ' && s != '\n' && s != '\t' && s != '\r' {
			return
		}
		c.i++
	}
}

// next skips white space and takes one byte if it is the one given.
func (c *scanner) next(want byte) bool {
	c.space()
	if c.i < len(c.b) && c.b[c.i] == want {
		c.i++
		return true
	}
	return false
}

// attribute reads the value of an attribute.
func (c *scanner) attribute() (content, bool) {
	c.leaves, c.items, c.ops, c.hashes = 0, 0, 0, c.hashes[:0]
	return c.value(0)
}

func (c *scanner) value(depth int) (content, bool) {
	c.space()
	if c.i == len(c.b) {
		return c.broken(braze.RuleNotJSON, "")
	}
	switch c.b[c.i] {
	case '"':
		inner, escaped, ok := c.quoted()
		if !ok {
			return content{}, false
		}
		if len(inner) > braze.MaxStringLen && !c.free && utf8.RuneCount(c.meaning(inner, escaped)) > braze.MaxStringLen {
			return c.broken(braze.RuleStringTooLong, "")
		}
		sum, ok := c.textSum(inner, escaped)
		return content{hashed, text, sum ^ saltString}, ok
	case '{':
		return c.object(depth)
	case '[':
		return c.array(depth)
	case 't':
		return c.literal("true", content{kind: isTrue, shape: boolean})
	case 'f':
		return c.literal("false", content{kind: isFalse, shape: boolean})
	case 'n':
		if depth > 0 && c.ops&opObjects == 0 {
			return c.broken(braze.RuleNotAllowed, "null within a value; Braze would keep nothing of it")
		}
		return c.literal("null", content{kind: absent, shape: null})
	}
	return c.number()
}

func (c *scanner) literal(word string, is content) (content, bool) {
	if len(c.b)-c.i < len(word) || string(c.b[c.i:c.i+len(word)]) != word {
		return c.broken(braze.RuleNotJSON, "")
	}
	c.i += len(word)
	return is, true
}
