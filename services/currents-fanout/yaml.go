package currentsfanout

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// largestFile bounds sinks.yaml, and every file that holds a value.
const largestFile = 1 << 20

// parse is the root of the one document in the text; nil where there is none.
func (d *decoder) parse(text []byte) (root ast.Node) {
	defer func() {
		if r := recover(); r != nil { // a parser that is fed by hand may meet what it did not expect
			root = nil
			d.wrong("", nil, nil, "not YAML: cannot be parsed")
		}
	}()
	parsed, err := parser.ParseBytes(text, 0)
	if err != nil {
		what := "cannot be parsed"
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) {
			what = syntax.GetMessage()
			if token := syntax.GetToken(); token != nil && token.Position != nil {
				what = fmt.Sprintf("line %d: %s", token.Position.Line, what)
			}
		}
		d.wrong("", nil, nil, "not YAML: "+what)
		return nil
	}
	for _, doc := range parsed.Docs {
		switch {
		case doc.Body == nil:
		case root != nil:
			d.wrong("", doc.Body, nil, "one YAML document, not several")
		default:
			root = doc.Body
		}
	}
	return root
}

// pair is one key of a mapping.
type pair struct {
	key   string
	at    ast.Node
	value ast.Node
}

// pairs lists the keys of a mapping, each of which may stand there once; false for what is no mapping.
func (d *decoder) pairs(path string, node ast.Node) ([]pair, bool) {
	values, ok := mappingOf(node)
	if !ok {
		return nil, isNull(node)
	}
	var pairs []pair
	seen := map[string]bool{}
	for _, v := range values {
		p := pair{key: keyText(v.Key), at: v.Key, value: v.Value}
		if v.Key.IsMergeKey() {
			d.wrong(path, v.Key, nil, "merging with << is not read here; write it out")
			continue
		}
		if seen[p.key] {
			d.wrong(join(path, shortened(p.key)), v.Key, nil, "the key stands here twice")
			continue
		}
		seen[p.key] = true
		pairs = append(pairs, p)
	}
	return pairs, true
}

func mappingOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// word is the text of a key's value, if it is one.
func (d *decoder) word(pairs []pair, key string) string {
	for _, p := range pairs {
		if p.key == key {
			text, _ := scalarText(p.value)
			return text
		}
	}
	return ""
}

// find is the node behind a path of keys apart by dots, as far as it goes; nil for nothing of it.
func find(node ast.Node, path string) ast.Node {
	var found ast.Node
	for key := range strings.SplitSeq(path, ".") {
		key, _, _ = strings.Cut(key, "[")
		values, _ := mappingOf(node)
		node = nil
		for _, v := range values {
			if keyText(v.Key) == key {
				found, node = v.Key, v.Value
			}
		}
	}
	return found
}

// scalarText is the text of a node as the file has it, so that a campaign called 007 keeps its zeros.
func scalarText(node ast.Node) (string, bool) {
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func keyText(node ast.Node) string {
	if k, ok := node.(*ast.MappingKeyNode); ok {
		node = k.Value
	}
	if s, ok := node.(*ast.StringNode); ok {
		return s.Value
	}
	if token := node.GetToken(); token != nil {
		return token.Value
	}
	return ""
}

func isNull(node ast.Node) bool {
	_, null := node.(*ast.NullNode)
	return null || node == nil
}

// refused reports whether a node makes two places of one, or is of a type of somebody's own.
func refused(node ast.Node) bool {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		return true
	}
	return false
}

func line(node ast.Node) int {
	if node == nil {
		return 0
	}
	if token := node.GetToken(); token != nil && token.Position != nil {
		return token.Position.Line
	}
	return 0
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

func shortened(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return s
}

// scalars visits every text below a node.
type scalars func(*ast.StringNode)

// Visit is called by ast.Walk.
func (f scalars) Visit(node ast.Node) ast.Visitor {
	if s, ok := node.(*ast.StringNode); ok {
		f(s)
	}
	return f
}
