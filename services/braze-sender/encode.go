package brazesender

import (
	"slices"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
)

// encode writes the request of a range of the flight's items and notes which object stands for
// which of them.
func (f *flight) encode(r span) {
	f.request.Reset()
	for a := range f.refs {
		f.refs[a] = f.refs[a][:0]
	}
	for i := r.from; i < r.to; {
		it := f.items[i]
		if it.hasAttributes() {
			end := f.foldEnd(i, r.to)
			f.add(braze.Attributes, span{i, end}, func(dst []byte) []byte { return appendAttributes(dst, f.items[i:end]) })
			for j := i; j < end; j++ { // of folded items only the last can have an event
				f.addEvent(j)
			}
			i = end
			continue
		}
		f.addEvent(i)
		i++
	}
	f.body = f.request.AppendBody(f.body[:0])
}

func (f *flight) addEvent(i int) {
	if it := f.items[i]; it.hasEvent() {
		f.add(braze.Events, span{i, i + 1}, func(dst []byte) []byte { return appendEvent(dst, &it.event) })
	}
}

func (f *flight) add(a braze.Array, s span, object func(dst []byte) []byte) {
	f.request.AppendFunc(a, object)
	f.refs[a] = append(f.refs[a], s)
}

// foldEnd finds how far the items from i on make one attributes object: share has let several of a
// user follow one another only where they fold, and an event among them ends the row.
func (f *flight) foldEnd(i, to int) int {
	end := i + 1
	for end < to && !f.items[end-1].hasEvent() && f.items[end].hasAttributes() && f.items[end].event.User == f.items[i].event.User && !f.items[end].alone {
		end++
	}
	return end
}

// appendAttributes appends the attributes object of one item, or of several folded: the newest value
// of each key.
func appendAttributes(dst []byte, items []*item) []byte {
	dst = append(dst, '{')
	dst = appendUser(dst, items[0].event.User)
	for i, it := range items {
		for j, a := range it.attributes {
			if overwritten(a.key, it.attributes[j+1:], items[i+1:]) {
				continue
			}
			dst = append(dst, ',')
			dst = braze.AppendString(dst, a.key)
			dst = append(dst, ':')
			dst = append(dst, a.value...)
		}
	}
	if onlyAlias(items[0].event.User) {
		dst = append(dst, createAlias...)
	}
	return append(dst, '}')
}

// overwritten reports whether a key is set again later, in the same record or in one behind it.
func overwritten(key string, same []attribute, behind []*item) bool {
	has := func(a attribute) bool { return a.key == key }
	return slices.ContainsFunc(same, has) || slices.ContainsFunc(behind, func(it *item) bool {
		return slices.ContainsFunc(it.attributes, has)
	})
}

// createAlias is a flag of an object: make a profile for an alias that has none.
const createAlias = `,"_update_existing_only":false`

// onlyAlias reports whether a user is known by an alias alone. Braze creates no profile for such a
// user unless it is told to (braze-docs: user_attributes_object).
func onlyAlias(u event.User) bool {
	return u.ExternalID == "" && u.BrazeID == "" && u.AliasName != ""
}

// appendEvent appends an event object (braze-docs: event_object).
func appendEvent(dst []byte, e *event.Event) []byte {
	dst = append(dst, '{')
	dst = appendUser(dst, e.User)
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
	if onlyAlias(e.User) {
		dst = append(dst, createAlias...)
	}
	return append(dst, '}')
}

// appendUser appends the one identifier that Braze is to look the user up by, the strongest there is.
func appendUser(dst []byte, u event.User) []byte {
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
