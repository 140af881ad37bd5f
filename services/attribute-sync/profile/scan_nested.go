package profile

import (
	"slices"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"github.com/sluicehq/sluice/pkg/braze"
)

func (c *scanner) array(depth int) (content, bool) {
	if depth > maxDepth {
		return c.broken(braze.RuleTooDeep, "")
	}
	c.i++
	is, sum := array, uint64(saltArray)
	leaves, items := c.leaves, 0
	for !c.next(']') {
		if items > 0 && !c.next(',') {
			return c.broken(braze.RuleNotJSON, "")
		}
		element, ok := c.value(depth + 1)
		if !ok {
			return element, false
		}
		if element.shape == object && items == 0 {
			is = objects
		}
		if depth == 0 && ((element.shape == object) != (is == objects) || element.shape == array || element.shape == objects) {
			return c.broken(braze.RuleNotAllowed, "an array holds either objects, or strings, numbers and booleans")
		}
		sum = mix(sum, element.sum())
		items++
	}
	if depth == 0 {
		c.items = items
	} else {
		c.leaves = leaves // an array counts as the one key that holds it
	}
	return content{hashed, is, sum}, true
}

func (c *scanner) object(depth int) (content, bool) {
	if depth > maxDepth {
		return c.broken(braze.RuleTooDeep, "")
	}
	c.i++
	from, sum := len(c.hashes), uint64(saltObject)
	for members := 0; !c.next('}'); members++ {
		if members > 0 && !c.next(',') {
			return c.broken(braze.RuleNotJSON, "")
		}
		if c.space(); c.i == len(c.b) || c.b[c.i] != '"' {
			return c.broken(braze.RuleNotJSON, "")
		}
		inner, escaped, ok := c.quoted()
		if !ok {
			return content{}, false
		}
		name := c.meaning(inner, escaped)
		if !c.memberName(name, depth) {
			return content{}, false
		}
		date := len(name) == 5 && string(name) == "$time"
		key := xxhash.Sum64(name)
		c.hashes = append(c.hashes, key)
		if !c.next(':') {
			return c.broken(braze.RuleNotJSON, "")
		}
		c.space()
		at, before := c.i, c.leaves
		value, ok := c.value(depth + 1)
		if !ok {
			return value, false
		}
		if date && c.ops&opObjects == 0 && !isDateValue(c.b[at:c.i]) {
			return c.broken(braze.RuleNotAllowed, "$time must be a date of ISO 8601")
		}
		if value.shape != object || c.leaves == before {
			c.leaves++
		}
		sum += mix(key, value.sum()) // the order of members means nothing
	}
	if c.twice(c.hashes[from:]) {
		return c.broken(braze.RuleTwice, "an object has two members of one name")
	}
	n := len(c.hashes) - from
	c.hashes = c.hashes[:from]
	return content{hashed, object, mix(sum, uint64(n))}, true
}

// memberName checks a name within an object (braze-docs: nested_custom_attribute_support).
func (c *scanner) memberName(name []byte, depth int) bool {
	op := opNone
	if depth == 0 {
		op = operator(name)
		c.ops |= op
	}
	var rule braze.Rule
	detail := ""
	switch {
	case len(name) == 0:
		rule = braze.RuleEmptyName
	case len(name) > braze.MaxNameLen && utf8.RuneCount(name) > braze.MaxNameLen:
		rule = braze.RuleNameTooLong
	case op != opNone || c.ops&opObjects != 0:
		// What stands in an operator has names of its own; it is checked where operators are read.
	case slices.Contains(name, ' '):
		rule, detail = braze.RulePattern, "a name within an object has no spaces"
	case name[0] == '$' && string(name) != "$time":
		rule, detail = braze.RuleLeadingDollar, ""
	}
	if rule != "" {
		c.broken(rule, detail)
	}
	return rule == ""
}

// twice finds out whether two names are the same. Most objects have few, which are compared as they are.
func (c *scanner) twice(names []uint64) bool {
	if len(names) > 16 {
		slices.Sort(names)
		for i := 1; i < len(names); i++ {
			if names[i] == names[i-1] {
				return true
			}
		}
		return false
	}
	for i, name := range names {
		for _, other := range names[:i] {
			if name == other {
				return true
			}
		}
	}
	return false
}
