package profile

import "strconv"

// settle works out what a field's writes of this window come to.
func (s *State) settle(f *field, p *pending) {
	switch {
	case f.ext != nil && f.ext.kind == extElements:
		s.settleElements(f, p)
		s.trimElements(f)
	case f.ext != nil && f.ext.kind == extIncs:
		s.settleIncs(f, p)
		s.trimIncs(f)
	default:
		level := 0
		if p.whole && s.settleWhole(f, p, p.raw, p.content) {
			level = 1
		}
		s.settleChanges(f, p, level)
	}
}

// settleWhole sends a whole value, unless Braze has it.
func (s *State) settleWhole(f *field, p *pending, raw []byte, is content) (sent bool) {
	if is.same(f.known) {
		s.count(p.record, p.name, Same, p.points)
		return false
	}
	f.known, f.sent, f.last = is, s.diff.number, 0
	s.count(p.record, p.name, Sent, p.points)
	d := &s.diff
	if p.name.group != "" {
		d.touch(p.points)
		d.subs = append(append(d.subs, `{"subscription_group_id":`...), '"')
		d.subs = append(append(d.subs, p.name.group...), `","subscription_state":`...)
		d.subs = append(append(d.subs, raw...), "},"...)
		return true
	}
	d.member(p.name, p.points)
	d.out = append(d.out, raw...)
	return true
}

func (s *State) settleElements(f *field, p *pending) {
	e, d := f.ext, &s.diff
	if p.whole {
		var is content
		s.scratch, is = s.merged(s.scratch[:0], p.raw, e, p.name.maxItems())
		sent := s.settleWhole(f, p, s.scratch, is)
		for i := range e.elements {
			el := &e.elements[i]
			if el.record != none {
				s.count(el.record, p.name, Folded, 1)
				if sent {
					el.sent = d.number
				}
			}
			el.has, el.record = wanted(el.add), none
		}
		return
	}
	n := s.unsettled(f)
	if n > 0 {
		d.member(p.name, n)
		d.out = append(d.out, '{')
		d.elements("add", e.elements, true)
		d.elements("remove", e.elements, false)
		d.out[len(d.out)-1] = '}' // in place of the last comma
	}
	for i := range e.elements {
		el := &e.elements[i]
		switch {
		case el.record == none:
			continue
		case el.has == wanted(el.add):
			s.count(el.record, p.name, Same, 1)
		default:
			s.count(el.record, p.name, Sent, 1)
			el.has, el.sent = wanted(el.add), d.number
		}
		el.record = none
	}
}

// unsettled counts the elements of which Braze must be told, and works out what the array is then. Where
// there is none, or nothing in it, there is nothing to remove, and what is added is all there is.
func (s *State) unsettled(f *field) (n int64) {
	e, adds, sum := f.ext, false, uint64(saltArray)
	empty := f.known.kind == absent || f.known.same(emptyArray)
	for i := range e.elements {
		el := &e.elements[i]
		if empty && !el.add {
			el.has = hasNot
		}
		if el.add {
			sum = mix(sum, el.sum)
		}
		if el.record != none && el.has != wanted(el.add) {
			n++
			adds = adds || el.add
		}
	}
	switch {
	case empty && adds:
		f.known, f.last = content{hashed, array, sum}, s.diff.number
	case n > 0:
		f.known = content{shape: array}
	}
	return n
}

// settleIncs sends what increments add up to. All of them get the number of this update, even where they
// come to nothing, as the ids of their events do: who is forgotten must be forgotten with it.
func (s *State) settleIncs(f *field, p *pending) {
	e, d := f.ext, &s.diff
	if p.whole {
		total := int64(0)
		if p.content.kind == whole {
			total = int64(p.content.bits)
		}
		for i := range e.incs {
			total, _ = plus(total, e.incs[i].n, true)
		}
		s.scratch = strconv.AppendInt(s.scratch[:0], total, 10)
		s.settleWhole(f, p, s.scratch, content{whole, integer, uint64(total)})
		for i := range e.incs {
			if in := &e.incs[i]; in.record != none {
				s.count(in.record, p.name, Folded, 1)
				in.record, in.sent = none, d.number
			}
		}
		return
	}
	sum, last := int64(0), none
	for i := range e.incs {
		if e.incs[i].record != none {
			sum, _ = plus(sum, e.incs[i].n, true)
			last = i
		}
	}
	idle := sum == 0 && f.known.shape == integer
	for i := range e.incs {
		in := &e.incs[i]
		switch {
		case in.record == none:
			continue
		case i != last:
			s.count(in.record, p.name, Folded, 1)
		case idle:
			s.count(in.record, p.name, Same, 1)
		default:
			s.count(in.record, p.name, Sent, 1)
		}
		in.record, in.sent = none, d.number
	}
	if idle {
		return
	}
	d.member(p.name, 1) // of nothing, adding 0 makes 0
	d.out = append(strconv.AppendInt(append(d.out, `{"inc":`...), sum, 10), '}')
	switch f.known.kind {
	case whole, absent:
		f.known, f.last = content{whole, integer, f.known.bits + uint64(sum)}, d.number
	default:
		f.known = content{shape: integer}
	}
}

// settleChanges sends the operators on an array of objects.
func (s *State) settleChanges(f *field, p *pending, level int) {
	d := &s.diff
	for i := range p.changes {
		c := &p.changes[i]
		for _, part := range c.parts {
			s.count(part.record, p.name, Sent, part.points)
		}
		f.known = content{shape: objects}
		if f.ext != nil {
			f.ext.sent = d.number
		}
		if level+i == 0 && len(c.Update) == 0 {
			d.member(p.name, c.points)
			d.out = c.AppendBody(d.out)
			continue
		}
		d.later = append(d.later, later{level: level + i, merges: len(c.Update) > 0, name: p.name, change: c})
	}
}
