package hubspotfake

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Object is a contact or a note as it stands.
type Object struct {
	ID         string            `json:"id"`
	Properties map[string]string `json:"properties"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
	About      []string          `json:"about,omitzero"` // of a note: ids of the objects that it is associated with
}

// Write is one object that was written, by whomever.
type Write struct {
	Call       int               `json:"call"` // number of the call, from 1; 0 of an edit by a person
	Type       string            `json:"type"`
	ObjectID   string            `json:"object_id"`
	IDProperty string            `json:"id_property,omitzero"`
	Key        string            `json:"key,omitzero"`
	TraceID    string            `json:"trace_id,omitzero"`
	Properties map[string]string `json:"properties"` // as they were sent
	New        bool              `json:"new,omitzero"`
	Source     string            `json:"source"` // CRM_UI or INTEGRATION
	At         time.Time         `json:"at"`
}

type store struct {
	types     map[string]*kind
	nextID    int64
	writes    []Write
	maxWrites int
}

// kind is one kind of object with all there are of it.
type kind struct {
	name       string
	properties map[string]*Property
	objects    map[string]*Object
	unique     map[string]map[string]string // property to lower-cased value to id
}

func (st *store) init(types map[string][]Property, maxWrites int) {
	*st = store{types: map[string]*kind{}, nextID: 173595202426, maxWrites: maxWrites}
	for name, properties := range types {
		k := &kind{name: name, properties: map[string]*Property{}, objects: map[string]*Object{}, unique: map[string]map[string]string{}}
		for _, p := range properties {
			k.properties[p.Name] = &p
			if p.Unique {
				k.unique[p.Name] = map[string]string{}
			}
		}
		st.types[name] = k
	}
}

func (k *kind) find(idProperty, id string) *Object {
	if idProperty == "" {
		return k.objects[id]
	}
	return k.objects[k.unique[idProperty][strings.ToLower(id)]]
}

// failure is why a row is not taken.
type failure struct{ category, message string }

// check says why properties would not be taken for an object, which is nil when it would be made.
func (k *kind) check(o *Object, properties map[string]string) *failure {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, before := properties[name], ""
		if o != nil {
			before = o.Properties[name]
		}
		if wrong := k.properties[name].takes(value, before); wrong != "" {
			return &failure{"VALIDATION_ERROR", "Property values were not valid: " + name + " " + wrong}
		}
		if index := k.unique[name]; index != nil && value != "" {
			if other, taken := index[strings.ToLower(value)]; taken && (o == nil || other != o.ID) {
				return &failure{"CONFLICT", "Another object already has that value of " + name + ". Existing ID: " + other}
			}
		}
	}
	if o != nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(k.properties)) {
		if k.properties[name].Required && properties[name] == "" {
			return &failure{"VALIDATION_ERROR", "Some required properties were not set: [" + name + "]"}
		}
	}
	return nil
}

// put writes properties that were checked and returns those whose value really is another now, in order of name.
func (k *kind) put(o *Object, properties map[string]string, now time.Time) (changed []string) {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value, before := properties[name], o.Properties[name]
		if value == before {
			continue
		}
		changed = append(changed, name)
		if index := k.unique[name]; index != nil {
			delete(index, strings.ToLower(before))
			if value != "" {
				index[strings.ToLower(value)] = o.ID
			}
		}
		if value == "" {
			delete(o.Properties, name)
		} else {
			o.Properties[name] = value
		}
	}
	if len(changed) > 0 {
		o.UpdatedAt = now
	}
	return changed
}

// add makes an empty object.
func (st *store) add(k *kind, now time.Time) *Object {
	st.nextID++
	id := strconv.FormatInt(st.nextID, 10)
	o := &Object{ID: id, CreatedAt: now, UpdatedAt: now, Properties: map[string]string{"hs_object_id": id}}
	k.objects[id] = o
	return o
}

func (st *store) remember(w Write) {
	st.writes = append(st.writes, w)
	if st.maxWrites > 0 && len(st.writes) > st.maxWrites {
		st.writes = slices.Delete(st.writes, 0, len(st.writes)-st.maxWrites)
	}
}

func (o *Object) clone() Object {
	c := *o
	c.Properties, c.About = maps.Clone(o.Properties), slices.Clone(o.About)
	return c
}
