package profile

// Forget is for an object of an update that Braze refused, the update by its number and the object by its
// place in [Difference.Objects]: whatever it sent is unknown again, so that the next write of a field is
// sent, equal or not, and a repeat of an event whose operator was in it is applied. What the update's other
// objects carried, and what was sent by a later update, stays known.
func (s *State) Forget(update uint64, part int) {
	if update == 0 {
		return
	}
	if part == 0 { // the others hold nothing but operators on arrays of objects, after which nothing is known
		s.forgetFields(update)
	}
	kept, fresh := s.ids[:0], s.newIDs
	for i, id := range s.ids {
		switch {
		case id.sent != update || id.part != part:
			kept = append(kept, id)
		case i < fresh:
			s.newIDs--
		}
	}
	s.ids = kept
}

func (s *State) forgetFields(update uint64) {
	for i := range s.fields {
		f := &s.fields[i]
		switch {
		case f.sent == update:
			f.known, f.sent, f.last = content{}, 0, 0
			f.ext.doubt()
		case f.sent != 0 && f.sent < update && update <= f.last:
			// Operators that came to be part of what is known. They may be forgotten themselves, so it is not
			// asked whether this update had one: of that which did not, the next write costs a point too many.
			f.known = content{shape: f.known.shape}
		}
		if f.ext != nil && f.ext.forget(update) {
			f.known = content{shape: f.known.shape}
			if f.ext.kind != extObjects && len(f.ext.elements)+len(f.ext.incs) == 0 {
				f.ext, f.known = nil, content{}
			}
		}
	}
}

// forget drops the operators that an update sent, and reports whether there were any.
func (e *ext) forget(update uint64) (any bool) {
	elements, incs := e.elements[:0], e.incs[:0]
	for _, el := range e.elements {
		if el.sent == update {
			any = true
			if el.record == none {
				continue
			}
			el.sent, el.has = 0, hasUnknown
		}
		elements = append(elements, el)
	}
	for _, in := range e.incs {
		if in.sent == update {
			any = true
			continue
		}
		incs = append(incs, in)
	}
	e.elements, e.incs = elements, incs
	if e.sent == update {
		e.sent, any = 0, true
	}
	return any
}

// ForgetAll is for a user whose profile became another behind our back, as when two were merged: nothing
// that Braze has is known any more. Who wrote what, and when, stays known.
func (s *State) ForgetAll() {
	for i := range s.fields {
		f := &s.fields[i]
		f.known = content{}
		f.ext.doubt()
	}
}

// doubt makes it unknown which of the elements Braze has.
func (e *ext) doubt() {
	if e == nil {
		return
	}
	for i := range e.elements {
		e.elements[i].has = hasUnknown
	}
}
