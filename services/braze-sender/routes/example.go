package routes

import (
	"encoding/json"
	"fmt"
	"strings"
)

// example is a record with what its author expects to become of it.
type example struct {
	name    string
	line    int
	record  Record
	want    []any  // actions in the form of Action.AppendJSON; what is not mentioned may be anything
	refused string // instead: a part of the error's text
}

// ExampleFailure is an example that does not hold.
type ExampleFailure struct {
	Name string `json:"name"`
	Line int    `json:"line"` // where it stands in the file
	Want string `json:"want"`
	Got  string `json:"got"`
}

// Error says both sides.
func (e ExampleFailure) Error() string {
	return fmt.Sprintf("example %q (line %d): want %s, got %s", e.Name, e.Line, e.Want, e.Got)
}

// CheckExamples runs the file's examples: how many there are, and those that do not hold.
func (t *Table) CheckExamples() (n int, failures []ExampleFailure) {
	for _, e := range t.examples {
		actions, err := t.Apply(e.record)
		if e.holds(actions, err) {
			continue
		}
		f := ExampleFailure{Name: e.name, Line: e.line, Want: "refused: " + e.refused}
		if e.refused == "" {
			f.Want = string(appendValue(nil, e.want))
		}
		if f.Got = "refused: " + fmt.Sprint(err); err == nil {
			f.Got = string(AppendActions(nil, actions))
		}
		failures = append(failures, f)
	}
	return len(t.examples), failures
}

// AppendActions appends a list of actions, each as [Action.AppendJSON] has it.
func AppendActions(dst []byte, actions []Action) []byte {
	dst = append(dst, '[')
	for i, a := range actions {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = a.AppendJSON(dst)
	}
	return append(dst, ']')
}

func (e example) holds(actions []Action, err error) bool {
	switch {
	case err != nil:
		return e.refused != "" && strings.Contains(err.Error(), e.refused)
	case e.refused != "" || len(actions) != len(e.want):
		return false
	}
	for i, a := range actions {
		got, err := parseJSON(a.AppendJSON(nil))
		if err != nil || !mentions(e.want[i], got, 0) {
			return false
		}
	}
	return true
}

// mentions says whether got is what is wanted. An action and its fields may have more than the example
// mentions; what is below, such as properties, has to be equal.
func mentions(want, got any, depth int) bool {
	switch want := want.(type) {
	case map[string]any:
		has, ok := got.(map[string]any)
		if !ok || depth > 1 && len(has) != len(want) {
			return false
		}
		for name, value := range want {
			other, ok := has[name]
			if !ok && value != nil || ok && !mentions(value, other, depth+1) {
				return false
			}
		}
		return true
	case []any:
		has, ok := got.([]any)
		if !ok || len(has) != len(want) {
			return false
		}
		for i, value := range want {
			if !mentions(value, has[i], depth+1) {
				return false
			}
		}
		return true
	case json.Number:
		has, ok := got.(json.Number)
		return ok && plain(want) == plain(has)
	}
	return want == got
}

// plain is a number without zeros that say nothing: 84.90 and 84.9 are one price.
func plain(n json.Number) string {
	text := string(n)
	if strings.Contains(text, ".") && !strings.ContainsAny(text, "eE") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}
