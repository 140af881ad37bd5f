package yamlfile

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// value reads a node into v and reports whether it could. A nil node leaves the defaults; at is where to point then.
func (f *File) value(path string, at, node ast.Node, v reflect.Value) bool {
	if node != nil && refused(node) {
		f.wrong(path, node, nil, "anchors, aliases and tags are not read here; write it out")
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
		return f.value(path, at, node, v.Elem())
	}
	switch {
	case v.Type() == reflect.TypeFor[Raw]():
		v.Set(reflect.ValueOf(Raw{name: f.name, path: path, node: node, at: at, lookup: f.lookup}))
		return true
	case node != nil && readsYAML(v):
		return f.foreign(path, node, v)
	case readsText(v.Type()):
	case v.Kind() == reflect.Struct:
		var pairs []pair
		if node != nil {
			var ok bool
			if pairs, ok = f.pairs(path, node); !ok {
				f.wrong(path, node, nil, "expected a mapping with "+keysInWords(v.Type()))
				return false
			}
		}
		return f.fields(path, at, pairs, v)
	case v.Kind() == reflect.Map:
		return f.mapping(path, node, v)
	case v.Kind() == reflect.Slice:
		return f.list(path, node, v)
	case v.Kind() == reflect.Interface:
		return node == nil || f.foreign(path, node, v)
	}
	if node == nil {
		return true
	}
	text, shown, ok := f.scalar(path, node)
	if !ok {
		return false
	}
	if err := parse(v, text); err != nil {
		f.wrong(path, node, conceal(v, shown), f.scrub(expected(v, err)))
		return false
	}
	return true
}

// fields reads the keys of a mapping into a struct, and checks what came of it.
func (f *File) fields(path string, at ast.Node, pairs []pair, v reflect.Value) bool {
	before := len(f.problems)
	bad := map[string]bool{}
	where := map[string]ast.Node{}
	for _, p := range pairs {
		field, ok := fieldOf(v, p.key)
		if !ok {
			f.wrong(join(path, shortened(p.key)), p.at, nil, "unknown key; known here: "+strings.Join(keysOf(v.Type()), ", "))
			continue
		}
		where[p.key] = p.at
		switch {
		case !isNull(p.value):
			bad[p.key] = !f.value(join(path, p.key), p.at, p.value, field)
		case field.Type() == reflect.TypeFor[Raw](): // "rate:" with nothing behind it says nothing, but where it stands
			f.value(join(path, p.key), p.at, nil, field)
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
			f.value(join(path, key), at, nil, field) // what is required inside
		}
		if where[key] == nil && field.IsZero() && tag.Get("required") != "true" {
			return // nothing was said, and nothing need be
		}
		if allowed := checkTags(field, tag); allowed != "" {
			var shown any
			if where[key] != nil {
				shown = conceal(field, f.scrub(fmt.Sprint(field.Interface())))
			}
			f.wrong(join(path, key), node, shown, allowed)
		}
	})
	return len(f.problems) == before
}

// mapping reads a mapping whose keys are the user's own.
func (f *File) mapping(path string, node ast.Node, v reflect.Value) bool {
	if node == nil {
		return true
	}
	pairs, ok := f.pairs(path, node)
	if !ok {
		f.wrong(path, node, nil, "expected a mapping")
		return false
	}
	m := reflect.MakeMap(v.Type())
	for _, p := range pairs {
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillDefaults(value)
		if err := parse(key, p.key); err != nil {
			f.wrong(join(path, shortened(p.key)), p.at, nil, expected(key, err))
			ok = false
		}
		if !isNull(p.value) {
			ok = f.value(join(path, p.key), p.at, p.value, value) && ok
		}
		m.SetMapIndex(key, value)
	}
	v.Set(m)
	return ok
}

// list reads a sequence, or one text as a list of one.
func (f *File) list(path string, node ast.Node, v reflect.Value) bool {
	if node == nil {
		return true
	}
	items := []ast.Node{node}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		items = sequence.Values
	} else if _, isText := scalarText(node); !isText {
		f.wrong(path, node, nil, "expected a list")
		return false
	}
	ok := true
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		fillDefaults(list.Index(i))
		at := path + "[" + called(item, i) + "]"
		if isNull(item) {
			f.wrong(at, item, nil, "there is nothing behind the dash")
			ok = false
			continue
		}
		ok = f.value(at, item, item, list.Index(i)) && ok
	}
	v.Set(list)
	return ok
}

// foreign is for types that read YAML themselves.
func (f *File) foreign(path string, node ast.Node, v reflect.Value) bool {
	ok := true
	before := map[*ast.StringNode]string{} // the tree is not ours alone
	defer func() {
		for n, text := range before {
			n.Value = text
		}
	}()
	ast.Walk(scalars(func(n *ast.StringNode) {
		text, _, good := f.substitute(path, n)
		before[n] = n.Value
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
		f.wrong(path, node, nil, f.scrub(words))
		return false
	}
	return true
}
