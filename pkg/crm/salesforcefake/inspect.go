package salesforcefake

import (
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// inspection is what can be asked and turned from outside, under /_sandbox/:
//
//	GET   /_sandbox/objects/Contact            its records
//	POST  /_sandbox/objects/Contact?actor=…    a record made by hand
//	PATCH /_sandbox/objects/Contact/003…       an edit by hand; 404, 422
//	GET   /_sandbox/writes, /_sandbox/calls    what came in
//	GET, PATCH /_sandbox/knobs                 what goes wrong
//	POST  /_sandbox/expire-tokens, /_sandbox/turn-day
func (s *Sandbox) inspection() {
	s.mux.HandleFunc("GET /_sandbox/objects/{object}", func(w http.ResponseWriter, r *http.Request) {
		type shown struct {
			ID     string         `json:"id"`
			By     string         `json:"last_modified_by"`
			At     string         `json:"last_modified"`
			Fields jsontext.Value `json:"fields"`
		}
		all := []shown{}
		for _, one := range s.Records(r.PathValue("object")) {
			all = append(all, shown{one.ID, one.By, one.Modified.Format(stamp), one.JSON()})
		}
		send(w, http.StatusOK, all)
	})
	s.mux.HandleFunc("POST /_sandbox/objects/{object}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := inspected(w, r)
		if !ok {
			return
		}
		id, err := s.Insert(r.URL.Query().Get("actor"), r.PathValue("object"), body)
		if err != nil {
			refuseEdit(w, err)
			return
		}
		send(w, http.StatusCreated, map[string]string{"id": id})
	})
	s.mux.HandleFunc("PATCH /_sandbox/objects/{object}/{id}", func(w http.ResponseWriter, r *http.Request) {
		body, ok := inspected(w, r)
		if !ok {
			return
		}
		if err := s.Edit(r.URL.Query().Get("actor"), r.PathValue("object"), r.PathValue("id"), body); err != nil {
			refuseEdit(w, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("GET /_sandbox/writes", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, s.Writes()) })
	s.mux.HandleFunc("GET /_sandbox/calls", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, s.Calls()) })
	s.mux.HandleFunc("GET /_sandbox/knobs", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, s.Knobs()) })
	s.mux.HandleFunc("PATCH /_sandbox/knobs", func(w http.ResponseWriter, r *http.Request) {
		body, ok := inspected(w, r)
		if !ok {
			return
		}
		k := s.Knobs()
		err := readKnobs(body, &k)
		if err == nil {
			err = s.SetKnobs(k)
		}
		if err != nil {
			send(w, http.StatusUnprocessableEntity, map[string]string{"error": err.Error()})
			return
		}
		send(w, http.StatusOK, s.Knobs())
	})
	s.mux.HandleFunc("POST /_sandbox/expire-tokens", func(w http.ResponseWriter, _ *http.Request) {
		s.ExpireTokens()
		w.WriteHeader(http.StatusNoContent)
	})
	s.mux.HandleFunc("POST /_sandbox/turn-day", func(w http.ResponseWriter, _ *http.Request) {
		s.TurnDay()
		w.WriteHeader(http.StatusNoContent)
	})
}

func inspected(w http.ResponseWriter, r *http.Request) (jsontext.Value, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil && !jsontext.Value(body).IsValid() {
		err = errors.New("not JSON")
	}
	if err != nil {
		send(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return nil, false
	}
	return body, true
}

func refuseEdit(w http.ResponseWriter, err error) {
	refused, ok := errors.AsType[*EditError](err)
	if !ok {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	status := http.StatusUnprocessableEntity
	if refused.Code == "NOT_FOUND" || refused.Code == "INVALID_TYPE" {
		status = http.StatusNotFound
	}
	text, _ := json.Marshal(map[string]string{"code": refused.Code, "error": refused.Message})
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
