package loyaltyfake

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// refusal is why something is not taken.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func refused(status int, code, message string) reply { return reply{status, refusal{code, message}} }

type fields = map[string]jsontext.Value

// check says what is wrong with fields; nil for nothing.
func check(f fields) *refusal {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		value := f[name]
		wrong := ""
		switch name {
		case "points":
			if n, err := strconv.ParseInt(string(value), 10, 64); err != nil || n < 0 {
				wrong = "a whole number, not below 0"
			}
		case "tier":
			if !slices.Contains([]string{`"bronze"`, `"silver"`, `"gold"`}, string(value)) {
				wrong = "bronze, silver or gold"
			}
		case "email_opt_in":
			if k := value.Kind(); k != 't' && k != 'f' && k != 'n' {
				wrong = "true or false"
			}
		case "name":
			if k := value.Kind(); k != '"' && k != 'n' || len(value) > 200 {
				wrong = "a text of at most 200 bytes"
			}
		default:
			return &refusal{"unknown_field", "there is no field " + name}
		}
		if wrong != "" {
			return &refusal{"invalid_" + name, name + " must be " + wrong}
		}
	}
	return nil
}

// write sets fields that were checked, and tells who listens of those that are others now. The lock is held.
func (s *Sandbox) write(m *Member, made bool, f fields, w Write) {
	changed := fields{}
	for name, value := range f {
		_, had := m.Fields[name]
		switch {
		case value.Kind() == 'n' && had:
			delete(m.Fields, name)
			changed[name] = value
		case value.Kind() != 'n' && !bytes.Equal(m.Fields[name], value):
			m.Fields[name] = value
			changed[name] = value
		}
	}
	if len(changed) > 0 || made {
		m.Version++
	}
	w.ID, w.Fields, w.New, w.At = m.ID, f, made, s.options.Now().UTC()
	s.writes = append(s.writes, w)
	if most := s.options.MaxWrites; most > 0 && len(s.writes) > most {
		s.writes = slices.Delete(s.writes, 0, len(s.writes)-most)
	}
	if len(changed) > 0 {
		s.tell(m, changed, w.Actor)
	}
}

// member is the one with the id, made where it is missing.
func (s *Sandbox) member(id string) (m *Member, made bool) {
	if m = s.members[id]; m != nil {
		return m, false
	}
	m = &Member{ID: id, Fields: fields{}}
	s.members[id] = m
	return m, true
}

func (m *Member) clone() Member { return Member{m.ID, maps.Clone(m.Fields), m.Version} }

func (s *Sandbox) put(c *call) reply   { return s.one(c, true) }
func (s *Sandbox) patch(c *call) reply { return s.one(c, false) }

func (s *Sandbox) one(c *call, create bool) reply {
	var f fields
	if err := decode(c.body, &f); err != nil {
		return refused(http.StatusBadRequest, "not_json", err.Error())
	}
	id := c.r.PathValue("id")
	if s.members[id] == nil && !create {
		return refused(http.StatusNotFound, "no_member", "there is no member "+id)
	}
	if wrong := check(f); wrong != nil {
		return reply{http.StatusUnprocessableEntity, *wrong}
	}
	m, made := s.member(id)
	s.write(m, made, f, Write{Call: c.number, IdempotencyKey: c.key, Actor: s.options.Actor})
	status := http.StatusOK
	if made {
		status = http.StatusCreated
	}
	return reply{status, m.clone()}
}

func (s *Sandbox) get(c *call) reply {
	m := s.members[c.r.PathValue("id")]
	if m == nil {
		return refused(http.StatusNotFound, "no_member", "there is no such member")
	}
	return reply{http.StatusOK, m.clone()}
}

// maxBatch is how many members a batch may have.
const maxBatch = 50

type rowResult struct {
	ID      string `json:"id"`
	Status  string `json:"status"` // ok, error or missing
	Code    string `json:"code,omitzero"`
	Message string `json:"message,omitzero"`
	Version int64  `json:"version,omitzero"`
}

func (s *Sandbox) batch(c *call) reply {
	var body struct {
		Mode    string   `json:"mode"`
		Members []fields `json:"members"`
	}
	if err := json.Unmarshal(c.body, &body, json.RejectUnknownMembers(true)); err != nil {
		return refused(http.StatusBadRequest, "not_json", err.Error())
	}
	if n := len(body.Members); n == 0 || n > maxBatch {
		return refused(http.StatusBadRequest, "batch_size", fmt.Sprintf("a batch has 1 to %d members", maxBatch))
	}
	if body.Mode != "upsert" && body.Mode != "update" {
		return refused(http.StatusBadRequest, "mode", "mode is upsert or update")
	}
	ids := make([]string, len(body.Members))
	for i, f := range body.Members {
		if err := json.Unmarshal(f["id"], &ids[i]); err != nil || ids[i] == "" || slices.Contains(ids[:i], ids[i]) {
			return refused(http.StatusBadRequest, "id", "every member has an id of its own")
		}
	}
	results := make([]rowResult, len(ids))
	for i, f := range body.Members {
		f = maps.Clone(f)
		delete(f, "id")
		wrong := check(f)
		switch {
		case s.members[ids[i]] == nil && body.Mode == "update":
			results[i] = rowResult{ID: ids[i], Status: "missing"}
		case wrong != nil:
			results[i] = rowResult{ID: ids[i], Status: "error", Code: wrong.Code, Message: wrong.Message}
		default:
			m, made := s.member(ids[i])
			s.write(m, made, f, Write{Call: c.number, IdempotencyKey: c.key, Actor: s.options.Actor})
			results[i] = rowResult{ID: ids[i], Status: "ok", Version: m.Version}
		}
	}
	return reply{http.StatusOK, map[string]any{"results": results}}
}

func decode(body []byte, f *fields) error {
	if err := json.Unmarshal(body, f); err != nil {
		return fmt.Errorf("reading the body: %w", err)
	}
	if *f == nil {
		return fmt.Errorf("reading the body: it is no object")
	}
	return nil
}
