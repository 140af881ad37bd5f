package profile

import (
	"strconv"
	"time"
)

// stamp is by whom and when a field was written.
type stamp struct {
	source    int32 // index in State.sources; nobody when nothing was written yet
	versioned bool
	version   int64 // the source's own
	time      int64 // milliseconds since 1970, by the source's clock
}

// nobody is the source of what was never written.
const nobody = -1

// wins reports whether a write takes the place of another that came earlier on the topic. Within a source
// the version decides, or the time where one of them has no version; of equals the later on the topic is
// the newer. Between sources the time decides, and the name where that is equal, so that any order of
// arrival ends the same.
func (s *State) wins(w, over *stamp) bool {
	switch {
	case over.source == nobody:
		return true
	case w.source == over.source && w.versioned && over.versioned:
		return w.version >= over.version
	case w.source == over.source || w.time != over.time:
		return w.time >= over.time
	}
	return s.sources[w.source] > s.sources[over.source]
}

// ownStale returns the newest versioned write of the same source, if the one at hand is older. It is
// remembered even while another source's write stands: else a source's old version could come back after
// the other's.
func (f *field) ownStale(w *stamp) *stamp {
	for i := range f.versions {
		v := &f.versions[i]
		if v.source != w.source {
			continue
		}
		if w.versioned && w.version < v.version || !w.versioned && w.time < v.time {
			return v
		}
	}
	return nil
}

// standing returns the write that a whole value loses against, or nil. What stands by anybody but the
// owner does not count: it is from before there was one.
func (s *State) standing(f *field, w *stamp, owner string) *stamp {
	if own := f.ownStale(w); own != nil {
		return own
	}
	if s.foreign(f, owner) || s.wins(w, &f.by) {
		if f.ext != nil && f.ext.kind == extObjects && !s.wins(w, &f.ext.newest) {
			return &f.ext.newest
		}
		return nil
	}
	return &f.by
}

// sameClock lets a newer version of a source count as late as its older ones did: what another source has
// lost against the old one it must not win against the new one, else it would matter which came first.
func (f *field) sameClock(w *stamp) {
	if !w.versioned {
		return
	}
	if f.by.source == w.source && f.by.versioned && f.by.version <= w.version {
		w.time = max(w.time, f.by.time)
	}
	for i := range f.versions {
		if v := &f.versions[i]; v.source == w.source && v.version <= w.version {
			w.time = max(w.time, v.time)
		}
	}
}

// foreign reports whether a field has an owner who did not write what stands.
func (s *State) foreign(f *field, owner string) bool {
	return owner != "" && f.by.source != nobody && s.sources[f.by.source] != owner
}

// stand puts a write in the place of the one that stands, and remembers the version of that one.
func (f *field) stand(w stamp) {
	old := f.by
	f.by = w
	if w.versioned {
		f.forgetVersion(w.source)
	}
	if old.source != nobody && old.versioned && (old.source != w.source || !w.versioned) {
		f.remember(old)
	}
}

// remember keeps the newest versioned write of a source. When there are too many sources, the one whose
// write is oldest is forgotten: only its own stale writes could profit, and only those that are newer than
// what stands.
func (f *field) remember(v stamp) {
	oldest := -1
	for i := range f.versions {
		if known := &f.versions[i]; known.source == v.source {
			if known.version <= v.version {
				*known = v
			}
			return
		}
		if oldest < 0 || f.versions[i].time < f.versions[oldest].time {
			oldest = i
		}
	}
	if len(f.versions) < maxVersions {
		f.versions = append(f.versions, v)
		return
	}
	f.versions[oldest] = v
}

func (f *field) forgetVersion(source int32) {
	for i := range f.versions {
		if f.versions[i].source == source {
			f.versions = append(f.versions[:i], f.versions[i+1:]...)
			return
		}
	}
}

// story says who wrote something, for a person.
func (s *State) story(by *stamp) string {
	text := s.sources[by.source] + " wrote it at " + time.UnixMilli(by.time).UTC().Format("2006-01-02T15:04:05.000Z")
	if by.versioned {
		text += " as version " + strconv.FormatInt(by.version, 10)
	}
	return text
}
