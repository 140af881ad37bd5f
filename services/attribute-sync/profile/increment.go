package profile

import "math"

// increment applies a write that adds to an integer. The order of increments does not matter, only
// whether they are newer than the value they add to; they are kept for a value that comes late.
func (s *State) increment(f *field, w *write, by stamp, record int32) (applied bool) {
	if s.declinedOld(f, w, &by, record) {
		return false
	}
	is := s.current(f)
	if is.shape != integer && is.shape != null && is.shape != anything {
		s.decline(w, record, DeclinedWrongType, "it is "+is.shape.with())
		return false
	}
	if f.ext == nil || f.ext.kind != extIncs {
		f.ext = s.newExt(extIncs)
	}
	total := int64(0)
	if is.kind == whole {
		total = int64(is.bits)
	}
	fits := true
	for i := range f.ext.incs {
		if in := &f.ext.incs[i]; in.record != none || f.pend != none && s.pending[f.pend].whole {
			total, fits = plus(total, in.n, fits)
		}
	}
	if _, fits = plus(total, w.n, fits); !fits {
		if len(f.ext.incs) == 0 {
			f.ext = nil
		}
		s.decline(w, record, DeclinedWrongType, "the sum would be no integer of 64 bits")
		return false
	}
	f.ext.incs = append(f.ext.incs, inc{n: w.n, by: by, record: record})
	s.touch(f, w.name)
	return true
}

// plus adds, as long as there is room.
func plus(a, b int64, fits bool) (int64, bool) {
	if b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b {
		return a, false
	}
	return a + b, fits
}

// trimIncs keeps few enough of them. The oldest become part of the value: what is older than they are is
// older than the value.
func (s *State) trimIncs(f *field) {
	e := f.ext
	for len(e.incs) > maxIncs {
		oldest := 0
		for i := range e.incs {
			if e.incs[i].by.time < e.incs[oldest].by.time {
				oldest = i
			}
		}
		by := e.incs[oldest].by
		e.incs = append(e.incs[:oldest], e.incs[oldest+1:]...)
		if s.wins(&by, &f.by) {
			f.stand(by)
		}
	}
}
