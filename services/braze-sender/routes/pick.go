package routes

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/braze"
)

// picks take over properties as they are, byte by byte, without jq: some of them, or all, some under
// another name.
type picks struct {
	only   []string // nil: all
	rename map[string]string
}

func (p picks) none() bool { return p.only == nil && len(p.rename) == 0 }

// member is a name and its JSON.
type member struct {
	name    string
	value   []byte
	renamed bool
}

// fromObject picks from an object, in the object's order.
func (p picks) fromObject(text []byte) ([]byte, error) {
	if len(text) == 0 {
		return nil, nil
	}
	d := jsontext.NewDecoder(bytes.NewReader(text), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	tok, err := d.ReadToken()
	if err == nil && tok.Kind() != '{' {
		return nil, errors.New("properties: want an object")
	}
	var list []member
	for err == nil && d.PeekKind() != '}' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err != nil {
			break
		}
		own := name.String()
		var value jsontext.Value
		if value, err = d.ReadValue(); err == nil && p.takes(own) {
			list = append(list, p.named(own, bytes.Clone(value)))
		}
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	if err != nil {
		return nil, fmt.Errorf("properties: %w", err)
	}
	return write(list), nil
}

// fromView picks fields of the record, in the order in which the file names them.
func (p picks) fromView(a *application) ([]byte, error) {
	view, err := a.view()
	if err != nil {
		return nil, err
	}
	var list []member
	for _, own := range p.only {
		if view[own] == nil {
			continue
		}
		value, err := encode(view[own], braze.MaxPropertyBytes)
		if err != nil {
			return nil, within(own, err)
		}
		list = append(list, p.named(own, value))
	}
	return write(list), nil
}

func (p picks) takes(name string) bool { return p.only == nil || slices.Contains(p.only, name) }

func (p picks) named(own string, value []byte) member {
	if other, ok := p.rename[own]; ok {
		return member{name: other, value: value, renamed: true}
	}
	return member{name: own, value: value}
}

// write makes an object of members. Of two with one name the renamed one counts, and else the last, as
// Braze would read it.
func write(list []member) []byte {
	winner := make(map[string]int, len(list))
	for i, m := range list {
		if j, ok := winner[m.name]; !ok || m.renamed || !list[j].renamed {
			winner[m.name] = i
		}
	}
	o := object{dst: []byte{'{'}}
	for i, m := range list {
		if winner[m.name] == i {
			o.raw(m.name, m.value)
		}
	}
	return append(o.dst, '}')
}
