package pgsink

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// walk reads the members of an event into their columns, and what no column holds into those for the rest: of
// properties into properties, everything else into others. Nothing is left out but nulls, and what a column of ours
// holds already, so that the event can be put together again. It returns false of what is not an object.
func (r *row) walk(doc []byte, e *sink.Event) bool {
	for i := range r.rest {
		if cap(r.rest[i]) > most {
			r.rest[i] = nil
		}
		r.rest[i] = r.rest[i][:0]
	}
	r.src = *bytes.NewBuffer(doc)
	r.dec.Reset(&r.src, jsontext.AllowDuplicateNames(true))
	ok := r.object(doc, func(name, value []byte) bool {
		switch {
		case string(name) == "user" && value == nil:
			return r.members(doc, inUser)
		case string(name) == "properties" && value == nil:
			return r.members(doc, inProperties)
		case value == nil:
			v, err := r.dec.ReadValue()
			if err != nil {
				return false
			}
			value = r.of(doc, v)
		}
		if !r.isOurs(name, value, e) {
			r.keep(outer, name, value)
		}
		return true
	})
	if !ok {
		return false
	}
	if user := r.rest[inUser]; len(user) > 0 {
		r.keep(outer, []byte("user"), append(user, '}'))
	}
	for i := range r.plan.columns {
		from := inProperties
		switch r.plan.columns[i].from {
		case properties:
		case others:
			from = outer
		default:
			continue
		}
		if rest := r.rest[from]; len(rest) > 0 {
			r.rest[from] = append(rest, '}')
			r.cells[i] = cell{ok: true, b: r.rest[from]}
		}
	}
	return true
}

// members reads user or properties.
func (r *row) members(doc []byte, in int) bool {
	return r.object(doc, func(name, value []byte) bool {
		if value == nil {
			v, err := r.dec.ReadValue()
			if err != nil {
				return false
			}
			value = r.of(doc, v)
		}
		i, known := r.plan.members[in][string(name)]
		held := false
		switch {
		case !known:
		case r.plan.columns[i].from == envelope:
			s, ok := r.unquote(value)
			held = ok && string(s) == r.cells[i].s || value[0] == 'n'
		default: // of several members of one name the last counts, as it does for jsonb and for the columns of the envelope
			r.cells[i] = cell{}
			held = r.value(i, value)
		}
		if !held {
			r.keep(in, name, value)
		}
		return true
	})
}

// object calls each for the members of the next value. An object or array is not read before: its value is nil.
func (r *row) object(doc []byte, each func(name, value []byte) bool) bool {
	if r.dec.PeekKind() != '{' {
		return false
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return false
	}
	for r.dec.PeekKind() == '"' {
		v, err := r.dec.ReadValue()
		if err != nil {
			return false
		}
		name, ok := r.unquote(r.of(doc, v))
		if !ok {
			return false
		}
		var value []byte
		if k := r.dec.PeekKind(); k != '{' {
			v, err := r.dec.ReadValue()
			if err != nil {
				return false
			}
			value = r.of(doc, v)
		}
		if !each(name, value) {
			return false
		}
	}
	_, err := r.dec.ReadToken()
	return err == nil
}

// of is a value that was just read, in doc: the decoder's own is good until the next one only.
func (r *row) of(doc, value []byte) []byte {
	end := int(r.dec.InputOffset())
	return doc[end-len(value) : end]
}

// isOurs says whether a member beside user and properties stands in a column of ours.
func (r *row) isOurs(name, value []byte, e *sink.Event) bool {
	switch string(name) {
	case "event_type":
		s, ok := r.unquote(value)
		return ok && r.plan.typed && string(s) == e.Engagement.Type
	case "id":
		s, ok := r.unquote(value)
		return ok && string(s) == e.Engagement.ID
	case "time":
		n, err := strconv.ParseInt(string(value), 10, 64)
		return err == nil && r.plan.timed && n == e.OccurredAt.Unix() && e.OccurredAt.Nanosecond() == 0
	}
	return false
}

// keep adds a member to the rest.
func (r *row) keep(where int, name, value []byte) {
	rest := r.rest[where]
	if len(rest) == 0 {
		rest = append(rest, '{')
	} else {
		rest = append(rest, ',')
	}
	rest, err := jsontext.AppendQuote(rest, name)
	if err != nil {
		return // not UTF-8, which was repaired before
	}
	rest = append(rest, ':')
	r.rest[where] = append(rest, value...)
}

// unquote is the text of a JSON string; ok is false for any other value.
func (r *row) unquote(raw []byte) (s []byte, ok bool) {
	if raw[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	n := len(r.arena)
	arena, err := jsontext.AppendUnquote(r.arena, raw)
	if err != nil {
		return nil, false
	}
	r.arena = arena
	return arena[n:len(arena):len(arena)], true
}

// list reads an array of strings and nulls. Anything else in it makes the whole unfit.
func (r *row) list(c *cell, raw []byte) bool {
	if raw[0] != '[' {
		return false
	}
	r.listed = *bytes.NewBuffer(raw)
	dec := r.lists
	dec.Reset(&r.listed, jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return false
	}
	from := len(r.elements)
	for dec.PeekKind() != ']' {
		v, err := dec.ReadValue()
		if err != nil {
			return false
		}
		end := int(dec.InputOffset())
		s, ok := r.unquote(raw[end-len(v) : end])
		if !ok && v[0] != 'n' {
			return false
		}
		r.elements = append(r.elements, s)
	}
	n := len(r.arena)
	r.arena = appendTexts(r.arena, r.elements[from:])
	*c = cell{ok: true, b: r.arena[n:len(r.arena):len(r.arena)]}
	return true
}
