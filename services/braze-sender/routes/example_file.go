package routes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/goccy/go-yaml/ast"
)

// example reads one.
func (f *file) example(path string, node ast.Node) example {
	e := example{line: line(node)}
	var record, expect ast.Node
	f.object(path, node,
		key{"name", f.text(&e.name, upTo(200))},
		key{"record", func(_ string, node ast.Node) { record = node }},
		key{"expect", func(_ string, node ast.Node) { expect = node }},
	)
	if e.name == "" && !f.has(path, "name") {
		f.missing(path, node, "name", "a sentence that says what holds")
	}
	if record == nil {
		f.missing(path, node, "record", "fields of a record as sluice tap shows them, and its topic")
	} else {
		f.exampleRecord(&e, join(path, "record"), record)
	}
	if expect == nil {
		f.missing(path, node, "expect", "a list of actions, or refused: with a part of the message")
	} else {
		f.expectation(&e, join(path, "expect"), expect)
	}
	return e
}

func (f *file) exampleRecord(e *example, path string, node ast.Node) {
	tree, ok := f.tree(path, node, 0)
	if !ok {
		return
	}
	fields, ok := tree.(map[string]any)
	if !ok {
		f.wrong(path, node, nil, "expected a mapping")
		return
	}
	topic, _ := fields["topic"].(string)
	backfill, _ := fields["backfill"].(bool)
	delete(fields, "backfill")
	// What an example is not about need not stand in it.
	entered := "received_at"
	if topic == AttributesTopic {
		entered = "decided_at"
	}
	for name, value := range map[string]any{
		"event_id": "example", "source": "example", "occurred_at": "2026-03-02T09:15:04.210Z", entered: "2026-03-02T09:15:04.900Z",
	} {
		if _, ok := fields[name]; !ok {
			fields[name] = value
		}
	}
	if !slices.ContainsFunc([]string{"external_id", "braze_id", "alias_name", "email", "phone"}, func(id string) bool { return fields[id] != nil }) {
		fields["external_id"] = "somebody"
	}
	if topic == EventsTopic && fields["event_kind"] == nil {
		fields["event_kind"] = "track"
	}
	record, err := parseRecord(topic, appendValue(nil, fields), jsonv2.RejectUnknownMembers(true))
	if err != nil {
		f.wrong(path, node, nil, strings.TrimPrefix(err.Error(), "reading record: "))
		return
	}
	record.Backfill = backfill
	e.record = record
}

func (f *file) expectation(e *example, path string, node ast.Node) {
	if _, isList := node.(*ast.SequenceNode); !isList {
		f.object(path, node, key{"refused", f.text(&e.refused, filled)})
		return
	}
	tree, ok := f.tree(path, node, 0)
	if !ok {
		return
	}
	e.want, _ = tree.([]any)
	if len(e.want) == 0 {
		f.wrong(path, node, nil, "at least one action; skip is one")
	}
	for i, want := range e.want {
		fields, _ := want.(map[string]any)
		kinds := 0
		for name := range maps.Keys(fields) {
			if slices.Contains(kindNames[1:], name) {
				kinds++
			} else if name != "route" {
				f.wrong(fmt.Sprintf("%s[%d].%s", path, i, name), node, nil, "unknown key; known here: "+strings.Join(kindNames[1:], ", ")+", route")
			}
		}
		if kinds != 1 {
			f.wrong(fmt.Sprintf("%s[%d]", path, i), node, nil, "expected one of "+strings.Join(kindNames[1:], ", ")+", and route if it matters")
		}
	}
}

// tree makes of YAML what JSON would make of it, numbers with their digits.
func (f *file) tree(path string, node ast.Node, depth int) (any, bool) {
	if depth > maxDepth {
		f.wrong(path, node, nil, errDeep.Error())
		return nil, false
	}
	if pairs, ok := pairsOf(node); ok {
		members := make(map[string]any, len(pairs))
		for _, p := range pairs {
			name := text(p.Key)
			v, ok := f.tree(join(path, name), p.Value, depth+1)
			if !ok {
				return nil, false
			}
			members[name] = v
		}
		return members, true
	}
	switch n := node.(type) {
	case nil, *ast.NullNode:
		return nil, true
	case *ast.SequenceNode:
		list := make([]any, len(n.Values))
		for i, item := range n.Values {
			var ok bool
			if list[i], ok = f.tree(fmt.Sprintf("%s[%d]", path, i), item, depth+1); !ok {
				return nil, false
			}
		}
		return list, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode, *ast.FloatNode:
		if s, _ := scalar(node); isNumber(s) {
			return json.Number(s), true
		}
		f.wrong(path, node, nil, "a number as JSON writes it, or a text in quotes")
		return nil, false
	}
	s, ok := scalar(node)
	if !ok {
		f.wrong(path, node, nil, "a text, number, true, false, null, list or mapping")
	}
	return s, ok
}
