package salesforcefake

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

func (s *Sandbox) refers(f *Field, id string) bool {
	for _, object := range f.Refers {
		if t := s.table(object); t != nil && t.records[id] != nil {
			return true
		}
	}
	return false
}

// relation reads a parent that is named by an external id of its own: {"Who": {"attributes": {"type": "Contact"}, "Key__c": "…"}}.
func (s *Sandbox) relation(t *table, m member) (*Field, jsontext.Value, *rowError) {
	f := t.field(m.name + "Id")
	if f == nil || f.Type != Reference {
		return nil, m.value, nil
	}
	members, err := membersOf(m.value)
	if err != nil {
		return nil, nil, wrong("INVALID_FIELD", m.name+": no relationship")
	}
	object := f.Refers[0]
	var key *member
	for i := range members {
		if members[i].name == "attributes" {
			object = typeOf(members[i].value)
			continue
		}
		key = &members[i]
	}
	parent := s.table(object)
	if key == nil || len(members) > 2 || parent == nil || parent.field(key.name) == nil || !parent.field(key.name).ExternalID {
		return nil, nil, wrong("INVALID_FIELD", fmt.Sprintf("%s: a parent is named by one external id", m.name))
	}
	r := parent.find(parent.field(key.name).Name, textOf(key.value))
	if r == nil {
		return nil, nil, wrong("INVALID_FIELD", fmt.Sprintf("Foreign key external ID: %s not found for field %s in entity %s", textOf(key.value), key.name, object))
	}
	return f, jsontext.Value(strconv.Quote(r.ID)), nil
}

// typeOf is the type in attributes.
func typeOf(attributes jsontext.Value) string {
	members, err := membersOf(attributes)
	if err != nil {
		return ""
	}
	for _, m := range members {
		if m.name == "type" {
			return textOf(m.value)
		}
	}
	return ""
}
