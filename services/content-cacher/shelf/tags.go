package shelf

import (
	"slices"
	"unique"
)

// tagset is the tags of an item. Most items of a collection have the same few, so that one is kept of each.
type tagset struct{ words []string }

func (t *tagset) has(all []string) bool {
	for _, tag := range all {
		if !slices.Contains(t.words, tag) {
			return false
		}
	}
	return true
}

// tagsets are those that there are, by their words.
type tagsets map[string]*tagset

// most bounds how many are shared: tags that name the item itself are not worth remembering.
const most = 4096

func (s tagsets) of(words []string) *tagset {
	var room [128]byte
	key := room[:0]
	for i, w := range words {
		if i > 0 {
			key = append(key, 0)
		}
		key = append(key, w...)
	}
	if t := s[string(key)]; t != nil {
		return t
	}
	t := &tagset{make([]string, len(words))}
	for i, w := range words {
		t.words[i] = unique.Make(w).Value()
	}
	if len(s) < most {
		s[string(key)] = t
	}
	return t
}
