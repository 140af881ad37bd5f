package config

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// pair is one key of a mapping, with the line on which it stands.
type pair struct {
	key   string
	line  int
	value ast.Node
}

// anchorFinder remembers what each &name stands for.
type anchorFinder map[string]ast.Node

// Visit is called by ast.Walk.
func (a anchorFinder) Visit(node ast.Node) ast.Visitor {
	if anchor, ok := node.(*ast.AnchorNode); ok {
		a[word(anchor.Name)] = anchor.Value
	}
	return a
}

// resolve follows aliases, and strips anchors and the standard tags. What comes of an alias that
// leads nowhere, or in a circle, or of a tag of someone's own, is a node that no field takes.
func (y *yamlFile) resolve(node ast.Node) ast.Node {
	for range 16 { // deeper only if an alias is its own target
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.AliasNode:
			node = y.anchors[word(n.Value)]
		case *ast.TagNode:
			if !strings.HasPrefix(n.Start.Value, "!!") {
				return n
			}
			node = n.Value
		default:
			return node
		}
	}
	return nil
}

// pairs lists the keys of a mapping, those merged in with << last and only where the mapping has no
// such key itself. Not ok means that the node is no mapping.
func (y *yamlFile) pairs(node ast.Node) (pairs []pair, ok bool) {
	return y.pairsWithin(node, 0)
}

func (y *yamlFile) pairsWithin(node ast.Node, depth int) (pairs []pair, ok bool) {
	var values []*ast.MappingValueNode
	switch n := y.resolve(node).(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		return nil, isNull(n)
	}
	seen := map[string]bool{}
	var merged []pair
	for _, v := range values {
		if v.Key.IsMergeKey() {
			more, ok := y.merge(v.Value, depth)
			if !ok {
				return nil, false
			}
			merged = append(merged, more...)
			continue
		}
		key := word(v.Key)
		seen[key] = true
		pairs = append(pairs, pair{key: key, line: line(v.Key), value: v.Value})
	}
	for _, p := range merged {
		if !seen[p.key] {
			seen[p.key] = true
			pairs = append(pairs, p)
		}
	}
	return pairs, true
}

// merge lists the keys that << brings: those of one mapping, or of a list of them.
func (y *yamlFile) merge(node ast.Node, depth int) (pairs []pair, ok bool) {
	if depth > 8 { // an anchor that merges itself
		return nil, false
	}
	items, isList := sequence(y.resolve(node))
	if !isList {
		items = []ast.Node{node}
	}
	for _, item := range items {
		more, ok := y.pairsWithin(item, depth+1)
		if !ok {
			return nil, false
		}
		pairs = append(pairs, more...)
	}
	return pairs, true
}

func sequence(node ast.Node) ([]ast.Node, bool) {
	if n, ok := node.(*ast.SequenceNode); ok {
		return n.Values, true
	}
	return nil, false
}

// scalar is the text of a resolved node as the file has it, so that 0123 stays four characters long
// where text is wanted.
func scalar(node ast.Node) (string, bool) {
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

// word is what a key or an anchor's name says.
func word(node ast.Node) string {
	switch n := node.(type) {
	case nil:
		return ""
	case *ast.MappingKeyNode:
		return word(n.Value)
	case *ast.StringNode:
		return n.Value
	}
	if token := node.GetToken(); token != nil {
		return token.Value
	}
	return ""
}

func isNull(node ast.Node) bool {
	_, null := node.(*ast.NullNode)
	return null
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

// position is "file:line" of a node.
func (l *loader) position(node ast.Node) string {
	if n := line(node); n > 0 {
		return fmt.Sprintf("%s:%d", l.file, n)
	}
	return l.file
}

// keys lists what a section knows.
func (s *section) keys() string {
	names := make([]string, len(s.entries))
	for i, e := range s.entries {
		names[i] = e.name
	}
	return strings.Join(names, ", ")
}
