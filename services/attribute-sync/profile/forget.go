package profile

// Forget is for an update that Braze refused: whatever it sent is unknown again, so that the next write of
// a field is sent, equal or not, and a repeat of an event whose increment was in it is applied. What was
// sent by a later update stays known.
func (s *State) Forget(update uint64) {
	if update == 0 {
		return
	}
	for i := range s.fields {
		f := &s.fields[i]
		if f.sent == update {
			f.known, f.sent = content{}, 0
			f.ext.doubt()
		}
		if f.ext != nil && f.ext.forget(update) {
			f.known = content{shape: f.known.shape}
			if f.ext.kind != extObjects && len(f.ext.elements)+len(f.ext.incs) == 0 {
				f.ext, f.known = nil, content{}
			}
		}
	}
	kept := s.ids[:0]
	for _, id := range s.ids {
		if id.sent != update {
			kept = append(kept, id)
		}
	}
	s.ids, s.newIDs = kept, len(kept)
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
