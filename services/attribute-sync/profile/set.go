package profile

// set applies a write of a whole value.
func (s *State) set(f *field, w *write, by stamp, record int32) {
	f.sameClock(&by)
	if against := s.standing(f, &by, w.name.rule.owner()); against != nil {
		detail := s.story(against)
		if by.versioned && (against.source != by.source || !against.versioned) {
			f.remember(by) // newer than the versions before it, even if something else stands
		}
		s.decline(w, record, DeclinedStale, detail)
		return
	}
	f.stand(by)
	s.supersede(f, w, &by)
	if f.ext != nil {
		// What the operators that stay make of the value is worked out at the end of the window.
		p := s.replace(f, w)
		p.raw, p.content, p.points, p.record = s.keep(w.raw), w.content, w.points, record
		return
	}
	if w.content.same(s.current(f)) {
		s.count(record, w.name, Same, w.points)
		return
	}
	p := s.replace(f, w)
	p.raw, p.content, p.points, p.record = s.keep(w.raw), w.content, w.points, record
}

// replace makes room for a whole value among what the field has been told in this window. What was there
// would have been sent, had it been alone.
func (s *State) replace(f *field, w *write) *pending {
	p := s.touch(f, w.name)
	if p.whole {
		s.count(p.record, p.name, Folded, p.points)
	}
	p.whole = true
	return p
}

// supersede drops the operators that the new value is newer than, and all those that its type has no use
// for.
func (s *State) supersede(f *field, w *write, by *stamp) {
	e := f.ext
	if e == nil {
		return
	}
	kept := 0
	switch e.kind {
	case extElements:
		fits := w.content.shape == array || w.content.shape == null
		for _, el := range e.elements {
			if fits && !s.wins(by, &el.by) {
				e.elements[kept] = el
				kept++
			} else if el.record != none {
				s.count(el.record, w.name, Folded, 1)
			}
		}
		e.elements = e.elements[:kept]
	case extIncs:
		fits := w.content.shape == integer || w.content.shape == null
		for _, in := range e.incs {
			if fits && !s.wins(by, &in.by) {
				e.incs[kept] = in
				kept++
			} else if in.record != none {
				s.count(in.record, w.name, Folded, 1)
			}
		}
		e.incs = e.incs[:kept]
	default: // a value that is older than the newest operator never comes here
		if f.pend != none {
			for _, c := range s.pending[f.pend].changes {
				for _, p := range c.parts {
					s.count(p.record, w.name, Folded, p.points)
				}
			}
			s.pending[f.pend].changes = nil
		}
	}
	if kept == 0 {
		f.ext = nil
	}
}
