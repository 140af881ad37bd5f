package hubspotfake

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// Edit is what a person does on the CRM's own pages.
type Edit struct {
	Type       string            `json:"type"`        // contacts when empty
	IDProperty string            `json:"id_property"` // braze_external_id when empty
	Key        string            `json:"key"`
	Properties map[string]string `json:"properties"`
	// UserID is who does it; "48213" when empty. With App the change is the app's own, as if by our own token.
	UserID string `json:"user_id"`
	App    bool   `json:"app"`
}

// Edit makes an edit and returns the object, which is made where it is missing. Only what really changes is told.
func (s *Sandbox) Edit(e Edit) (Object, error) {
	if e.Type == "" {
		e.Type = "contacts"
	}
	if e.IDProperty == "" {
		e.IDProperty = "braze_external_id"
	}
	if e.UserID == "" {
		e.UserID = "48213"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.store.types[e.Type]
	switch {
	case k == nil:
		return Object{}, fmt.Errorf("editing: there are no objects %q", e.Type)
	case k.unique[e.IDProperty] == nil || e.Key == "":
		return Object{}, errors.New("editing: a unique property and its value are needed")
	}
	if wrong := k.checkNames(e.Properties); wrong != "" {
		return Object{}, errors.New("editing: " + wrong)
	}
	o := k.find(e.IDProperty, e.Key)
	made := o == nil
	properties := maps.Clone(e.Properties)
	if made {
		if properties == nil {
			properties = map[string]string{}
		}
		properties[e.IDProperty] = e.Key
	}
	if why := k.check(o, properties); why != nil {
		return Object{}, errors.New("editing: " + why.message)
	}
	now := s.options.Now().UTC()
	if made {
		o = s.store.add(k, now)
	}
	source, sourceID := sourceUI, "userId:"+e.UserID
	if e.App {
		source, sourceID = sourceIntegration, fmt.Sprint(s.options.AppID)
	}
	changed := k.put(o, properties, now)
	s.store.remember(Write{
		Type: k.name, ObjectID: o.ID, IDProperty: e.IDProperty, Key: e.Key, Properties: maps.Clone(e.Properties), New: made, Source: source, At: now,
	})
	s.tell(k, o, changed, made, source, sourceID)
	return o.clone(), nil
}

// Find returns the object that has a value of a unique property; of "" the object with the id.
func (s *Sandbox) Find(objectType, idProperty, key string) (Object, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.store.types[objectType]
	if k == nil {
		return Object{}, false
	}
	o := k.find(idProperty, key)
	if o == nil {
		return Object{}, false
	}
	return o.clone(), true
}

// Objects are all of a kind, by id.
func (s *Sandbox) Objects(objectType string) []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.store.types[objectType]
	if k == nil {
		return nil
	}
	all := make([]Object, 0, len(k.objects))
	for _, id := range slices.Sorted(maps.Keys(k.objects)) {
		all = append(all, k.objects[id].clone())
	}
	return all
}

// Writes are the objects that were written, in order, people's edits among them.
func (s *Sandbox) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.store.writes)
}

func (s *Sandbox) editByHTTP(w http.ResponseWriter, r *http.Request) {
	var e Edit
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), &e, json.RejectUnknownMembers(true)); err != nil {
		reply{status: http.StatusBadRequest, body: map[string]string{"error": err.Error()}}.send(w)
		return
	}
	o, err := s.Edit(e)
	if err != nil {
		reply{status: http.StatusUnprocessableEntity, body: map[string]string{"error": err.Error()}}.send(w)
		return
	}
	reply{status: http.StatusOK, body: o}.send(w)
}

func (s *Sandbox) listByHTTP(w http.ResponseWriter, r *http.Request) {
	reply{status: http.StatusOK, body: map[string]any{"objects": s.Objects(r.PathValue("type"))}}.send(w)
}

func (s *Sandbox) writesByHTTP(w http.ResponseWriter, _ *http.Request) {
	reply{status: http.StatusOK, body: map[string]any{"writes": s.Writes()}}.send(w)
}

// Delete deletes an object as a person does, and tells of it; false where there is none.
func (s *Sandbox) Delete(objectType, idProperty, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.store.types[objectType]
	if k == nil {
		return false
	}
	o := k.find(idProperty, key)
	if o == nil {
		return false
	}
	delete(k.objects, o.ID)
	for name, index := range k.unique {
		delete(index, strings.ToLower(o.Properties[name]))
	}
	s.tellDeleted(k, o)
	return true
}
