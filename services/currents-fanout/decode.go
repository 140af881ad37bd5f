package currentsfanout

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicehq/sluice/pkg/config"
)

// decoder reads the syntax tree of a YAML file into structs. A general decoder would stop at the first mistake, quote the
// file around it, secrets included, and have forgotten by then which line a value came from.
//
// Tags: yaml (the key; "-" leaves the field alone, ",inline" adds no level), default, required, oneof, min and
// max, as package config has them.
type decoder struct {
	name     string // of the file
	lookup   func(string) (string, bool)
	problems []problem
	secrets  []string // what the environment has put into it
}

// problem is a config.Problem with its line, or 0.
type problem struct {
	config.Problem
	line int
}

// value reads a node into v and reports whether it could. A nil node leaves the defaults; at is where to point then.
func (d *decoder) value(path string, at, node ast.Node, v reflect.Value) bool {
	if node != nil && refused(node) {
		d.wrong(path, node, nil, "anchors, aliases and tags are not read here; write it out")
		return false
	}
	if v.Kind() == reflect.Pointer {
		if isNull(node) {
			return true
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
			fillDefaults(v.Elem())
		}
		return d.value(path, at, node, v.Elem())
	}
	switch {
	case node != nil && readsYAML(v):
		return d.foreign(path, node, v)
	case readsText(v.Type()):
	case v.Kind() == reflect.Struct:
		var pairs []pair
		if node != nil {
			var ok bool
			if pairs, ok = d.pairs(path, node); !ok {
				d.wrong(path, node, nil, "expected a mapping with the keys "+strings.Join(keysOf(v.Type()), ", "))
				return false
			}
		}
		return d.fields(path, at, pairs, v)
	case v.Kind() == reflect.Map:
		return d.mapping(path, node, v)
	case v.Kind() == reflect.Slice:
		return d.list(path, node, v)
	case v.Kind() == reflect.Interface:
		return node == nil || d.foreign(path, node, v)
	}
	if node == nil {
		return true
	}
	text, shown, ok := d.scalar(path, node)
	if !ok {
		return false
	}
	if err := parse(v, text); err != nil {
		d.wrong(path, node, conceal(v, shown), d.scrub(expected(v, err)))
		return false
	}
	return true
}

// fields reads the keys of a mapping into a struct, and checks what came of it.
func (d *decoder) fields(path string, at ast.Node, pairs []pair, v reflect.Value) bool {
	before := len(d.problems)
	bad := map[string]bool{}
	where := map[string]ast.Node{}
	for _, p := range pairs {
		field, _, ok := fieldOf(v, p.key)
		if !ok {
			d.wrong(join(path, shortened(p.key)), p.at, nil, "unknown key; known here: "+strings.Join(keysOf(v.Type()), ", "))
			continue
		}
		where[p.key] = p.at
		if !isNull(p.value) { // "rate:" with nothing behind it says nothing
			bad[p.key] = !d.value(join(path, p.key), p.at, p.value, field)
		}
	}
	eachField(v, func(key string, field reflect.Value, tag reflect.StructTag) {
		if bad[key] {
			return
		}
		node := where[key]
		if node == nil {
			node = at
		}
		if where[key] == nil && field.Kind() == reflect.Struct && !readsText(field.Type()) {
			d.value(join(path, key), at, nil, field) // what is required inside
		}
		if where[key] == nil && field.IsZero() && tag.Get("required") != "true" {
			return // nothing was said, and nothing need be
		}
		if allowed := checkTags(field, tag); allowed != "" {
			var shown any
			if where[key] != nil {
				shown = conceal(field, d.scrub(fmt.Sprint(field.Interface())))
			}
			d.wrong(join(path, key), node, shown, allowed)
		}
	})
	return len(d.problems) == before
}

// mapping reads a mapping whose keys are the user's own.
func (d *decoder) mapping(path string, node ast.Node, v reflect.Value) bool {
	if node == nil {
		return true
	}
	pairs, ok := d.pairs(path, node)
	if !ok {
		d.wrong(path, node, nil, "expected a mapping")
		return false
	}
	m := reflect.MakeMap(v.Type())
	for _, p := range pairs {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillDefaults(value)
		if err := parse(key, p.key); err != nil {
			d.wrong(join(path, shortened(p.key)), p.at, nil, expected(key, err))
			ok = false
		}
		if !isNull(p.value) {
			ok = d.value(join(path, p.key), p.at, p.value, value) && ok
		}
		m.SetMapIndex(key, value)
	}
	v.Set(m)
	return ok
}

// list reads a sequence, or one text as a list of one.
func (d *decoder) list(path string, node ast.Node, v reflect.Value) bool {
	if node == nil {
		return true
	}
	items := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		items = sequence.Values
	} else if _, isText := scalarText(node); !isText {
		d.wrong(path, node, nil, "expected a list")
		return false
	}
	ok := true
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		fillDefaults(list.Index(i))
		at := fmt.Sprintf("%s[%d]", path, i)
		if isNull(item) {
			d.wrong(at, item, nil, "there is nothing behind the dash")
			ok = false
			continue
		}
		ok = d.value(at, item, item, list.Index(i)) && ok
	}
	v.Set(list)
	return ok
}

// foreign is for types that read YAML themselves.
func (d *decoder) foreign(path string, node ast.Node, v reflect.Value) bool {
	ok := true
	ast.Walk(scalars(func(n *ast.StringNode) {
		text, _, good := d.substitute(path, n)
		n.Value, ok = text, ok && good
	}), node)
	if !ok {
		return false
	}
	if err := yaml.NodeToValue(node, v.Addr().Interface(), yaml.Strict()); err != nil {
		words := err.Error()
		var told interface{ GetMessage() string } // without the file around it
		if errors.As(err, &told) {
			words = told.GetMessage()
		}
		d.wrong(path, node, nil, d.scrub(words))
		return false
	}
	return true
}

// objections notes what a Validate has found.
func (d *decoder) objections(path string, node ast.Node, err error) {
	for _, e := range flatten(err) {
		var p config.Problem
		if !errors.As(e, &p) {
			p = config.Problem{Allowed: e.Error()}
		}
		p.Allowed = d.scrub(p.Allowed)
		if text, ok := p.Value.(string); ok {
			p.Value = d.scrub(text)
		}
		at := find(node, p.Field)
		if at == nil {
			at = node
		}
		d.wrong(join(path, p.Field), at, p.Value, p.Allowed)
	}
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

// wrong notes what is wrong at a node.
func (d *decoder) wrong(path string, node ast.Node, value any, allowed string) {
	at, origin := line(node), d.name
	if at > 0 {
		origin += ":" + strconv.Itoa(at)
	}
	if path == "" {
		path, origin = origin, ""
	}
	d.problems = append(d.problems, problem{config.Problem{Field: path, Origin: origin, Value: value, Allowed: allowed}, at})
}

// err is everything that is wrong, from top to bottom.
func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var list config.Problems
	for _, p := range d.problems {
		if !slices.Contains(list, p.Problem) {
			list = append(list, p.Problem)
		}
	}
	return list
}
