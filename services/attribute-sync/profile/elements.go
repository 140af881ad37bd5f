package profile

// element applies a write that adds one value to an array, or removes it. For each value the newest write
// counts, and of those only such as are newer than the array. They are kept with their values, for an
// array that comes late, older than they are: it is sent with them applied.
func (s *State) element(f *field, w *write, by stamp, record int32) {
	if s.declinedOld(f, w, &by, record) {
		return
	}
	if is := s.current(f); is.shape != array && is.shape != null && is.shape != anything {
		s.decline(w, record, DeclinedWrongType, "it is "+is.shape.with())
		return
	}
	if f.ext == nil || f.ext.kind != extElements {
		f.ext = s.newExt(extElements)
	}
	e, sum, adding := f.ext, w.content.sum(), w.verb == add
	at, there := 0, 0
	for at = 0; at < len(e.elements) && e.elements[at].sum != sum; at++ {
	}
	if at < len(e.elements) {
		old := &e.elements[at]
		switch {
		case !s.wins(&by, &old.by):
			s.decline(w, record, DeclinedStale, s.story(&old.by))
			return
		case old.add == adding && (old.record != none || old.has == wanted(adding)):
			old.by = by
			s.count(record, w.name, Same, w.points)
			return
		case old.record != none:
			s.count(old.record, w.name, Folded, 1)
		}
	}
	if adding {
		for i := range e.elements {
			if e.elements[i].add && i != at {
				there++
			}
		}
		if there >= w.name.maxItems() {
			s.decline(w, record, DeclinedTooMany, "the array is full")
			return
		}
	}
	el := element{raw: s.keep(w.raw), sum: sum}
	if at < len(e.elements) {
		el.has, el.sent = e.elements[at].has, e.elements[at].sent
		e.elements = append(e.elements[:at], e.elements[at+1:]...)
	}
	el.by, el.add, el.record = by, adding, record
	e.elements = append(e.elements, el) // what is added again stands at the end
	s.touch(f, w.name)
}

func wanted(adding bool) has {
	if adding {
		return hasIt
	}
	return hasNot
}

// merged applies the elements to an array that the window knows, appends what comes of it to dst, and
// says what it is. Additions beyond the array's limit do not count, as with Braze.
func (s *State) merged(dst, raw []byte, e *ext, most int) ([]byte, content) {
	c := &s.batch.inner
	s.spans = s.spans[:0]
	c.start(raw)
	if c.next('[') {
		for first := true; !c.next(']'); first = false {
			if !first {
				c.next(',')
			}
			c.space()
			at := c.i
			is, ok := c.value(1)
			if !ok {
				break
			}
			s.place(span{raw: raw[at:c.i], sum: is.sum()}, true)
		}
	}
	for i := range e.elements {
		el := &e.elements[i]
		if el.add && len(s.spans) >= most && !s.placed(el.sum) {
			el.add = false
		}
		s.place(span{raw: el.raw, sum: el.sum}, el.add)
	}
	if len(s.spans) == 0 && (len(raw) == 0 || raw[0] != '[') {
		return append(dst, "null"...), content{kind: absent, shape: null}
	}
	from, sum := len(dst), uint64(saltArray)
	for _, sp := range s.spans {
		dst = append(append(dst, ','), sp.raw...)
		sum = mix(sum, sp.sum)
	}
	if len(s.spans) == 0 {
		dst = append(dst, ',')
	}
	dst[from] = '['
	return append(dst, ']'), content{hashed, array, sum}
}

// span is one value of an array that is put together.
type span struct {
	raw []byte
	sum uint64
}

func (s *State) placed(sum uint64) bool {
	for i := range s.spans {
		if s.spans[i].sum == sum {
			return true
		}
	}
	return false
}

// place moves a value to the end of the array, or takes it out.
func (s *State) place(sp span, there bool) {
	for i := range s.spans {
		if s.spans[i].sum == sp.sum {
			s.spans = append(s.spans[:i], s.spans[i+1:]...)
			break
		}
	}
	if there {
		s.spans = append(s.spans, sp)
	}
}

// trimElements keeps few enough of them. The oldest become part of the array: what is older than they
// are is older than the array.
func (s *State) trimElements(f *field) {
	e := f.ext
	size := 0
	for i := range e.elements {
		size += len(e.elements[i].raw)
	}
	for len(e.elements) > maxElements || size > maxElemSize {
		oldest := 0
		for i := range e.elements {
			if e.elements[i].by.time < e.elements[oldest].by.time {
				oldest = i
			}
		}
		by := e.elements[oldest].by
		size -= len(e.elements[oldest].raw)
		e.elements = append(e.elements[:oldest], e.elements[oldest+1:]...)
		if s.wins(&by, &f.by) {
			f.stand(by)
		}
	}
}
