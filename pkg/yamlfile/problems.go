package yamlfile

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"github.com/sluicehq/sluice/pkg/config"
)

// problem is a config.Problem with its line, or 0.
type problem struct {
	config.Problem
	line int
}

// Err is everything that is wrong, from top to bottom, as config.Problems; nil when nothing is.
func (f *File) Err() error {
	if len(f.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(f.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var list config.Problems
	for _, p := range f.problems {
		if !slices.ContainsFunc(list, func(q config.Problem) bool { return q.Error() == p.Error() }) {
			list = append(list, p.Problem)
		}
	}
	return list
}

// Object notes what is wrong behind a path such as targets[crm].rate, with the line of as much of it as there is. A nil
// value is not shown.
func (f *File) Object(path string, value any, allowed string) {
	at := find(f.root, path)
	if text, ok := value.(string); ok {
		value = f.scrub(shortened(text))
	}
	f.wrong(path, at, value, f.scrub(allowed))
}

// Objections notes what a Validate has found in a part of this file: config.Problems whose fields are paths within it, none
// for the part itself.
func (f *File) Objections(r Raw, err error) {
	for _, e := range flatten(err) {
		var p config.Problem
		if !errors.As(e, &p) {
			p = config.Problem{Allowed: e.Error()}
		}
		if text, ok := p.Value.(string); ok {
			p.Value = f.scrub(text)
		}
		at := find(r.node, p.Field)
		if at == nil {
			at = r.at // there is nothing of it
		}
		f.wrong(join(r.path, p.Field), at, p.Value, f.scrub(p.Allowed))
	}
}

// wrong notes what is wrong at a node.
func (f *File) wrong(path string, node ast.Node, value any, allowed string) {
	at, origin := line(node), f.name
	if at > 0 {
		origin += ":" + strconv.Itoa(at)
	}
	if path == "" {
		path, origin = origin, ""
	}
	f.problems = append(f.problems, problem{config.Problem{Field: path, Origin: origin, Value: value, Allowed: allowed}, at})
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}
