package routes

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/sluicehq/sluice/pkg/config"
)

// file is a YAML file on its way into a table. It is walked as a syntax tree rather than decoded, so
// that everything that is wrong is found at once, each with its line and with what would be right.
// What a route file does not need is refused: anchors, aliases, merges and tags would make two places
// of one line.
type file struct {
	name     string
	problems []problem
}

// problem is a config.Problem with its line, or 0.
type problem struct {
	config.Problem
	line int
}

// key is one key that a mapping may have, and what reads its value.
type key struct {
	name string
	read func(path string, node ast.Node)
}

// parseYAML is the root of the one document in the text; nil where there is none.
func (f *file) parseYAML(text []byte) (root ast.Node) {
	defer func() {
		if r := recover(); r != nil { // a parser that is fed by hand may meet what it did not expect
			root = nil
			f.at(0, "", nil, "not YAML: cannot be parsed")
		}
	}()
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		at, what := 0, "cannot be parsed"
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			what = syntax.GetMessage()
			if token := syntax.GetToken(); token != nil && token.Position != nil {
				at = token.Position.Line
			}
		}
		f.at(at, "", nil, "not YAML: "+what)
		return nil
	}
	for _, doc := range parsed.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			f.wrong("", doc.Body, nil, "one YAML document, not several")
		default:
			root = doc.Body
		}
	}
	return root
}

// wrong notes what is wrong with the value of a node, and what is allowed.
func (f *file) wrong(path string, node ast.Node, value any, allowed string) {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		value, allowed = nil, "anchors, aliases and tags are not read here; write it out"
	}
	f.at(line(node), path, value, allowed)
}

func (f *file) at(line int, path string, value any, allowed string) {
	origin := f.name
	if line > 0 {
		origin += ":" + strconv.Itoa(line)
	}
	if path == "" {
		path, origin = origin, ""
	}
	f.problems = append(f.problems, problem{config.Problem{Field: path, Origin: origin, Value: value, Allowed: allowed}, line})
}

// err is everything that is wrong, from top to bottom.
func (f *file) err() error {
	if len(f.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(f.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	list := make(config.Problems, len(f.problems))
	for i, p := range f.problems {
		list[i] = p.Problem
	}
	return list
}

// object reads a mapping that may have these keys and no other. What is null counts as absent.
func (f *file) object(path string, node ast.Node, keys ...key) {
	pairs, ok := pairsOf(node)
	if !ok {
		f.wrong(path, node, nil, "expected a mapping with the keys "+names(keys))
		return
	}
	for _, p := range pairs {
		name := text(p.Key)
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		switch {
		case i < 0:
			f.wrong(join(path, name), p.Key, nil, "unknown key; known here: "+names(keys))
		case !isNull(p.Value):
			keys[i].read(join(path, name), p.Value)
		}
	}
}

// list reads a sequence.
func (f *file) list(path string, node ast.Node, item func(path string, node ast.Node)) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		f.wrong(path, node, nil, "expected a list")
		return
	}
	for i, value := range sequence.Values {
		item(fmt.Sprintf("%s[%d]", path, i), value)
	}
}

// text reads a text; a number stands for its digits.
func (f *file) text(into *string, check func(string) string) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		s, ok := scalar(node)
		if !ok {
			f.wrong(path, node, nil, "expected a text")
			return
		}
		if allowed := check(s); allowed != "" {
			f.wrong(path, node, s, allowed)
			return
		}
		*into = s
	}
}

// texts reads a list of texts, or one.
func (f *file) texts(into *[]string) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		read := func(path string, node ast.Node) {
			var s string
			f.text(&s, filled)(path, node)
			*into = append(*into, s)
		}
		if _, ok := node.(*ast.SequenceNode); !ok {
			read(path, node)
			return
		}
		f.list(path, node, read)
		if len(*into) == 0 {
			f.wrong(path, node, nil, "expected at least one text")
		}
	}
}

// flag reads true or false.
func (f *file) flag(into *bool) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		b, ok := node.(*ast.BoolNode)
		if !ok {
			s, _ := scalar(node)
			f.wrong(path, node, s, "true or false")
			return
		}
		*into = b.Value
	}
}

// oneOf reads one of some words.
func oneOf[T ~uint8](f *file, into *T, words []string) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		s, _ := scalar(node)
		i := slices.Index(words, s)
		if i < 0 || s == "" {
			f.wrong(path, node, s, strings.Join(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" }), ", "))
			return
		}
		*into = T(i)
	}
}

// missing notes that a mapping lacks something.
func (f *file) missing(path string, node ast.Node, name, why string) {
	f.wrong(join(path, name), node, nil, "is needed: "+why)
}

// filled is the check of a text that must not be empty.
func filled(s string) string { return upTo(1 << 10)(s) }

// upTo is the check of a text of 1 to so many characters.
func upTo(most int) func(string) string {
	return func(s string) string {
		if n := len([]rune(s)); strings.TrimSpace(s) == "" || n > most {
			return fmt.Sprintf("a text of 1 to %d characters", most)
		}
		return ""
	}
}
