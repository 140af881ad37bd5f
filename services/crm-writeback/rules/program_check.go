package rules

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/itchyny/gojq"
)

// Functions whose answer is not the record's alone: the same record has to become the same write whenever and wherever
// it is planned.
var impure = []string{
	"now", "localtime", "strflocaltime", "env", "$ENV", "input", "inputs", "input_line_number",
	"input_filename", "debug", "stderr", "halt", "halt_error", "modulemeta", "get_search_list",
}

// regexps are functions that take a regular expression, with the places of their arguments that
// belong to it. gojq keeps every expression that it has compiled, so that one taken from a record would
// let customers fill the memory.
var regexps = map[string][]int{
	"test": {0, 1}, "match": {0, 1}, "capture": {0, 1}, "scan": {0, 1}, "splits": {0, 1}, "sub": {0, 2}, "gsub": {0, 2},
}

// checkCalls holds every call in a parsed expression to what rules allow. The syntax tree has two
// dozen types of nodes with calls in most of them, so it is walked by reflection, at start only.
func checkCalls(node reflect.Value) error {
	switch node.Kind() {
	case reflect.Pointer:
		if node.IsNil() {
			return nil
		}
		if f, ok := node.Interface().(*gojq.Func); ok {
			if err := checkCall(f); err != nil {
				return err
			}
		}
		return checkCalls(node.Elem())
	case reflect.Slice:
		for i := range node.Len() {
			if err := checkCalls(node.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for _, field := range node.Fields() {
			if err := checkCalls(field); err != nil {
				return err
			}
		}
	default: // texts, numbers and operators call nothing
	}
	return nil
}

func checkCall(f *gojq.Func) error {
	if slices.Contains(impure, f.Name) {
		return fmt.Errorf("%s is not available: a rule may depend on nothing but the record", f.Name)
	}
	places := regexps[f.Name]
	if f.Name == "split" && len(f.Args) == 2 { // with one argument it splits at a text
		places = []int{0, 1}
	}
	for _, i := range places {
		if i < len(f.Args) && !isText(f.Args[i]) {
			return fmt.Errorf("the regular expression of %s has to be written out as a text, flags as well", f.Name)
		}
	}
	return nil
}

// isText reports whether an argument is a text that stands in the file, without anything put into it.
func isText(q *gojq.Query) bool {
	return q.Term != nil && q.Term.Type == gojq.TermTypeString && q.Term.Str != nil && len(q.Term.Str.Queries) == 0 && len(q.Term.SuffixList) == 0
}
