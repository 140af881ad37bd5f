package ingest

import (
	"slices"
	"strings"
)

// standard are the attributes that Braze knows by name (braze-docs: user attributes object), as far as
// a trait can become one. Their order is that in which they are written.
var standard = [...]string{"email", "phone", "first_name", "last_name", "dob", "home_city", "country", "gender", "image_url"}

// spellings are the names under which tracking clients send them, where those are not Braze's own.
var spellings = map[string]string{
	"firstName": "first_name", "firstname": "first_name",
	"lastName": "last_name", "lastname": "last_name",
	"birthday": "dob", "avatar": "image_url",
}

// attributes makes of an identify's traits what Braze calls attributes. A trait that is null is to be
// removed. Whatever Braze does not know by name goes on as a custom attribute, as it was sent; so does
// a birthday or an avatar of a form that Braze would not take. A trait of such a form that has Braze's
// own name already, such as a gender, is left out.
func attributes(s *scanner, traits []byte) (set []byte, unset []string) {
	if traits == nil {
		return nil, nil
	}
	known := make([][]byte, len(standard)) // values as JSON
	rest := openObject(len(traits) + 64)
	s.reset(traits)
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		value := s.raw()
		if name == "address" && string(value) != "null" {
			address(value, known, &rest)
			continue
		}
		field, respelled := spellings[name]
		if !respelled {
			field = name
		}
		i := slices.Index(standard[:], field)
		switch {
		case isInstruction(name):
		case i < 0 && string(value) == "null":
			unset = append(unset, strings.Clone(name))
		case i < 0:
			rest.member(name, value)
		default:
			fitted := fit(field, value)
			switch {
			case fitted != nil && (respelled || known[i] == nil):
				known[i] = fitted
			case fitted == nil && respelled:
				rest.member(name, value)
			}
		}
	}
	return collect(known, &rest, unset)
}

// collect puts standard attributes in front of the custom ones.
func collect(known [][]byte, rest *object, unset []string) ([]byte, []string) {
	all := openObject(len(rest.bytes) + 256)
	for i, value := range known {
		switch {
		case value == nil:
		case string(value) == "null":
			unset = append(unset, standard[i])
		default:
			all.member(standard[i], value)
		}
	}
	all.append(rest)
	if all.empty() {
		return nil, unset
	}
	return all.close(), unset
}

// isInstruction reports whether Braze would take an attribute of that name for more than a fact about
// the user. Write keys of browsers are public, so nobody may pose as somebody else with one.
func isInstruction(name string) bool {
	return namesAUser(name) || name == "_merge_objects" || name == "push_tokens" || name == "subscription_groups"
}

// address takes city and country out of an address. If there is more to it, it stays a custom attribute
// too.
func address(value []byte, known [][]byte, rest *object) {
	if value[0] != '{' {
		rest.member("address", value)
		return
	}
	var s scanner
	s.reset(value)
	more := false
	for base, first := s.object(), true; s.member(base, first); first = false {
		field := s.name
		if field == "city" {
			field = "home_city"
		}
		v := s.raw()
		i := slices.Index(standard[:], field)
		if field != "home_city" && field != "country" {
			more = true
		} else if fitted := fit(field, v); fitted != nil && known[i] == nil {
			known[i] = fitted
		}
	}
	if more {
		rest.member("address", value)
	}
}

// fit makes of a trait's value one that Braze takes for the attribute, or nil. Numbers become the text
// that was sent.
func fit(field string, value []byte) []byte {
	switch c := value[0]; {
	case c == 'n':
		return value
	case c == '-' || '0' <= c && c <= '9':
		value = append(append([]byte{'"'}, value...), '"')
	case c != '"':
		return nil
	}
	switch field {
	case "dob":
		return birthday(value)
	case "gender":
		return gender(value)
	}
	return value
}

// birthday takes the date out of what may be a point in time.
func birthday(quoted []byte) []byte {
	text := string(quoted[1 : len(quoted)-1])
	if m := parseMoment(text); m.known() {
		return []byte(m.Format(`"2006-01-02"`))
	}
	return nil
}

// gender is one of Braze's letters (braze-docs: user attributes object).
func gender(quoted []byte) []byte {
	switch strings.ToLower(string(quoted[1 : len(quoted)-1])) {
	case "m", "male", "man":
		return []byte(`"M"`)
	case "f", "female", "woman":
		return []byte(`"F"`)
	case "o", "other", "non-binary", "nonbinary":
		return []byte(`"O"`)
	case "n", "n/a", "not applicable":
		return []byte(`"N"`)
	case "p", "prefer not to say":
		return []byte(`"P"`)
	}
	return nil
}

// company makes of a group its members' attribute about it: {"company": {"id": …, its traits…}}.
func company(s *scanner, groupID string, traits []byte) []byte {
	inner := openObject(len(traits) + len(groupID) + 16)
	inner.member("id", appendQuoted(nil, groupID))
	if traits != nil {
		s.reset(traits)
		for base, first := s.object(), true; s.member(base, first); first = false {
			name := s.name
			if value := s.raw(); name != "id" {
				inner.member(name, value)
			}
		}
	}
	outer := openObject(len(inner.bytes) + 16)
	outer.member("company", inner.close())
	return outer.close()
}

// object is a JSON object being written.
type object struct{ bytes []byte }

func openObject(size int) object { return object{append(make([]byte, 0, size), '{')} }

func (o *object) empty() bool { return len(o.bytes) == 1 }

// member adds a member whose value is JSON already.
func (o *object) member(name string, value []byte) {
	o.comma()
	o.bytes = append(appendQuoted(o.bytes, name), ':')
	o.bytes = append(o.bytes, value...)
}

// members adds all those of a JSON object.
func (o *object) members(s *scanner, from []byte) {
	if from == nil {
		return
	}
	s.reset(from)
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		o.member(name, s.raw())
	}
}

// append adds the members of another object that is still open.
func (o *object) append(other *object) {
	if !other.empty() {
		o.comma()
		o.bytes = append(o.bytes, other.bytes[1:]...)
	}
}

func (o *object) comma() {
	if !o.empty() {
		o.bytes = append(o.bytes, ',')
	}
}

func (o *object) close() []byte { return append(o.bytes, '}') }
