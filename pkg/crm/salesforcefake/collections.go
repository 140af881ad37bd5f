package salesforcefake

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// mostRows of a collections call.
const mostRows = 200

// rowAnswer is what a collections call says of a record.
type rowAnswer struct {
	ID      string     `json:"id,omitempty"`
	Success bool       `json:"success"`
	Created *bool      `json:"created,omitempty"` // of an upsert only
	Errors  []rowError `json:"errors"`
}

func refusedRow(e *rowError) rowAnswer { return rowAnswer{Errors: []rowError{*e}} }

// row is a record of a call, taken apart.
type row struct {
	object  string
	members []member // without attributes
	raw     jsontext.Value
}

// rows reads the body of a collections call.
func (c *call) read() ([]row, *answer) {
	var body struct {
		AllOrNone bool             `json:"allOrNone"`
		Records   []jsontext.Value `json:"records"`
	}
	bad := func(a answer) ([]row, *answer) { return nil, &a }
	if err := json.Unmarshal(c.body, &body, json.RejectUnknownMembers(true)); err != nil {
		return bad(noJSON(err))
	}
	switch {
	case body.AllOrNone:
		return bad(failed(http.StatusBadRequest, "INVALID_INPUT", "this sandbox takes allOrNone false only"))
	case len(body.Records) == 0:
		return bad(failed(http.StatusBadRequest, "INVALID_INPUT", "records is missing or empty"))
	case len(body.Records) > mostRows:
		return bad(failed(http.StatusBadRequest, "EXCEEDED_ID_LIMIT",
			"record limit reached. cannot submit more than %d records in this call", mostRows))
	}
	c.rows = len(body.Records)
	rows := make([]row, 0, len(body.Records))
	for i, text := range body.Records {
		members, err := membersOf(text)
		if err != nil {
			return bad(noJSON(fmt.Errorf("record %d: %w", i, err)))
		}
		r := row{raw: text}
		for _, m := range members {
			if m.name == "attributes" {
				r.object = typeOf(m.value)
				continue
			}
			r.members = append(r.members, m)
		}
		if r.object == "" {
			return bad(failed(http.StatusBadRequest, "INVALID_INPUT", "record %d has no attributes with a type", i))
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// take removes a member, whose name is compared without regard to case.
func (r *row) take(name string) (jsontext.Value, bool) {
	for i, m := range r.members {
		if strings.EqualFold(m.name, name) {
			r.members = append(r.members[:i:i], r.members[i+1:]...)
			return m.value, true
		}
	}
	return nil, false
}

// upsertMany is PATCH composite/sobjects/Object/Field.
func (s *Sandbox) upsertMany(c *call) answer {
	t := s.table(c.r.PathValue("object"))
	if t == nil {
		return notFound()
	}
	key := t.field(c.r.PathValue("field"))
	if key == nil || !key.ExternalID {
		return failed(http.StatusNotFound, "NOT_FOUND", "Provided external ID field does not exist or is not accessible: %s", c.r.PathValue("field"))
	}
	rows, bad := c.read()
	if bad != nil {
		return *bad
	}
	if a := s.strict(c, t, rows); a != nil {
		return *a
	}
	seen := map[string]bool{}
	answers := make([]rowAnswer, len(rows))
	for i := range rows {
		answers[i] = s.upsertRow(c, t, key, &rows[i], seen)
	}
	return answer{status: http.StatusOK, value: answers}
}

func (s *Sandbox) upsertRow(c *call, t *table, key *Field, r *row, seen map[string]bool) rowAnswer {
	if !strings.EqualFold(r.object, t.Name) {
		return s.refuse(c, r.object, "", r.raw, wrong("INVALID_INPUT", "the record is not of the type in the URL"))
	}
	raw, ok := r.take(key.Name)
	if !ok || raw.Kind() == 'n' || textOf(raw) == "" {
		return s.refuse(c, t.Name, "", r.raw, wrong("MISSING_ARGUMENT", key.Name+" not specified", key.Name))
	}
	if _, has := r.take("Id"); has {
		return s.refuse(c, t.Name, textOf(raw), r.raw, wrong("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an upsert by external id", "Id"))
	}
	value, bad := s.value(key, raw)
	if bad != nil {
		return s.refuse(c, t.Name, textOf(raw), r.raw, bad)
	}
	text := textOf(value)
	if seen[strings.ToLower(text)] {
		return s.refuse(c, t.Name, text, r.raw, wrong("DUPLICATE_VALUE", "Duplicate external id specified: "+text, key.Name))
	}
	seen[strings.ToLower(text)] = true
	return s.write(c, t, t.find(key.Name, text), r.members, &member{key.Name, value}, r.raw)
}

// updateMany is PATCH composite/sobjects, by id.
func (s *Sandbox) updateMany(c *call) answer {
	return s.each(c, func(t *table, r *row) rowAnswer {
		id, ok := r.take("Id")
		if !ok {
			return s.refuse(c, t.Name, "", r.raw, wrong("MISSING_ARGUMENT", "Id not specified in an update call"))
		}
		full := fullID(textOf(id))
		record := t.records[full]
		if record == nil {
			return s.refuse(c, t.Name, full, r.raw, wrong("ENTITY_IS_DELETED", "entity is deleted"))
		}
		a := s.write(c, t, record, r.members, nil, r.raw)
		a.Created = nil
		return a
	})
}

// createMany is POST composite/sobjects.
func (s *Sandbox) createMany(c *call) answer {
	return s.each(c, func(t *table, r *row) rowAnswer {
		if _, has := r.take("Id"); has {
			return s.refuse(c, t.Name, "", r.raw, wrong("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", "Id"))
		}
		a := s.write(c, t, nil, r.members, nil, r.raw)
		a.Created = nil
		return a
	})
}

func (s *Sandbox) each(c *call, f func(*table, *row) rowAnswer) answer {
	rows, bad := c.read()
	if bad != nil {
		return *bad
	}
	answers := make([]rowAnswer, len(rows))
	for i := range rows {
		t := s.table(rows[i].object)
		if t == nil {
			answers[i] = s.refuse(c, rows[i].object, "", rows[i].raw, wrong("INVALID_TYPE", "sObject type '"+rows[i].object+"' is not supported."))
			continue
		}
		if a := s.strict(c, t, rows[i:i+1]); a != nil {
			return *a
		}
		answers[i] = f(t, &rows[i])
	}
	return answer{status: http.StatusOK, value: answers}
}
