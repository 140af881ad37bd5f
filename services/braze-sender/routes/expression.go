package routes

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// program reads a jq expression.
func (f *file) program(into **program) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		s, ok := scalar(node)
		if !ok {
			f.wrong(path, node, nil, "expected a jq expression; put it in quotes where it begins with { or [")
			return
		}
		p, err := compile(s)
		if err != nil {
			f.wrong(path, node, s, "a jq expression: "+err.Error())
			return
		}
		*into = p
	}
}

// shape reads properties: one jq expression, or a mapping of names to one each.
func (f *file) shape(into **shape) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		pairs, ok := pairsOf(node)
		if !ok {
			s := &shape{}
			if f.program(&s.whole)(path, node); s.whole != nil {
				*into = s
			}
			return
		}
		s, before := &shape{}, len(f.problems)
		array := "["
		for _, pair := range pairs {
			name := text(pair.Key)
			var part *program
			if f.program(&part)(join(path, name), pair.Value); part == nil {
				continue
			}
			s.names, s.parts = append(s.names, name), append(s.parts, part)
			// On lines of their own, since an expression may end in a comment.
			array += "[\n" + part.query + "\n],"
		}
		if len(f.problems) > before {
			return
		}
		var err error
		if s.all, err = compile(strings.TrimSuffix(array, ",") + "]"); err != nil {
			f.wrong(path, node, nil, "jq expressions: "+err.Error())
			return
		}
		*into = s
	}
}
