package salesforcefake

import (
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Edit changes a record by hand: as Person when actor is empty. Fields is a JSON object; null empties a field.
func (s *Sandbox) Edit(actor, object, id string, fields jsontext.Value) error {
	return s.byHand(actor, object, id, fields)
}

// Insert makes a record by hand, and returns its id.
func (s *Sandbox) Insert(actor, object string, fields jsontext.Value) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table(object)
	if t == nil {
		return "", &EditError{Code: "INVALID_TYPE", Message: "no such object"}
	}
	r, err := s.manual(t, nil, actor, fields)
	if err != nil {
		return "", err
	}
	return r.ID, nil
}

// Delete removes a record. Nobody is told: an outbound message tells of records that there are.
func (s *Sandbox) Delete(object, id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table(object)
	if t == nil {
		return false
	}
	r := t.records[fullID(id)]
	if r == nil {
		return false
	}
	for name, keys := range t.keys {
		delete(keys, keyOf(r.Fields[name]))
	}
	delete(t.records, r.ID)
	t.order = slices.DeleteFunc(t.order, func(id string) bool { return id == r.ID })
	return true
}

func (s *Sandbox) byHand(actor, object, id string, fields jsontext.Value) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table(object)
	if t == nil {
		return &EditError{Code: "INVALID_TYPE", Message: "no such object"}
	}
	r := t.records[fullID(id)]
	if r == nil {
		return &EditError{Code: "NOT_FOUND", Message: "no such record"}
	}
	_, err := s.manual(t, r, actor, fields)
	return err
}

// EditError is why an edit by hand is refused.
type EditError struct{ Code, Message string }

// Error is the code and the sentence.
func (e *EditError) Error() string { return "editing a record: " + e.Code + ": " + e.Message }

func (s *Sandbox) manual(t *table, r *Record, actor string, text jsontext.Value) (*Record, error) {
	members, err := membersOf(text)
	if err != nil {
		return nil, &EditError{Code: "JSON_PARSER_ERROR", Message: err.Error()}
	}
	fields, bad := s.check(t, members)
	if bad == nil {
		bad = t.required(r, fields)
	}
	if bad == nil {
		bad = t.unique(r, fields)
	}
	if bad != nil {
		return nil, &EditError{Code: bad.StatusCode, Message: bad.Message}
	}
	if actor == "" {
		actor = Person
	}
	r, _, _ = s.put(t, r, fields, actor)
	return r, nil
}

// Find returns the record of an external id.
func (s *Sandbox) Find(object, field, key string) (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table(object)
	if t == nil {
		return Record{}, false
	}
	r := t.find(field, key)
	if r == nil {
		return Record{}, false
	}
	return r.clone(), true
}

// Records returns an object's records in the order in which they were made.
func (s *Sandbox) Records(object string) []Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table(object)
	if t == nil {
		return nil
	}
	all := make([]Record, 0, len(t.order))
	for _, id := range t.order {
		all = append(all, t.records[id].clone())
	}
	return all
}

// JSON is a record's fields as one object, sorted by name.
func (r *Record) JSON() jsontext.Value {
	text, err := json.Marshal(r.Fields, json.Deterministic(true))
	if err != nil {
		return jsontext.Value("{}")
	}
	return text
}
