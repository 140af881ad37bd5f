package ingest

import (
	"slices"
	"strings"
)

// spellings are the names under which tracking clients send standard attributes, where those are not
// Braze's own.
var spellings = map[string]string{
	"firstName": "first_name", "firstname": "first_name",
	"lastName": "last_name", "lastname": "last_name",
	"birthday": "dob", "avatar": "image_url",
}

// countryName is the custom attribute for a country that is not said by its code.
const countryName = "country_name"

// attributes makes of an identify's traits what Braze calls attributes. A trait that is null is to be
// removed. Whatever Braze does not know by name goes on as a custom attribute, as it was sent as far as
// Braze takes it (tidy.go); so does a birthday or an avatar of a form that Braze would not take. A trait of
// such a form that has Braze's own name already, such as a gender, is left out: attribute-sync would refuse
// all of the change for it. Only a country that is no code is kept, under a name of its own.
func attributes(s *scanner, traits []byte) (set []byte, unset []string) {
	if traits == nil {
		return nil, nil
	}
	t := traitsOf{known: make([][]byte, len(standard)), rest: openObject(len(traits) + 64)}
	s.reset(traits)
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		t.take(name, s.raw())
	}
	if t.country != nil && t.known[countryAt] == nil {
		t.renamed = true
		t.custom(countryName, t.country)
	}
	return collect(t.known, &t.rest, t.unset)
}

// traitsOf are traits on their way to attributes.
type traitsOf struct {
	known   [][]byte // values of standard attributes as JSON, in their order
	rest    object   // custom attributes
	unset   []string
	country []byte // a country that is no code, as JSON
	renamed bool   // two traits may have one name now
}

var countryAt = slices.Index(standard[:], "country")

func (t *traitsOf) take(said string, value []byte) {
	name := tidyName(said)
	t.renamed = t.renamed || name != said
	if name == "address" && string(value) != "null" {
		t.address(value)
		return
	}
	field, respelled := spellings[name]
	if !respelled {
		field = name
	}
	i := slices.Index(standard[:], field)
	switch {
	case name == "", isInstruction(name), name == "email_subscription_info": // which Braze does not take
	case i < 0:
		t.custom(name, value)
	case t.standard(i, value, respelled) || !respelled || string(value) == `""`: // which says nothing
	default:
		t.custom(name, value)
	}
}

// standard takes a value for a standard attribute, and reports whether Braze would take it for one. What
// comes under a client's spelling goes before what is there already.
func (t *traitsOf) standard(i int, value []byte, respelled bool) bool {
	fitted := fit(standard[i], value)
	switch {
	case fitted != nil && (respelled || t.known[i] == nil):
		t.known[i] = fitted
	case fitted == nil && i == countryAt && t.country == nil && value[0] == '"' && len(value) > 2:
		t.country, _ = tidy(value, 0)
	}
	return fitted != nil
}

// custom takes a custom attribute. Of two that have come to one name the first stands.
func (t *traitsOf) custom(name string, value []byte) {
	if t.renamed && (t.rest.has(name) || slices.Contains(t.unset, name)) {
		return
	}
	if string(value) == "null" {
		t.unset = append(t.unset, strings.Clone(name))
		return
	}
	if value, ok := tidy(value, 0); ok {
		t.rest.member(name, value)
	}
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
func (t *traitsOf) address(value []byte) {
	if value[0] != '{' {
		t.custom("address", value)
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
		if field != "home_city" && field != "country" {
			more = true
			continue
		}
		t.standard(slices.Index(standard[:], field), v, false)
	}
	if more {
		t.custom("address", value)
	}
}

// company makes of a group its members' attribute about it: {"company": {"id": …, its traits…}}.
func company(s *scanner, groupID string, traits []byte) []byte {
	id := appendQuoted(nil, clip(groupID))
	whole := openObject(len(traits) + len(groupID) + 16)
	whole.member("id", id)
	if traits != nil {
		s.reset(traits)
		for base, first := s.object(), true; s.member(base, first); first = false {
			name := s.name
			if value := s.raw(); name != "id" {
				whole.member(name, value)
			}
		}
	}
	inner, ok := tidy(whole.close(), 0)
	if !ok { // far too much of it
		inner = append(append([]byte(`{"id":`), id...), '}')
	}
	outer := openObject(len(inner) + 16)
	outer.member("company", inner)
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

// has reports whether there is a member of that name.
func (o *object) has(name string) bool {
	var s scanner
	s.reset(append(o.bytes[:len(o.bytes):len(o.bytes)], '}'))
	for base, first := s.object(), true; s.member(base, first); first = false {
		if s.name == name {
			return true
		}
		s.value()
	}
	return false
}

func (o *object) comma() {
	if !o.empty() {
		o.bytes = append(o.bytes, ',')
	}
}

func (o *object) close() []byte { return append(o.bytes, '}') }
