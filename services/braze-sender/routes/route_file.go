package routes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/sluicehq/sluice/pkg/event"
)

// Parse reads a route file's text; name stands in the errors, which are config.Problems: one for
// everything that is wrong, with its line and with what is allowed.
func Parse(name string, text []byte) (*Table, error) {
	f := &file{name: name}
	if len(text) > maxFile {
		f.at(0, "", nil, fmt.Sprintf("at most %d bytes", maxFile))
		return nil, f.err()
	}
	t := &Table{}
	if root := f.parseYAML(text); root != nil && !isNull(root) {
		f.object("", root,
			key{"routes", func(path string, node ast.Node) {
				f.list(path, node, func(path string, node ast.Node) { t.routes = append(t.routes, f.route(path, node)) })
			}},
			key{"examples", func(path string, node ast.Node) {
				f.list(path, node, func(path string, node ast.Node) { t.examples = append(t.examples, f.example(path, node)) })
			}},
		)
	}
	seen := map[string]bool{}
	for i, r := range t.routes {
		if r.name != "" && seen[r.name] {
			f.at(r.line, fmt.Sprintf("routes[%d].name", i), r.name, "a name that no other route has")
		}
		seen[r.name] = true
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	t.events, t.commerce = newIndex(t.routes, EventsTopic), newIndex(t.routes, CommerceTopic)
	t.updates, t.cases = newIndex(t.routes, AttributesTopic), newIndex(t.routes, CasesTopic)
	return t, nil
}

// route reads one route.
func (f *file) route(path string, node ast.Node) *route {
	r := &route{line: line(node)}
	var priority *Priority
	var inDoubt InDoubt
	var sends []ast.Node
	f.object(path, node,
		key{"name", f.text(&r.name, routeName)},
		key{"match", func(path string, node ast.Node) { f.match(&r.match, path, node) }},
		key{"when", f.program(&r.when)},
		key{"send", func(path string, node ast.Node) {
			f.list(path, node, func(_ string, node ast.Node) { sends = append(sends, node) })
		}},
		key{"priority", f.urgency(&priority)},
		key{"in_doubt", oneOf(f, &inDoubt, inDoubtNames)},
		key{"continue", f.flag(&r.proceeds)},
	)
	if _, ok := pairsOf(node); !ok {
		return r
	}
	if !f.has(path, "name") && r.name == "" {
		f.missing(path, node, "name", "it stands in metrics and receipts")
	}
	if r.match.topic == "" && !f.has(path, "match") {
		f.missing(path, node, "match", "with a topic: "+strings.Join(Topics(), ", "))
	}
	if len(sends) == 0 && !f.has(path, "send") {
		f.missing(path, node, "send", "a list of at least one thing to send, or skip")
	}
	for i, node := range sends { // last, since what may be sent depends on the topic
		sf := &sendFile{file: f, topic: r.match.topic, priority: priority, send: send{inDoubt: inDoubt}}
		s := sf.read(fmt.Sprintf("%s.send[%d]", path, i), fmt.Sprintf("send[%d]", i), node)
		if _, skips := s.actor.(skipSend); skips && (len(sends) > 1 || r.proceeds) {
			f.wrong(path+".send", node, nil, "skip stands alone, and without continue")
		}
		r.sends = append(r.sends, s)
	}
	return r
}

// has says whether something is wrong at a place already, so that it is not missed as well.
func (f *file) has(path, name string) bool {
	at := join(path, name)
	for _, p := range f.problems {
		if p.Field == at || strings.HasPrefix(p.Field, at+".") || strings.HasPrefix(p.Field, at+"[") {
			return true
		}
	}
	return false
}

// routeName is the check of a route's name, which labels metrics and stands in receipts.
func routeName(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
	}
	if s == "" || len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return "1 to 64 letters, digits, dots, dashes or underscores"
	}
	return ""
}

func (f *file) match(m *matcher, path string, node ast.Node) {
	var events, sources []string
	f.object(path, node,
		key{"topic", f.text(&m.topic, func(s string) string {
			if !slices.Contains(Topics(), s) {
				return strings.Join(Topics(), ", ")
			}
			return ""
		})},
		key{"event", f.texts(&events)},
		key{"source", f.texts(&sources)},
	)
	m.events, m.sources = events, sources
	if m.topic == "" && !f.has(path, "topic") {
		f.missing(path, node, "topic", "one of "+strings.Join(Topics(), ", "))
	}
	switch m.topic {
	case CommerceTopic:
		matchWords(f, m, path, node, "a type of commerce event", event.CommerceTypes())
	case CasesTopic:
		matchWords(f, m, path, node, "what happens to a case", event.CaseEvents())
	}
}

// matchWords holds a topic's events to those there are.
func matchWords[T ~string](f *file, m *matcher, path string, node ast.Node, what string, known []T) {
	names := make([]string, len(known))
	for i, word := range known {
		names[i] = string(word)
	}
	for _, pattern := range m.events {
		if !slices.ContainsFunc(names, patterns{pattern}.match) {
			f.wrong(join(path, "event"), node, pattern, what+", or a pattern of some: "+strings.Join(names, ", "))
		}
	}
}

// urgency reads a priority, and remembers that one was given.
func (f *file) urgency(into **Priority) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		var p Priority
		oneOf(f, &p, priorityNames)(path, node)
		*into = &p
	}
}
