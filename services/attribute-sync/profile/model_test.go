package profile

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// told is one write to one field, with its value as it is: what the model knows and the package does not.
type told struct {
	field   string
	verb    verb
	value   string // JSON in canonical form: a value, or an element
	n       int64
	id      string // of the record
	source  string
	version int64 // 0 for none
	time    int64
}

// newer says which of two writes stands, in the words of the rules.
func newer(late, early told) bool {
	if late.source == early.source {
		if late.version != 0 && early.version != 0 {
			return late.version >= early.version
		}
		return late.time >= early.time
	}
	if late.time != early.time {
		return late.time > early.time
	}
	return late.source > early.source
}

// model is a field as the rules of precedence have it, with nothing forgotten and nothing hashed.
type model struct {
	base     *told
	versions map[string]told // newest versioned set of each source
	ops      []told
	ids      map[string]bool // of increments
}

// tell applies a write.
func (m *model) tell(w told) {
	if m.versions == nil {
		m.versions, m.ids = map[string]told{}, map[string]bool{}
	}
	if own, has := m.versions[w.source]; has && (w.version != 0 && w.version < own.version || w.version == 0 && w.time < own.time) {
		return
	}
	if w.verb == increment && m.ids[w.id] {
		return
	}
	if w.verb == set && w.version != 0 {
		if own, has := m.versions[w.source]; has {
			w.time = max(w.time, own.time)
		}
	}
	loses := m.base != nil && !newer(w, *m.base)
	switch {
	case w.verb == set:
		if w.version != 0 {
			m.versions[w.source] = w
		}
		if !loses {
			m.base = &w
			m.ops = slices.DeleteFunc(m.ops, func(op told) bool { return newer(w, op) })
		}
	case loses:
	case w.verb == increment:
		m.ids[w.id] = true
		m.ops = append(m.ops, w)
	default:
		i := slices.IndexFunc(m.ops, func(op told) bool { return op.value == w.value })
		if i >= 0 && !newer(w, m.ops[i]) {
			return
		}
		if i >= 0 {
			m.ops = slices.Delete(m.ops, i, i+1)
		}
		m.ops = append(m.ops, w)
	}
}

// value is what the field ought to be in Braze: JSON, an array sorted; empty for none.
func (m *model) value() string {
	value := ""
	if m.base != nil && m.base.value != "null" {
		value = m.base.value
	}
	if len(m.ops) == 0 {
		return sorted(value)
	}
	if m.ops[0].verb == increment {
		n := int64(0)
		_ = json.Unmarshal([]byte(value), &n)
		for _, op := range m.ops {
			n += op.n
		}
		b, _ := json.Marshal(n)
		return string(b)
	}
	var list []json.RawMessage
	_ = json.Unmarshal([]byte(value), &list)
	there, adds := value != "", false
	for _, op := range m.ops {
		list = slices.DeleteFunc(list, func(e json.RawMessage) bool { return string(e) == op.value })
		if op.verb == add {
			adds = true
			list = append(list, json.RawMessage(op.value))
		}
	}
	if !there && !adds {
		return ""
	}
	b, _ := json.Marshal(append([]json.RawMessage{}, list...))
	return sorted(string(b))
}

// sorted puts an array's elements in an order of no meaning, so that arrays can be compared as the sets
// that Braze's are, and leaves out those that come twice.
func sorted(value string) string {
	var list []json.RawMessage
	if !strings.HasPrefix(value, "[") || json.Unmarshal([]byte(value), &list) != nil {
		return value
	}
	slices.SortFunc(list, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	list = slices.CompactFunc(list, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
	b, _ := json.Marshal(list)
	return string(b)
}

// sandbox is Braze, as small as it gets: what an attributes object does to a profile.
type sandbox map[string]string

func (p sandbox) apply(t testing.TB, object []byte) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		t.Fatalf("what is sent is no JSON: %v: %s", err, object)
	}
	for name, value := range members {
		if name == "subscription_groups" {
			var groups []struct {
				ID    string `json:"subscription_group_id"`
				State string `json:"subscription_state"`
			}
			if err := json.Unmarshal(value, &groups); err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				p[groupPrefix+g.ID] = g.State
			}
			continue
		}
		p.attribute(t, name, value)
	}
}

func (p sandbox) attribute(t testing.TB, name string, value json.RawMessage) {
	t.Helper()
	var op struct {
		Inc    *int64            `json:"inc"`
		Add    []json.RawMessage `json:"add"`
		Remove []json.RawMessage `json:"remove"`
	}
	isOp := value[0] == '{' && json.Unmarshal(value, &op) == nil && (op.Inc != nil || op.Add != nil || op.Remove != nil)
	switch {
	case string(value) == "null":
		delete(p, name)
	case !isOp:
		p[name] = sorted(string(value))
	case op.Inc != nil:
		n := int64(0)
		if old := p[name]; old != "" && json.Unmarshal([]byte(old), &n) != nil {
			t.Errorf("%s is incremented, but it is %s", name, old)
			return
		}
		b, _ := json.Marshal(n + *op.Inc)
		p[name] = string(b)
	case p[name] == "" && op.Add == nil: // nothing to remove
	default:
		var list []json.RawMessage
		if old := p[name]; old != "" && json.Unmarshal([]byte(old), &list) != nil {
			t.Errorf("%s is added to, but it is %s", name, old)
			return
		}
		list = append(list, op.Add...)
		for _, gone := range op.Remove {
			list = slices.DeleteFunc(list, func(e json.RawMessage) bool { return string(e) == string(gone) })
		}
		b, _ := json.Marshal(append([]json.RawMessage{}, list...))
		p[name] = sorted(string(b))
	}
}
