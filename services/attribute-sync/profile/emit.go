package profile

import (
	"cmp"
	"slices"

	"github.com/sluicehq/sluice/pkg/braze"
)

// difference is a Difference in the making.
type difference struct {
	Difference
	number  uint64
	out     []byte
	subs    []byte // members of subscription_groups
	from    int    // where the first object begins in out
	points  int64  // of the object being written
	later   []later
	touched bool
}

// later is an operator on an array of objects that must stand in an object of its own.
type later struct {
	level  int
	merges bool
	name   *name
	change *change
}

// elements writes those that wait to be added, or to be removed.
func (d *difference) elements(name string, elements []element, adding bool) {
	open := false
	for i := range elements {
		el := &elements[i]
		if el.record == none || el.add != adding || el.has == wanted(adding) {
			continue
		}
		if !open {
			open = true
			d.out = append(append(append(d.out, '"'), name...), `":[`...)
		}
		d.out = append(append(d.out, el.raw...), ',')
	}
	if open {
		d.out = append(d.out[:len(d.out)-1], "],"...)
	}
}

// member begins a member of the object being written.
func (d *difference) member(n *name, points int64) {
	d.touch(points)
	if len(d.out) > d.from+1 {
		d.out = append(d.out, ',')
	}
	d.out = append(braze.AppendString(d.out, n.text), ':')
}

func (d *difference) touch(points int64) {
	d.touched = true
	d.points += points
}

// finish writes what is left and closes the objects.
func (s *State) finish(d *difference) {
	if n := len(d.subs); n > 0 {
		if len(d.out) > 1 {
			d.out = append(d.out, ',')
		}
		d.out = append(append(d.out, `"subscription_groups":[`...), d.subs[:n-1]...)
		d.out = append(d.out, ']')
	}
	d.close(false)
	slices.SortStableFunc(d.later, func(a, b later) int {
		if a.level == b.level && a.merges != b.merges {
			if a.merges {
				return 1
			}
			return -1
		}
		return cmp.Compare(a.level, b.level)
	})
	for i := range d.later {
		l := &d.later[i]
		if i > 0 && (l.level != d.later[i-1].level || l.merges != d.later[i-1].merges) {
			d.close(d.later[i-1].merges)
		}
		if l.merges && len(d.out) == d.from+1 {
			d.out = append(d.out, `"_merge_objects":true`...)
		}
		s.part(l.name, l.change, len(d.Objects))
		d.member(l.name, l.change.points)
		d.out = l.change.AppendBody(d.out)
		if i == len(d.later)-1 {
			d.close(l.merges)
		}
	}
}

// part remembers with which object a change goes out, for each of the events that it is made of.
func (s *State) part(n *name, c *change, object int) {
	for _, p := range c.parts {
		cause := &s.records[p.record].cause
		id := eventID(cause.Source, cause.ID, n.text)
		for i := s.newIDs; i < len(s.ids); i++ {
			if s.ids[i].id == id {
				s.ids[i].part = object
			}
		}
	}
}

// close ends the object being written, if anything stands in it, and begins another.
func (d *difference) close(merges bool) {
	if len(d.out) == d.from+1 {
		return
	}
	d.out = append(d.out, '}')
	d.Objects = append(d.Objects, Object{Attributes: d.out[d.from:len(d.out):len(d.out)], Points: d.points, Merges: merges})
	d.Points += d.points
	d.from, d.points = len(d.out), 0
	d.out = append(d.out, '{')
}
