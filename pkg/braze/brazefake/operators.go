package brazefake

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

const (
	maxArray      = 25      // elements of a plain array, Braze's default (braze-docs: user_attributes_object, 2025)
	maxNested     = 102_400 // bytes of a nested object or an array of objects (braze-docs: array_of_objects)
	maxMergeDepth = 50
)

// change returns what a custom attribute becomes when value is sent for it; old is nil when there is
// none, and so is the result when it is removed. Ok is false when the value is not applied, which
// Braze does without a word (braze-docs: post_user_track_synchronous). Merge is _merge_objects.
func change(old, value []byte, merge bool) (now json.RawMessage, ok bool) {
	if len(value) > maxNested {
		return nil, false
	}
	switch value[0] {
	case 'n':
		return nil, true
	case '"':
		return raw(value), fits(value)
	case '[':
		return setArray(value)
	case '{':
		return changeObject(old, value, merge)
	}
	return raw(value), true
}

// fits reports whether a value is a string of a length that Braze keeps.
func fits(value []byte) bool {
	return len(value) >= 2 && value[0] == '"' && (len(value) <= braze.MaxStringLen ||
		jsonscan.Runes(value[1:len(value)-1], braze.MaxStringLen) <= braze.MaxStringLen)
}

// setArray keeps an array as it was sent; of plain values each once.
func setArray(value []byte) (json.RawMessage, bool) {
	elements := list(value)
	if slices.ContainsFunc(elements, isObject) {
		return raw(value), !slices.ContainsFunc(elements, func(e []byte) bool { return !validNested(e) })
	}
	return pack(appendUnique(nil, elements))
}

// changeObject is one of the operators, or a nested object.
func changeObject(old, value []byte, merge bool) (json.RawMessage, bool) {
	members := dictionary(value)
	switch {
	case only(members, "inc"):
		return increment(old, members["inc"])
	case only(members, "add", "remove"):
		elements := list(old)
		if len(old) > 0 && old[0] != '[' {
			return nil, false
		}
		elements = appendUnique(elements, list(members["add"]))
		for _, gone := range list(members["remove"]) {
			elements = slices.DeleteFunc(elements, func(e []byte) bool { return bytes.Equal(e, gone) })
		}
		return pack(elements)
	case only(members, "$add", "$remove", "$update"):
		return changeObjects(old, members, merge)
	}
	if !validNested(value) {
		return nil, false
	}
	if merge && len(old) > 0 && old[0] == '{' {
		value = deepMerge(old, value, maxMergeDepth)
	}
	return raw(value), len(value) <= maxNested
}

// increment adds to an integer, of nothing begins at 0.
func increment(old, by []byte) (json.RawMessage, bool) {
	n, err := strconv.ParseInt(string(by), 10, 64)
	if err != nil {
		return nil, false
	}
	was := int64(0)
	if len(old) > 0 {
		if was, err = strconv.ParseInt(string(old), 10, 64); err != nil {
			return nil, false
		}
	}
	if n > 0 && was > math.MaxInt64-n || n < 0 && was < math.MinInt64-n {
		return nil, false
	}
	return strconv.AppendInt(nil, was+n, 10), true
}

// changeObjects changes an array of objects. A repeated $add adds again: uniqueness is not enforced
// (braze-docs: array_of_objects).
func changeObjects(old []byte, members map[string][]byte, merge bool) (json.RawMessage, bool) {
	if len(old) > 0 && old[0] != '[' || members["$update"] != nil && !merge {
		return nil, false
	}
	elements := list(old)
	for _, update := range list(members["$update"]) {
		with := dictionary(update)
		for i, e := range elements {
			if identified(e, with) && len(with["$new_object"]) > 0 && with["$new_object"][0] == '{' {
				elements[i] = deepMerge(e, with["$new_object"], maxMergeDepth)
			}
		}
	}
	for _, gone := range list(members["$remove"]) {
		with := dictionary(gone)
		elements = slices.DeleteFunc(elements, func(e []byte) bool { return identified(e, with) })
	}
	for _, added := range list(members["$add"]) {
		if !isObject(added) || !validNested(added) {
			return nil, false
		}
		elements = append(elements, added)
	}
	now := joined(elements)
	return now, len(now) <= maxNested
}

