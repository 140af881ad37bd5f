package simulate

import (
	"encoding/json"
	"maps"
	"time"
)

// body is what the act posts.
func (a *Act) body() []byte {
	if a.Path == PathBatch {
		return a.batch()
	}
	if len(a.Items) == 1 {
		return encode(a.object(a.Items[0]))
	}
	objects := make([]any, len(a.Items))
	for i, it := range a.Items {
		objects[i] = a.object(it)
	}
	return encode(objects)
}

// object is an item as our own API takes it.
func (a *Act) object(it Item) map[string]any {
	o := map[string]any{"name": it.Name}
	if it.Commerce != nil {
		o = it.Commerce.object()
	}
	if it.Said != nil {
		o = maps.Clone(it.Said)
	}
	o["id"], o["user"] = it.ID, a.Person.User
	if it.Properties != nil {
		o["properties"] = it.Properties
	}
	if it.Attributes != nil {
		o["attributes"] = it.Attributes
	}
	if !it.Time.IsZero() {
		o["time"] = it.Time.Format(time.RFC3339)
	}
	return o
}

// batch is the act as a tracking client sends it.
func (a *Act) batch() []byte {
	messages := make([]any, len(a.Items))
	for i, it := range a.Items {
		m := map[string]any{"type": it.Kind, "messageId": it.ID, "userId": a.Person.Key}
		switch it.Kind {
		case kindTrack:
			m["event"] = it.Name
		case kindPage:
			m["name"] = it.Name
		}
		if it.Properties != nil {
			m["properties"] = it.Properties
		}
		if it.Kind == kindIdentify {
			m["traits"] = it.Attributes
		}
		if it.Muted {
			m["integrations"] = map[string]any{"All": true, "Braze": false}
		}
		messages[i] = m
	}
	return encode(map[string]any{"batch": messages})
}

// encode is JSON with sorted names, so that the same is always the same bytes.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("simulate: encoding: " + err.Error()) // maps, text and numbers of our own making
	}
	return b
}
