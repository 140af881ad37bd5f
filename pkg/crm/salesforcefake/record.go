package salesforcefake

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// stamp is how the org writes times.
const stamp = "2006-01-02T15:04:05.000+0000"

// document is a record as it is answered.
func (s *Sandbox) document(t *table, r *Record, c *call) map[string]jsontext.Value {
	text := func(s string) jsontext.Value { q, _ := jsontext.AppendQuote(nil, s); return q }
	doc := map[string]jsontext.Value{
		"Id": text(r.ID), "CreatedDate": text(r.Created.Format(stamp)), "LastModifiedDate": text(r.Modified.Format(stamp)),
		"LastModifiedById": text(r.By),
	}
	for _, f := range t.Fields {
		doc[f.Name] = jsontext.Value("null")
	}
	maps.Copy(doc, r.Fields)
	for name, value := range doc {
		if f := t.field(name); f != nil && f.Type == Number && value.Kind() == '0' && !slices.Contains(value, '.') {
			doc[name] = append(slices.Clone(value), ".0"...) // as an org writes whole numbers
		}
	}
	url := "/services/data/" + c.r.PathValue("version") + "/sobjects/" + t.Name + "/" + r.ID
	doc["attributes"] = jsontext.Value(`{"type":` + strconv.Quote(t.Name) + `,"url":` + strconv.Quote(url) + `}`)
	return doc
}

func (s *Sandbox) getByID(c *call) answer {
	t := s.table(c.r.PathValue("object"))
	if t == nil {
		return notFound()
	}
	r := t.records[fullID(c.r.PathValue("id"))]
	if r == nil {
		return notFound()
	}
	return answer{status: http.StatusOK, value: s.document(t, r, c)}
}

func (s *Sandbox) getByKey(c *call) answer {
	t, key := s.keyed(c)
	if key == nil {
		return notFound()
	}
	r := t.find(key.Name, c.r.PathValue("key"))
	if r == nil {
		return notFound()
	}
	return answer{status: http.StatusOK, value: s.document(t, r, c)}
}

func (s *Sandbox) keyed(c *call) (*table, *Field) {
	t := s.table(c.r.PathValue("object"))
	if t == nil {
		return nil, nil
	}
	key := t.field(c.r.PathValue("field"))
	if key == nil || !key.ExternalID {
		return nil, nil
	}
	return t, key
}

// upsertOne is PATCH sobjects/Object/Field/key; with updateOnly=true it makes nothing.
func (s *Sandbox) upsertOne(c *call) answer {
	t, key := s.keyed(c)
	if key == nil {
		return notFound()
	}
	members, err := membersOf(c.body)
	if err != nil {
		return noJSON(err)
	}
	c.rows = 1
	quoted, _ := jsontext.AppendQuote(nil, c.r.PathValue("key"))
	value, bad := s.value(key, quoted)
	if bad != nil {
		return single(bad)
	}
	r := t.find(key.Name, textOf(value))
	if r == nil && c.r.URL.Query().Get("updateOnly") == "true" {
		return notFound()
	}
	row := row{members: members}
	for _, name := range []string{"Id", key.Name} {
		if _, has := row.take(name); has {
			return single(wrong("INVALID_FIELD", "the body has the field "+name, name))
		}
	}
	a := s.write(c, t, r, row.members, &member{key.Name, value}, c.body)
	if !a.Success {
		return single(&a.Errors[0])
	}
	if *a.Created {
		return answer{status: http.StatusCreated, value: a}
	}
	return answer{status: http.StatusOK, value: a}
}

// updateOne is PATCH sobjects/Object/id, which may ask that nobody has changed the record meanwhile.
func (s *Sandbox) updateOne(c *call) answer {
	t := s.table(c.r.PathValue("object"))
	if t == nil {
		return notFound()
	}
	r := t.records[fullID(c.r.PathValue("id"))]
	if r == nil {
		return notFound()
	}
	if text := c.r.Header.Get("If-Unmodified-Since"); text != "" {
		since, err := http.ParseTime(text)
		if err != nil || r.Modified.Truncate(time.Second).After(since) {
			return failed(http.StatusPreconditionFailed, "PRECONDITION_FAILED", "the record has been changed")
		}
	}
	members, err := membersOf(c.body)
	if err != nil {
		return noJSON(err)
	}
	c.rows = 1
	if a := s.write(c, t, r, members, nil, c.body); !a.Success {
		return single(&a.Errors[0])
	}
	return answer{status: http.StatusNoContent}
}

// single is the answer for one record that is refused.
func single(e *rowError) answer {
	return answer{status: http.StatusBadRequest, value: []fault{{Message: e.Message, Code: e.StatusCode, Fields: e.Fields}}}
}
