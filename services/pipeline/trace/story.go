package trace

import (
	"maps"
	"slices"
)

// story puts what was found in order.
func (f *finder) story(looked []Looked) *Story {
	f.drop()
	s := &Story{Query: f.query.Text, As: f.as, Asked: f.query.As, Earlier: f.earlier, Looked: looked, Laws: []Law{}}
	s.Entries = slices.SortedFunc(maps.Values(f.entries), older)
	f.link(s.Entries)
	keys := map[string]bool{}
	for _, e := range s.Entries {
		if e.Key != "" {
			keys[e.Key] = true
		}
		slices.SortStableFunc(e.Receipts, func(a, b Receipt) int { return a.At.Compare(b.At) })
		slices.SortStableFunc(e.Letters, func(a, b Letter) int { return a.At.Compare(b.At) })
	}
	s.Keys = append([]string{}, slices.Sorted(maps.Keys(keys))...)
	return s
}
