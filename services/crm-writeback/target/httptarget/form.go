package httptarget

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/itchyny/gojq"
)

var (
	errNoForm   = errors.New("a form is made of an object")
	errDeepForm = errors.New("a form holds no lists in lists")
)

// appendForm appends an object as application/x-www-form-urlencoded, in the order of names. What is nested has its way
// in brackets, and the number of a list's element stands last, as Chargebee and those like it have it:
//
//	{"cf_tier": "gold", "billing_address": {"city": "Graz"}, "items": [{"price": "p1"}, {"price": "p2"}], "tags": ["a"]}
//	cf_tier=gold&billing_address[city]=Graz&items[price][0]=p1&items[price][1]=p2&tags[0]=a
//
// The brackets are escaped, null is the empty text, numbers keep their digits.
func appendForm(dst []byte, value any) ([]byte, error) {
	object, ok := value.(map[string]any)
	if !ok {
		return dst, errNoForm
	}
	return appendMembers(dst, "", "", object)
}

func appendMembers(dst []byte, way, index string, object map[string]any) ([]byte, error) {
	var err error
	for _, name := range slices.Sorted(maps.Keys(object)) {
		next := name
		if way != "" {
			next = way + "[" + name + "]"
		}
		if dst, err = appendField(dst, next, index, object[name]); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendField(dst []byte, way, index string, value any) ([]byte, error) {
	switch v := value.(type) {
	case map[string]any:
		return appendMembers(dst, way, index, v)
	case []any:
		if index != "" {
			return dst, errDeepForm
		}
		var err error
		for i, element := range v {
			if dst, err = appendField(dst, way, "["+strconv.Itoa(i)+"]", element); err != nil {
				return dst, err
			}
		}
		return dst, nil
	}
	word := ""
	switch v := value.(type) {
	case nil:
	case string:
		word = v
	default:
		raw, err := gojq.Marshal(v)
		if err != nil {
			return dst, err
		}
		word = string(raw)
	}
	if len(dst) > 0 {
		dst = append(dst, '&')
	}
	dst = append(dst, url.QueryEscape(way+index)...)
	return append(append(dst, '='), url.QueryEscape(word)...), nil
}
