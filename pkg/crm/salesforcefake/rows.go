package salesforcefake

import (
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// write makes or changes one record, or says why not. It is the one way in for all calls.
func (s *Sandbox) write(c *call, t *table, r *Record, members []member, key *member, raw jsontext.Value) rowAnswer {
	named := ""
	if key != nil {
		named = textOf(key.value)
	}
	switch {
	case chance(s.dice, c.knobs.PLock):
		return s.refuse(c, t.Name, named, raw, wrong("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"))
	case chance(s.dice, c.knobs.PRowError):
		return s.refuse(c, t.Name, named, raw, wrong("FIELD_CUSTOM_VALIDATION_EXCEPTION", "a rule of the org says no"))
	}
	fields, bad := s.check(t, members)
	if bad == nil {
		bad = t.required(r, fields)
	}
	if bad == nil {
		bad = t.unique(r, fields)
	}
	if bad != nil {
		return s.refuse(c, t.Name, named, raw, bad)
	}
	if key != nil {
		fields[key.name] = key.value
	}
	r, _, created := s.put(t, r, fields, c.user)
	s.remember(Write{Call: c.number, API: c.api, Object: t.Name, ID: r.ID, Key: named, Fields: raw, Created: created, User: c.user})
	return rowAnswer{ID: r.ID, Success: true, Created: &created, Errors: []rowError{}}
}

func (s *Sandbox) refuse(c *call, object, key string, raw jsontext.Value, e *rowError) rowAnswer {
	s.remember(Write{Call: c.number, API: c.api, Object: object, Key: key, Fields: raw, Error: e.StatusCode, User: c.user})
	return refusedRow(e)
}

// unique checks external ids among the fields.
func (t *table) unique(r *Record, fields map[string]jsontext.Value) *rowError {
	for name, value := range fields {
		if t.keys[name] == nil || value.Kind() == 'n' {
			continue
		}
		if other := t.find(name, textOf(value)); other != nil && other != r {
			return wrong("DUPLICATE_VALUE", "duplicate value found: "+name+" duplicates value on record with id: "+other.ID, name)
		}
	}
	return nil
}

// strict plays an org that refuses a whole call for one unknown field.
func (s *Sandbox) strict(c *call, t *table, rows []row) *answer {
	if !c.knobs.StrictCall {
		return nil
	}
	for _, r := range rows {
		for _, m := range r.members {
			if t.field(m.name) == nil && t.field(m.name+"Id") == nil && !strings.EqualFold(m.name, "Id") {
				a := failed(http.StatusBadRequest, "INVALID_FIELD", "No such column '%s' on sobject of type %s", m.name, t.Name)
				return &a
			}
		}
	}
	return nil
}
