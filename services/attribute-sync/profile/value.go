package profile

import (
	"bytes"
	"iter"
	"strconv"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// set reads an attribute's value, at which the scanner stands, and finds out whether it is one.
func (b *batch) set(n *name) *Refusal {
	c := &b.scan
	at := c.i
	c.free = n.std != nil && n.std.free
	is, ok := c.attribute()
	c.free = false
	if !ok {
		rule, detail := c.rule, c.detail
		if rule == braze.RuleNotJSON || !b.skip(at) {
			return invalid(b.violation(n, braze.RuleNotJSON, ""))
		}
		return b.bad(n, rule, detail)
	}
	raw := c.b[at:c.i]
	if is.shape == null {
		b.writes = append(b.writes, write{name: n, verb: set, raw: raw, content: is, points: n.costs(1)})
		return nil
	}
	if n.std != nil {
		if rule, detail := n.std.check(b.state, raw, is); rule != "" {
			return b.bad(n, rule, detail)
		}
	} else {
		if is.shape == object && c.ops != 0 && c.ops&^(opInc|opPlain|opObjects) == 0 {
			if c.ops == opInc || c.ops&^opPlain == 0 || c.ops&opObjects != 0 {
				return b.operators(n, c.ops, raw)
			}
		} else if c.ops&opObjects != 0 && is.shape == object {
			return b.bad(n, braze.RuleNotAllowed, "operators stand alone in their object")
		}
		if rule, detail := b.fits(n, is, raw); rule != "" {
			return b.bad(n, rule, detail)
		}
	}
	points := int64(1)
	if is.shape == object || is.shape == objects {
		points = max(1, c.leaves)
	}
	b.writes = append(b.writes, write{name: n, verb: set, raw: raw, content: is, points: n.costs(points)})
	return nil
}

// Sizes of values that hold objects (braze-docs: nested_custom_attribute_support, array_of_objects).
const (
	maxObject  = 50 << 10
	maxObjects = 100 << 10
)

// fits finds out whether a custom attribute may have that value.
func (b *batch) fits(n *name, is content, raw []byte) (braze.Rule, string) {
	switch t := n.rule.typ(); {
	case !t.takes(is.shape, raw):
		return braze.RuleWrongType, "fields.yaml says " + string(t)
	case is.shape == object && len(raw) > maxObject:
		return braze.RuleTooLarge, "an object has 51200 bytes at most"
	case is.shape == objects && len(raw) > maxObjects:
		return braze.RuleTooLarge, "an array of objects has 102400 bytes at most"
	case is.shape == array && b.scan.items > n.maxItems():
		return braze.RuleTooManyItems, strconv.Itoa(n.maxItems()) + " at most"
	}
	return "", ""
}

// subscription reads the state in a subscription group.
func (b *batch) subscription(sub *event.Subscription) *Refusal {
	n := b.ofGroup(sub.GroupID)
	w := write{name: n, verb: set}
	switch {
	case n.breaks != "":
		return b.bad(n, n.breaks, n.detail)
	case sub.State == string(braze.Subscribed):
		w.raw, w.content = []byte(`"subscribed"`), content{kind: isTrue, shape: text}
	case sub.State == string(braze.Unsubscribed):
		w.raw, w.content = []byte(`"unsubscribed"`), content{kind: isFalse, shape: text}
	default:
		return b.bad(n, braze.RuleNotOneOf, "subscribed, unsubscribed")
	}
	b.writes = append(b.writes, w)
	return nil
}

// elements reads an array whose values are to be added to another, or removed from it.
func (b *batch) elements(n *name, v verb, raw []byte) *Refusal {
	if n.std != nil {
		return b.bad(n, braze.RuleNotAllowed, "Braze's own fields are set as a whole")
	}
	if t := n.rule.typ(); t != "" && t != TypeArray {
		return b.bad(n, braze.RuleWrongType, "fields.yaml says "+string(t))
	}
	c := &b.inner
	c.start(raw)
	if !c.next('[') {
		return b.bad(n, braze.RuleNotAList, "")
	}
	from := len(b.writes)
	for first := true; !c.next(']'); first = false {
		if !first {
			c.next(',')
		}
		c.space()
		at := c.i
		is, ok := c.value(1)
		rule, detail := c.rule, c.detail
		switch {
		case ok && (is.shape == object || is.shape == array || is.shape == objects):
			rule, detail = braze.RuleNotAllowed, "values of a plain array are strings, numbers and booleans"
		case ok && v == add && len(b.writes)-from >= n.maxItems():
			rule, detail = braze.RuleTooManyItems, strconv.Itoa(n.maxItems())+" at most"
		}
		if rule != "" {
			clear(b.writes[from:])
			b.writes = b.writes[:from]
			return b.bad(n, rule, detail)
		}
		b.writes = append(b.writes, write{name: n, verb: v, raw: raw[at:c.i], content: is, points: 1})
	}
	return nil
}

// increment reads a whole number to increment by.
func (b *batch) increment(n *name, raw []byte) *Refusal {
	if n.std != nil {
		return b.bad(n, braze.RuleNotAllowed, "Braze's own fields are set as a whole")
	}
	if t := n.rule.typ(); t != "" && t != TypeInteger && t != TypeNumber {
		return b.bad(n, braze.RuleWrongType, "fields.yaml says "+string(t))
	}
	b.inner.start(raw)
	is, ok := b.inner.value(0)
	if !ok || is.kind != whole || is.shape != integer {
		return b.bad(n, braze.RuleNotANumber, "a whole number of 64 bits")
	}
	b.once = true
	b.writes = append(b.writes, write{name: n, verb: increment, n: int64(is.bits), points: 1})
	return nil
}

// members yields the members of a valid object: the name, without its escapes, and the value as it stands.
func members(raw []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		var c scanner
		c.start(raw)
		c.free, c.ops = true, opObjects // nothing but the grammar counts
		if !c.next('{') {
			return
		}
		for first := true; !c.next('}'); first = false {
			if !first {
				c.next(',')
			}
			if c.space(); c.i == len(c.b) || c.b[c.i] != '"' {
				return
			}
			inner, escaped, ok := c.quoted()
			if !ok {
				return
			}
			name := bytes.Clone(c.meaning(inner, escaped))
			if !c.next(':') {
				return
			}
			c.space()
			at := c.i
			if _, ok := c.value(1); !ok || !yield(name, raw[at:c.i]) {
				return
			}
		}
	}
}
