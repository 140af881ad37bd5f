package profile

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// batch is one record taken apart: every write that it asks for, checked. Nothing is applied before all
// of it is, so that a record is refused whole.
type batch struct {
	state   *State
	rules   *Rules
	source  string // of the record
	ours    bool   // it is of a source that has attributes of its own, or of this very program
	writes  []write
	section string // of the record, for violations
	scan    scanner
	inner   scanner // of values within the one that scan has read
	key     []byte
	once    bool // something in it must not be applied twice
}

// verb is what a write does.
type verb uint8

const (
	_ verb = iota
	set
	add    // one element to an array
	remove // one element from it
	increment
	changeObjects // an operator on an array of objects
)

// write is one thing that a record asks for.
type write struct {
	name    *name
	verb    verb
	raw     []byte // the value, or the element
	content content
	n       int64 // to increment by
	points  int64
	change  *braze.ObjectsChange
	bad     *braze.Violation // only where the write is dropped, or declined anyway
	field   int32            // index in State.fields, or none while there is none
}

// begin takes the state's batch for one record of a source.
func (s *State) begin(r *Rules, source string) *batch {
	if s.rules != r {
		clear(s.names) // they know the rules that they fall under
		s.rules = r
	}
	if s.ended {
		s.clearWindow()
	}
	b := &s.batch
	b.state, b.rules, b.source, b.ours, b.once = s, r, source, r.makes(source), false
	clear(b.writes)
	b.writes = b.writes[:0]
	return b
}

// parse takes a record apart.
func (b *batch) parse(p *event.Profile) *Refusal {
	if refusal := b.object("set", set, p.Set); refusal != nil {
		return refusal
	}
	b.section = "unset"
	for _, unset := range p.Unset {
		if refusal := b.unset(b.called(unset)); refusal != nil {
			return refusal
		}
	}
	if refusal := b.object("add", add, p.Add); refusal != nil {
		return refusal
	}
	if refusal := b.object("remove", remove, p.Remove); refusal != nil {
		return refusal
	}
	if refusal := b.object("increment", increment, p.Increment); refusal != nil {
		return refusal
	}
	b.section = "subscriptions"
	for i := range p.Subscriptions {
		if refusal := b.subscription(&p.Subscriptions[i]); refusal != nil {
			return refusal
		}
	}
	return nil
}

// one takes in a single attribute.
func (b *batch) one(attribute string, value []byte) *Refusal {
	b.section = "set"
	n := b.called(attribute)
	b.scan.start(value)
	if n.breaks != "" {
		return b.bad(n, n.breaks, n.detail)
	}
	if refusal := b.set(n); refusal != nil {
		return refusal
	}
	if b.scan.space(); b.scan.i < len(value) {
		return b.bad(n, braze.RuleNotJSON, "")
	}
	return nil
}

// object reads one of the record's objects, whose members are writes of the verb.
func (b *batch) object(section string, v verb, raw []byte) *Refusal {
	if len(raw) == 0 {
		return nil
	}
	b.section = section
	c := &b.scan
	c.start(raw)
	if !c.next('{') {
		return invalid(&braze.Violation{Field: section, Rule: braze.RuleNotAnObject})
	}
	for first := true; !c.next('}'); first = false {
		if !first && !c.next(',') {
			return b.notJSON()
		}
		if c.space(); c.i == len(raw) || raw[c.i] != '"' {
			return b.notJSON()
		}
		inner, escaped, ok := c.quoted()
		if !ok {
			return b.notJSON()
		}
		n := b.spelled(inner, escaped)
		if c.rule != "" || !c.next(':') {
			return b.notJSON()
		}
		c.space()
		if refusal := b.member(n, v); refusal != nil {
			return refusal
		}
	}
	if c.space(); c.i < len(raw) {
		return b.notJSON()
	}
	return nil
}

// member reads the value that the scanner is at.
func (b *batch) member(n *name, v verb) *Refusal {
	at := b.scan.i
	switch {
	case n.breaks != "":
		if !b.skip(at) {
			return b.notJSON()
		}
		return b.bad(n, n.breaks, n.detail)
	case v == set:
		return b.set(n)
	}
	if !b.skip(at) {
		return b.notJSON()
	}
	raw := b.scan.b[at:b.scan.i]
	if v == increment {
		return b.increment(n, raw)
	}
	return b.elements(n, v, raw)
}

// skip moves the scanner behind the value that begins at a place, of which only the grammar counts.
func (b *batch) skip(at int) bool {
	d := jsontext.NewDecoder(bytes.NewReader(b.scan.b[at:]), jsontext.AllowDuplicateNames(true))
	if d.SkipValue() != nil {
		return false
	}
	b.scan.i, b.scan.rule, b.scan.detail = at+int(d.InputOffset()), "", ""
	return true
}

// violation says that a part of the record breaks a rule.
func (b *batch) violation(n *name, rule braze.Rule, detail string) *braze.Violation {
	field := b.section
	if n != nil {
		field += "." + n.shown
	}
	return &braze.Violation{Field: field, Rule: rule, Detail: detail}
}

func (b *batch) notJSON() *Refusal { return invalid(b.violation(nil, braze.RuleNotJSON, "")) }

// bad is what becomes of a write that breaks a rule: the record is refused, or the write declined. One that
// would be declined if it broke none is not worth the record.
func (b *batch) bad(n *name, rule braze.Rule, detail string) *Refusal {
	v := b.violation(n, rule, detail)
	declined, _ := n.rule.declines(b.source)
	if rule == braze.RuleNotJSON || b.rules.OnInvalid != Drop && declined == "" {
		return invalid(v)
	}
	b.writes = append(b.writes, write{name: n, bad: v})
	return nil
}

func (b *batch) unset(n *name) *Refusal {
	if n.breaks != "" {
		return b.bad(n, n.breaks, n.detail)
	}
	b.writes = append(b.writes, write{name: n, verb: set, raw: []byte("null"), content: content{kind: absent, shape: null}, points: n.costs(1)})
	return nil
}

// costs is what a write costs: what Braze says of its own fields, else the points given.
func (n *name) costs(points int64) int64 {
	switch {
	case n.std != nil:
		return n.std.points
	case n.group != "":
		return 0
	}
	return points
}
