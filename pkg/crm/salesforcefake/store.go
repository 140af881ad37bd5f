package salesforcefake

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Record is a record of the org. Values are JSON; a field that is empty is not there.
type Record struct {
	Object   string
	ID       string // 18 characters
	Fields   map[string]jsontext.Value
	Created  time.Time
	Modified time.Time
	By       string // who changed it last
	Version  int64  // grows with every change in the org
}

func (r *Record) clone() Record {
	c := *r
	c.Fields = make(map[string]jsontext.Value, len(r.Fields))
	for name, value := range r.Fields {
		c.Fields[name] = slices.Clone(value)
	}
	return c
}

// Text is a field's value without quotes; empty for an empty field.
func (r *Record) Text(field string) string { return textOf(r.Fields[field]) }

func textOf(value jsontext.Value) string {
	if value.Kind() != '"' {
		return string(value)
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return ""
	}
	return string(text)
}

// keyOf is how an external id is compared.
func keyOf(value jsontext.Value) string { return strings.ToLower(textOf(value)) }

// find returns the record that has an external id.
func (t *table) find(field, key string) *Record {
	id, ok := t.keys[field][strings.ToLower(key)]
	if !ok {
		return nil
	}
	return t.records[id]
}

// put makes or changes a record by fields that have been checked, and returns it with those that are different now.
func (s *Sandbox) put(t *table, r *Record, fields map[string]jsontext.Value, actor string) (*Record, map[string]jsontext.Value, bool) {
	created := r == nil
	now := s.opts.Now().UTC().Truncate(time.Millisecond)
	if created {
		r = &Record{Object: t.Name, ID: s.newID(t.Prefix), Fields: map[string]jsontext.Value{}, Created: now}
		t.records[r.ID] = r
		t.order = append(t.order, r.ID)
	}
	changed := map[string]jsontext.Value{}
	for name, value := range fields {
		before, had := r.Fields[name]
		empty := value.Kind() == 'n'
		if empty && !had || had && !empty && string(before) == string(value) {
			continue
		}
		changed[name] = value
		if keys := t.keys[name]; keys != nil {
			if had {
				delete(keys, keyOf(before))
			}
			if !empty {
				keys[keyOf(value)] = r.ID
			}
		}
		if empty {
			delete(r.Fields, name)
		} else {
			r.Fields[name] = value
		}
	}
	if created || len(changed) > 0 {
		s.seq++
		r.Modified, r.By, r.Version = now, actor, s.seq
		s.tell(Change{
			Seq: s.seq, Object: t.Name, ID: r.ID, Fields: maps.Clone(changed), Actor: actor, Created: created, At: now,
		})
	}
	return r, changed, created
}

// newID makes an id as Salesforce's are: prefix, instance, number, and three characters that say which are capitals.
func (s *Sandbox) newID(prefix string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	s.ids[prefix]++
	n := s.ids[prefix]
	id := []byte(prefix + "5e0000000000")
	for i := len(id) - 1; n > 0; i-- {
		id[i] = digits[n%62]
		n /= 62
	}
	return fullID(string(id))
}

// fullID makes 18 characters of an id of 15.
func fullID(id string) string {
	if len(id) != 15 {
		return id
	}
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
	for group := 0; group < 15; group += 5 {
		sum := 0
		for i := range 5 {
			if c := id[group+i]; c >= 'A' && c <= 'Z' {
				sum |= 1 << i
			}
		}
		id += string(digits[sum])
	}
	return id
}