// identified reports whether an object has the value that $identifier_key and $identifier_value ask for.
func identified(object []byte, with map[string][]byte) bool {
	key, ok := jsonscan.String(with["$identifier_key"])
	if !ok || len(with["$identifier_value"]) == 0 {
		return false
	}
	return bytes.Equal(dictionary(object)[string(key)], with["$identifier_value"])
}

// deepMerge lays an object over another. Members that are objects in both are merged in turn.
func deepMerge(old, over []byte, depth int) []byte {
	into := dictionary(old)
	for name, value := range dictionary(over) {
		if was := into[name]; depth > 0 && len(was) > 0 && was[0] == '{' && value[0] == '{' {
			value = deepMerge(was, value, depth-1)
		}
		into[name] = value
	}
	out := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(into)) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(braze.AppendString(out, name), ':')
		out = append(out, into[name]...)
	}
	return append(out, '}')
}

// validNested checks a nested object: no null, no name with a space in it, dates as {"$time": …}, and
// strings that fit. One thing wrong drops all of it (braze-docs: post_user_track,
// nested_custom_attribute_support).
func validNested(value []byte) bool {
	switch value[0] {
	case 'n':
		return false
	case '"':
		return fits(value)
	case '[':
		for element := range jsonscan.Elements(value) {
			if !validNested(element) {
				return false
			}
		}
	case '{':
		for name, member := range jsonscan.Members(value) {
			if bytes.IndexByte(name, ' ') >= 0 || len(name) == 0 || !fits(append(append([]byte{'"'}, name...), '"')) {
				return false
			}
			if string(name) == "$time" && !isDate(member) || !validNested(member) {
				return false
			}
		}
	}
	return true
}

// appendUnique adds values to a plain array. One that is there already moves to the end (braze-docs:
// user_attributes_object).
func appendUnique(elements, more [][]byte) [][]byte {
	for _, value := range more {
		elements = slices.DeleteFunc(elements, func(e []byte) bool { return bytes.Equal(e, value) })
		elements = append(elements, value)
	}
	return elements
}

// pack writes a plain array, if its length and its elements are such as are kept.
func pack(elements [][]byte) (json.RawMessage, bool) {
	for _, e := range elements {
		if e[0] == '"' && !fits(e) || e[0] == '{' || e[0] == '[' {
			return nil, false
		}
	}
	return joined(elements), len(elements) <= maxArray
}

func joined(elements [][]byte) json.RawMessage {
	return slices.Concat([]byte{'['}, bytes.Join(elements, []byte{','}), []byte{']'})
}

// list is the elements of an array; of anything else there are none.
func list(value []byte) (elements [][]byte) {
	for element := range jsonscan.Elements(value) {
		elements = append(elements, element)
	}
	return elements
}

// dictionary is the members of an object; of anything else there are none.
func dictionary(value []byte) map[string][]byte {
	members := map[string][]byte{}
	for name, member := range jsonscan.Members(value) {
		members[string(jsonscan.Unquote(name))] = member
	}
	return members
}

// only reports whether an object has members and none but those.
func only(members map[string][]byte, names ...string) bool {
	for name := range members {
		if !slices.Contains(names, name) {
			return false
		}
	}
	return len(members) > 0
}

// trimmed is a custom attribute's name without the blanks around it, which the API strips (braze-docs:
// custom_attributes); ok is false for one that is too long.
func trimmed(name []byte) (string, bool) {
	s := strings.TrimSpace(string(jsonscan.Unquote(name)))
	return s, s != "" && fits(append(append([]byte{'"'}, name...), '"'))
}
