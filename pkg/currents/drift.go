package currents

import (
	"bytes"
	"strings"

	"github.com/sluicehq/sluice/pkg/event"
)

// What a [Drift] can be.
const (
	UnknownType  = "unknown_type"
	UnknownField = "unknown_field"
	OtherKind    = "other_kind"
)

// maxDrifts is how many drifts one event can report, maxName how many bytes of a name.
const (
	maxDrifts = 50
	maxName   = 128
)

// Drift is where an event differs from the catalogue. None is an error: Braze adds types and fields
// whenever it likes, and all of them pass.
type Drift struct {
	Type  string // of the event, as it says
	Field string // such as properties.campaign_id, user.user_id or time; empty of an unknown type
	What  string // UnknownType, UnknownField or OtherKind
}

// Drifts says where an event differs from what is known of its type: at most 50 places, in the order of
// the event. Null is of every kind, and a field of Avro files is known in HTTP too. An id, a time or a
// type that is missing or not what Braze documents is of another kind. Of an unknown type there is only
// that to say. It allocates nothing where there is nothing to report, and keeps nothing of the event.
func Drifts(e *event.Engagement) []Drift {
	k, ok := catalogue.byName[e.Type]
	d := drifter{walker: walker{buf: e.JSON}, event: e, known: k}
	if !ok {
		d.found("", "", UnknownType)
		return d.all
	}
	d.enter('{')
	var id, at bool
	for first := true; ; first = false {
		name, ok := d.member(first)
		if !ok {
			break
		}
		switch string(name) {
		case InUser:
			d.object(InUser, k.user)
			continue
		case InProperties:
			d.object(InProperties, k.properties)
			continue
		}
		value, _ := d.skip()
		switch string(name) {
		case "event_type":
		case "id":
			id = len(value) > 2 && value[0] == '"'
		case "time":
			at = isWhole(value, 64)
		default:
			d.found("", alias(name), UnknownField)
		}
	}
	if !id {
		d.found("", "id", OtherKind)
	}
	if !at {
		d.found("", "time", OtherKind)
	}
	return d.all
}

type drifter struct {
	walker
	event *event.Engagement
	known known
	all   []Drift
}

// found records a drift.
func (d *drifter) found(in, name, what string) {
	if len(d.all) == maxDrifts {
		return
	}
	if in != "" {
		name = in + "." + name
	}
	d.all = append(d.all, Drift{Type: short(d.event.Type), Field: short(name), What: what})
}

// short is a copy of what may alias the event, and not longer than anybody wants to read.
func short(s string) string {
	if len(s) <= maxName {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s[:maxName], "") + "…"
}

// object compares user or properties with the fields that are known of it.
func (d *drifter) object(in string, fields map[string]*Field) {
	if d.peek() != '{' {
		if value, _ := d.skip(); string(value) != "null" {
			d.found("", in, OtherKind)
		}
		return
	}
	d.enter('{')
	for first := true; ; first = false {
		name, ok := d.member(first)
		if !ok {
			return
		}
		value, _ := d.skip()
		switch f := fields[string(name)]; {
		case f == nil:
			d.found(in, alias(name), UnknownField)
		case !f.Kind.holds(value):
			d.found(in, f.Name, OtherKind)
		}
	}
}

// holds reports whether a valid JSON value is of that kind, or null.
func (k Kind) holds(value []byte) bool {
	if len(value) == 0 || string(value) == "null" {
		return true
	}
	switch k {
	case String:
		return value[0] == '"'
	case Int:
		return isWhole(value, 32)
	case Long:
		return isWhole(value, 64)
	case Float, Double:
		return isNumber(value)
	case Boolean:
		return value[0] == 't' || value[0] == 'f'
	case Strings:
		return holdsStrings(value)
	case JSON:
		return value[0] == '{'
	}
	return true
}

func holdsStrings(value []byte) bool {
	w := walker{buf: value}
	if !w.enter('[') {
		return false
	}
	for first := true; w.more(first, ']'); first = false {
		if element, _ := w.skip(); !String.holds(element) {
			return false
		}
	}
	return true
}

// isWhole reports whether a value is a whole number of so many bits, sign included.
func isWhole(value []byte, bits int) bool {
	digits := bytes.TrimPrefix(value, []byte("-"))
	if len(digits) == 0 || len(digits) > 19 {
		return false
	}
	var n uint64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + uint64(c-'0')
	}
	limit := uint64(1)<<(bits-1) - 1
	if len(digits) < len(value) {
		limit++
	}
	return n <= limit
}
