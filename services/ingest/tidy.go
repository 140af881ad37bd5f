package ingest

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxText is how many characters Braze takes in a text, and in a name (braze-docs: custom attributes).
const maxText = 255

// maxNested is the size of a custom attribute that is an object (braze-docs: nested custom attributes).
const maxNested = 50 << 10

// tidy makes of a custom attribute's value one that Braze takes. Clients of the tracking API cannot be told
// what is wrong with theirs, and attribute-sync would refuse all that came with it. Texts are cut at 255
// characters; within objects and arrays nulls are dropped, and in names underscores stand for blanks; of an
// array that mixes objects with other things the kind of the first is kept. Operators stay as they are. It
// reports false where nothing is left, or too much.
func tidy(value []byte, depth int) ([]byte, bool) {
	switch c := value[0]; c {
	case '"':
		if len(value)-2 <= maxText {
			return value, true
		}
		text, ok := textOf(value)
		if !tooManyCharacters(text, maxText) {
			return value, ok
		}
		return appendQuoted(nil, clip(text)), ok
	case '{':
		if is, whole := operation(value); is && depth == 0 {
			return value, whole
		}
		tidied := tidyObject(value, depth)
		return tidied, depth > 0 || len(tidied) <= maxNested
	case '[':
		return tidyArray(value, depth), true
	case 't', 'f':
		return value, true
	case 'n':
		return nil, false
	}
	_, err := strconv.ParseFloat(alias(value), 64)
	return value, err == nil // 1e400 is no number to anybody
}

func tidyObject(value []byte, depth int) []byte {
	var s scanner
	s.reset(value)
	o, seen := openObject(len(value)), map[string]bool{}
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		v := s.raw()
		if name == "$time" {
			text, _ := textOf(v)
			if m := parseMoment(text); m.known() && m.Year() <= 3000 {
				o.member(name, appendQuoted(nil, m.Format("2006-01-02T15:04:05Z")))
			}
			continue
		}
		name = strings.ReplaceAll(tidyName(name), " ", "_")
		if v, ok := tidy(v, depth+1); ok && name != "" && !seen[name] {
			seen[name] = true
			o.member(name, v)
		}
	}
	return o.close()
}

func tidyArray(value []byte, depth int) []byte {
	var s scanner
	s.reset(value)
	kept := append(make([]byte, 0, len(value)), '[')
	objects := false
	for first := s.open(); s.element(first); first = false {
		v, ok := tidy(s.raw(), depth+1)
		switch {
		case !ok:
			continue
		case depth > 0:
		case v[0] == '[', len(kept) > 1 && (v[0] == '{') != objects:
			continue
		}
		if len(kept) > 1 {
			kept = append(kept, ',')
		}
		objects = v[0] == '{'
		kept = append(kept, v...)
	}
	return append(kept, ']')
}

// tidyName is a name that Braze takes, or nothing.
func tidyName(name string) string {
	name = strings.TrimSpace(strings.TrimLeft(name, "$ "))
	if !printable(name) || tooManyCharacters(name, maxText) {
		return ""
	}
	return name
}

// operation reports whether an object is what Braze takes for a change to a value, and not for a value, and
// whether it is a whole one: what is to be added to a number, or to an array and taken from it. Changes to
// arrays of objects are left to attribute-sync to look at.
func operation(value []byte) (is, whole bool) {
	var s scanner
	s.reset(value)
	names, objects := 0, false
	is, whole = true, true
	for base, first := s.object(), true; s.member(base, first); first = false {
		names++
		switch s.name {
		case "inc":
			whole = s.step().why == fine && whole
			continue
		case "add", "remove":
			whole = s.scalars().why == fine && whole
			continue
		case "$add", "$remove", "$update":
			objects = true
		default:
			is = false
		}
		s.value()
	}
	return is && names > 0, objects || whole
}

// clip is a text of at most as many characters as Braze takes.
func clip(text string) string {
	if !tooManyCharacters(text, maxText) {
		return text
	}
	n := 0
	for range maxText {
		_, size := utf8.DecodeRuneInString(text[n:])
		n += size
	}
	return text[:n]
}
