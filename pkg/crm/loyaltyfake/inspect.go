package loyaltyfake

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Edit sets a member's fields as somebody at the till does, or earned points do, and makes the member where it is
// missing. Who listens is told only of what really changes.
func (s *Sandbox) Edit(id, actor string, f map[string]jsontext.Value) (Member, error) {
	if wrong := check(f); wrong != nil || id == "" {
		if wrong == nil {
			wrong = &refusal{Message: "an id is needed"}
		}
		return Member{}, errors.New("editing: " + wrong.Message)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m, made := s.member(id)
	s.write(m, made, maps.Clone(f), Write{Actor: actor})
	return m.clone(), nil
}

// Member returns the member with an id.
func (s *Sandbox) Member(id string) (Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.members[id]
	if m == nil {
		return Member{}, false
	}
	return m.clone(), true
}

// Writes are the members that were written, in order, people's edits among them.
func (s *Sandbox) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// Calls says how many calls came, whatever became of them: "PUT member", "PATCH member", "GET member", "batch".
func (s *Sandbox) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.calls)
}

func (s *Sandbox) editByHTTP(w http.ResponseWriter, r *http.Request) {
	var e struct {
		ID     string `json:"id"`
		Actor  string `json:"actor"`
		Fields fields `json:"fields"`
	}
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), &e, json.RejectUnknownMembers(true)); err != nil {
		refused(http.StatusBadRequest, "not_json", err.Error()).send(w)
		return
	}
	if e.Actor == "" {
		e.Actor = "till"
	}
	m, err := s.Edit(e.ID, e.Actor, e.Fields)
	if err != nil {
		refused(http.StatusUnprocessableEntity, "invalid", err.Error()).send(w)
		return
	}
	reply{http.StatusOK, m}.send(w)
}

func (s *Sandbox) writesByHTTP(w http.ResponseWriter, _ *http.Request) {
	reply{http.StatusOK, map[string]any{"writes": s.Writes()}}.send(w)
}
