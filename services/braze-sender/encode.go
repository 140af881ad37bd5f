package brazesender

import (
	"bytes"
	"slices"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// encode writes the request of a range of the flight's loads and notes which object stands for which
// of them.
func (f *flight) encode(r span) {
	for a := range f.refs {
		f.refs[a] = f.refs[a][:0]
	}
	f.body = f.body[:0]
	if !f.line.arrays {
		f.body = append(f.body, f.line.prefix...)
		for i := r.from; i < r.to; i++ {
			f.add(braze.Attributes, span{i, i + 1})
			f.body = append(append(f.body, f.loads[i].carried()[0].object...), ',')
		}
		f.body = append(f.body[:len(f.body)-1], f.line.suffix...)
		return
	}
	f.body = append(f.body, '{')
	for _, a := range []braze.Array{braze.Attributes, braze.Events, braze.Purchases} {
		from := len(f.body)
		if a == braze.Attributes {
			f.encodeAttributes(r)
		} else {
			f.encodeArray(r, a)
		}
		if len(f.body) > from {
			f.body = append(f.body[:len(f.body)-1], "],"...) // in place of the last object's comma
		}
	}
	if n := len(f.body) - 1; f.body[n] == ',' {
		f.body = f.body[:n]
	}
	f.body = append(f.body, '}')
}

// open begins an array of the body before its first object.
func (f *flight) open(a braze.Array) {
	if len(f.refs[a]) == 0 {
		f.body = append(append(append(f.body, '"'), a.String()...), `":[`...)
	}
}

func (f *flight) add(a braze.Array, s span) { f.refs[a] = append(f.refs[a], s) }

// encodeArray writes the events or the purchases of a range.
func (f *flight) encodeArray(r span, a braze.Array) {
	for i := r.from; i < r.to; i++ {
		carried := f.loads[i].carried()
		for j := range carried {
			if p := &carried[j]; p.array == a {
				f.open(a)
				f.add(a, span{i, i + 1})
				f.body = append(append(f.body, p.object...), ',')
			}
		}
	}
}

// encodeAttributes writes the attributes of a range, those of loads that fold as one object.
func (f *flight) encodeAttributes(r span) {
	for i := r.from; i < r.to; {
		p := f.loads[i].attributes()
		if p == nil {
			i++
			continue
		}
		end := f.foldEnd(i, r.to)
		f.open(braze.Attributes)
		f.add(braze.Attributes, span{i, end})
		f.body = append(f.body, p.object...)
		for j := i; j < end; j++ {
			f.body = appendAttributes(f.body, f.loads[j].attributes().attributes, f.loads[j+1:end])
		}
		if p.alias {
			f.body = append(f.body, createAlias...)
		}
		if p.merge { // it has not folded
			f.body = append(f.body, `,"_merge_objects":true`...)
		}
		f.body = append(f.body, "},"...)
		i = end
	}
}

// foldEnd finds how far the loads from i on make one attributes object: share has let several of a
// user follow one another only where they fold, and an event among them ends the row.
func (f *flight) foldEnd(i, to int) int {
	first := f.loads[i].attributes()
	end := i + 1
	for end < to && f.loads[end-1].to-f.loads[end-1].from == 1 && !f.loads[end].alone && !f.loads[i].alone {
		p := f.loads[end].attributes()
		if p == nil || !bytes.Equal(p.object, first.object) {
			break
		}
		end++
	}
	return end
}

// appendAttributes appends attributes, but for those that are set again later: in the same record or in
// one behind it.
func appendAttributes(dst []byte, list []attribute, behind []load) []byte {
	for i, a := range list {
		if overwritten(a.key, list[i+1:], behind) {
			continue
		}
		dst = append(dst, ',')
		dst = braze.AppendString(dst, a.key)
		dst = append(dst, ':')
		dst = append(dst, a.value...)
	}
	return dst
}

func overwritten(key string, same []attribute, behind []load) bool {
	has := func(a attribute) bool { return a.key == key }
	return slices.ContainsFunc(same, has) || slices.ContainsFunc(behind, func(ld load) bool {
		return slices.ContainsFunc(ld.attributes().attributes, has)
	})
}

// createAlias is a flag of an object: make a profile for an alias that has none.
const createAlias = `,"_update_existing_only":false`

// existingOnly is the same flag, the other way round.
const existingOnly = `,"_update_existing_only":true`

// onlyAlias reports whether a user is known by an alias alone. Braze creates no profile for such a
// user unless it is told to (braze-docs: user_attributes_object).
func onlyAlias(u *event.User) bool {
	return u.ExternalID == "" && u.BrazeID == "" && u.AliasName != ""
}

// appendEvent appends an event object (braze-docs: event_object).
func appendEvent(dst []byte, e *event.Event, existing bool) []byte {
	dst = append(dst, '{')
	dst = appendUser(dst, &e.User)
	dst = append(dst, `,"name":`...)
	dst = braze.AppendString(dst, e.Name)
	dst = append(dst, `,"time":`...)
	dst = braze.AppendTime(dst, e.OccurredAt)
	if e.AppID != "" {
		dst = append(dst, `,"app_id":`...)
		dst = braze.AppendString(dst, e.AppID)
	}
	if len(e.Properties) > 0 {
		dst = append(dst, `,"properties":`...)
		dst = append(dst, e.Properties...)
	}
	switch {
	case existing:
		dst = append(dst, existingOnly...)
	case onlyAlias(&e.User):
		dst = append(dst, createAlias...)
	}
	return append(dst, '}')
}

// appendUser appends the one identifier that Braze is to look the user up by, the strongest there is.
func appendUser(dst []byte, u *event.User) []byte {
	switch {
	case u.ExternalID != "":
		return braze.AppendString(append(dst, `"external_id":`...), u.ExternalID)
	case u.BrazeID != "":
		return braze.AppendString(append(dst, `"braze_id":`...), u.BrazeID)
	case u.AliasName != "":
		dst = braze.AppendString(append(dst, `"user_alias":{"alias_name":`...), u.AliasName)
		dst = braze.AppendString(append(dst, `,"alias_label":`...), u.AliasLabel)
		return append(dst, '}')
	case u.Email != "":
		return braze.AppendString(append(dst, `"email":`...), u.Email)
	default:
		return braze.AppendString(append(dst, `"phone":`...), u.Phone)
	}
}
