package chaos

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// verb is what a write does to an attribute.
type verb uint8

const (
	set verb = iota
	add
	remove
	increment
)

// write is one write to one attribute, by its index in [attributes].
type write struct {
	field uint8
	verb  verb
	value string // JSON as it is sent: a value, or an element of an array
	n     int64  // of an increment
}

// change is one record of customer.profiles, as it was made up.
type change struct {
	user    int32
	id      string
	source  string
	version int64 // 0 for none
	time    int64 // milliseconds since 1970, by its source's clock
	writes  []write
	refusal string // reason of the dead letter that it has to become
}

// stamped is a write and who made it.
type stamped struct {
	write
	id      string
	source  string
	version int64
	time    int64
}

// newer says which of two writes stands, in the words of attribute-sync's README: late came later on the topic.
func (late *stamped) newer(early *stamped) bool {
	switch {
	case late.source == early.source && late.version != 0 && early.version != 0:
		return late.version >= early.version
	case late.source == early.source:
		return late.time >= early.time
	case late.time != early.time:
		return late.time > early.time
	}
	return late.source > early.source
}

// attribute is one attribute as the rules of precedence have it: nothing forgotten, nothing hashed, no batches.
type attribute struct {
	base     *stamped
	versions map[string]*stamped // newest versioned write of each source
	ops      []*stamped
	applied  map[string]bool // increments, by source and id
}

// tell applies a write, and says why it came to nothing.
func (a *attribute) tell(w *stamped) (declined string) {
	if own := a.versions[w.source]; own != nil && (w.version != 0 && w.version < own.version || w.version == 0 && w.time < own.time) {
		return "stale"
	}
	who := w.source + " " + w.id
	if w.verb == increment && a.applied[who] {
		return "duplicate"
	}
	if own := a.versions[w.source]; own != nil && w.verb == set && w.version != 0 {
		w.time = max(w.time, own.time) // a source's newer version is as late as the older ones were, whatever its clock says
	}
	loses := a.base != nil && !w.newer(a.base)
	if w.verb == set && w.version != 0 {
		if a.versions == nil {
			a.versions = map[string]*stamped{}
		}
		a.versions[w.source] = w
	}
	switch {
	case loses:
		return "stale"
	case w.verb == set:
		a.base = w
		a.ops = slices.DeleteFunc(a.ops, func(op *stamped) bool { return w.newer(op) })
	case w.verb == increment:
		if a.applied == nil {
			a.applied = map[string]bool{}
		}
		a.applied[who] = true
		a.ops = append(a.ops, w)
	default:
		i := slices.IndexFunc(a.ops, func(op *stamped) bool { return op.value == w.value })
		if i >= 0 && !w.newer(a.ops[i]) {
			return "stale"
		}
		if i >= 0 {
			a.ops = slices.Delete(a.ops, i, i+1)
		}
		a.ops = append(a.ops, w)
	}
	return ""
}

// value is what Braze ought to have: JSON, "null" where it was unset, and empty where nobody has said anything.
func (a *attribute) value() string {
	switch {
	case len(a.ops) == 0 && a.base == nil:
		return ""
	case len(a.ops) == 0:
		return a.base.value
	}
	value := "null"
	if a.base != nil {
		value = a.base.value
	}
	if a.ops[0].verb == increment {
		n := int64(0)
		_ = json.Unmarshal([]byte(value), &n)
		for _, op := range a.ops {
			n += op.n
		}
		b, _ := json.Marshal(n)
		return string(b)
	}
	var list []json.RawMessage
	_ = json.Unmarshal([]byte(value), &list)
	for _, op := range a.ops {
		list = slices.DeleteFunc(list, func(e json.RawMessage) bool { return string(e) == op.value })
		if op.verb == add {
			list = append(list, json.RawMessage(op.value))
		}
	}
	b, _ := json.Marshal(append([]json.RawMessage{}, list...))
	return string(b)
}

// alike brings a value into a form in which it can be compared: arrays are sets to Braze, and an empty one is as
// good as none.
func alike(value string) string {
	if !strings.HasPrefix(value, "[") {
		if value == "null" {
			return ""
		}
		return value
	}
	var list []json.RawMessage
	_ = json.Unmarshal([]byte(value), &list)
	slices.SortFunc(list, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	list = slices.CompactFunc(list, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) })
	if len(list) == 0 {
		return ""
	}
	b, _ := json.Marshal(list)
	return string(b)
}

// points is what Braze charges for a value: one, and of an object one for each value at its leaves.
func points(value string) int64 {
	if !strings.HasPrefix(value, "{") {
		return 1
	}
	return int64(strings.Count(value, ":") - strings.Count(value, "{") + 1)
}
