package commerce

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// metadata writes what the source says beside what is known here, and what the event's schema has no
// property for.
func (e *encoder) metadata(list []member, completeDiscounts bool) {
	at := len(e.dst)
	e.name("metadata")
	inner := inside(e.commerce.Metadata)
	e.dst = append(append(e.dst, '{'), inner...)
	empty := len(e.dst)
	for i := range list {
		if m := &list[i]; m.known() && m.place == inMetadata {
			e.freeName(inner, m.name)
			e.value(m)
		}
	}
	s := &e.shape
	if len(e.commerce.Discounts) > 0 && !s.free && (s.discounts == inMetadata || !completeDiscounts) {
		e.freeName(inner, "discounts")
		e.discounts()
	}
	if s.viewed {
		e.viewedMetadata(inner)
	} else if e.keep < len(e.commerce.Lines) {
		e.omitted(inner)
	}
	if len(e.dst) == empty && len(inner) == 0 {
		e.dst = e.dst[:at] // there is nothing to say
		return
	}
	e.dst = append(e.dst, '}')
}

// viewedMetadata writes what a view's schema has no property for, of the product.
func (e *encoder) viewedMetadata(inner []byte) {
	l := &e.commerce.Lines[0]
	if l.Quantity > 0 {
		e.freeName(inner, "quantity")
		e.dst = strconv.AppendInt(e.dst, l.Quantity, 10)
	}
	if len(inside(l.Metadata)) > 0 {
		e.freeName(inner, "product_metadata")
		e.dst = append(e.dst, l.Metadata...)
	}
	e.longURLs(inner, l)
}

// freeName writes a name into metadata that has inner already: the name itself, or one of our own
// where the source's metadata has that name too.
func (e *encoder) freeName(inner []byte, name string) {
	if !has(inner, name) {
		e.name(name)
		return
	}
	e.name("commerce_")
	e.dst = append(append(e.dst[:len(e.dst)-len(`":`)], name...), '"', ':')
}

// has reports whether the members of an object, without its braces, include one of that name.
func has(inner []byte, name string) bool {
	// A name is written as it is, or with escapes; where there is neither, there is no need to look.
	if !bytes.Contains(inner, []byte(name)) && !bytes.Contains(inner, []byte(`\u`)) {
		return false
	}
	object := append(append([]byte{'{'}, inner...), '}')
	d := jsontext.NewDecoder(bytes.NewReader(object))
	for _, err := d.ReadToken(); err == nil && d.PeekKind() == '"'; err = d.SkipValue() {
		token, err := d.ReadToken()
		if err != nil {
			return false
		}
		if token.String() == name {
			return true
		}
	}
	return false
}

// isObject reports whether bytes are a JSON object, or nothing.
func isObject(b []byte) bool {
	return len(b) == 0 || jsontext.Value(b).IsValid() && jsontext.Value(b).Kind() == '{'
}

const space = " \t\r\n"

// inside is what stands between the braces of an object that is valid, or nothing.
func inside(object []byte) []byte {
	if len(object) == 0 {
		return nil
	}
	object = bytes.Trim(object, space)
	return bytes.Trim(object[1:len(object)-1], space)
}
