package yamlfile

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// parse is the root of the one document in the text; nil where there is none.
func (f *File) parse(text []byte) (root ast.Node) {
	defer func() {
		if r := recover(); r != nil { // a parser that is fed by hand may meet what it did not expect
			root = nil
			f.wrong("", nil, nil, "not YAML: cannot be parsed")
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
		f.wrong("", nil, nil, "not YAML: "+what)
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

// pair is one key of a mapping.
type pair struct {
	key   string
	at    ast.Node
	value ast.Node
}

// pairs lists the keys of a mapping, each of which may stand there once; false for what is no mapping.
func (f *File) pairs(path string, node ast.Node) ([]pair, bool) {
	values, ok := mappingOf(node)
	if !ok {
		return nil, isNull(node)
	}
	var pairs []pair
	seen := map[string]bool{}
	for _, v := range values {
		p := pair{key: keyText(v.Key), at: v.Key, value: v.Value}
		if v.Key.IsMergeKey() {
			f.wrong(path, v.Key, nil, "merging with << is not read here; write it out")
			continue
		}
		if seen[p.key] {
			f.wrong(join(path, shortened(p.key)), v.Key, nil, "the key stands here twice")
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

// callers are the keys by which the elements of lists are called, the first of which counts.
var callers = []string{"name", "object", "field"}

// callable fits no number: that is an element without a name.
var callable = regexp.MustCompile(`^([0-9]+-|[0-9]*[A-Za-z_])[A-Za-z0-9_-]*$`)

const longestName = 63

// called is what an element of a list is called in messages: by its name as soon as it has one, since a number says little.
func called(element ast.Node, i int) string {
	values, _ := mappingOf(element)
	for _, caller := range callers {
		for _, v := range values {
			if keyText(v.Key) != caller {
				continue
			}
			if text, ok := scalarText(v.Value); ok && len(text) <= longestName && callable.MatchString(text) {
				return text
			}
			return strconv.Itoa(i)
		}
	}
	return strconv.Itoa(i)
}

// find is the node behind a path of keys apart by dots and of elements in brackets, as far as it goes; nil for nothing of it.
func find(node ast.Node, path string) ast.Node {
	var found ast.Node
	for key := range strings.SplitSeq(strings.ReplaceAll(path, "[", ".["), ".") {
		var next ast.Node
		if element, is := strings.CutPrefix(key, "["); is {
			next = elementOf(node, strings.TrimSuffix(element, "]"))
			if next != nil {
				found = next
			}
		} else {
			values, _ := mappingOf(node)
			for _, v := range values {
				if keyText(v.Key) == key {
					found, next = v.Key, v.Value
				}
			}
		}
		if next == nil {
			break
		}
		node = next
	}
	return found
}

func elementOf(node ast.Node, word string) ast.Node {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		return nil
	}
	for i, element := range sequence.Values {
		if word == strconv.Itoa(i) || called(element, i) == word {
			return element
		}
	}
	return nil
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
