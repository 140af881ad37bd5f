// Package yamlfile reads a YAML file that people write by hand into structs, and tells them everything that is wrong with
// it at once: each with the way to the key, in names instead of numbers where a list's elements have any, and the
// line.
//
// A general decoder would stop at the first mistake, quote the file around it, secrets included, and have forgotten by
// then which line a value came from.
//
// Tags: yaml (the key; "-" leaves the field alone, ",inline" adds no level), default, required, oneof, min and max, as
// package config has them. In every text ${NAME} stands for an environment variable, or for the contents of the file that
// NAME_FILE names; $${ is a ${ that is meant. A field of type [Raw] is left as it is, to be read later into a type that
// only somebody else knows.
package yamlfile

import (
	"cmp"
	"os"
	"reflect"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"github.com/sluicehq/sluice/pkg/config"
)

// Largest bounds the file, and every file that holds a value.
const Largest = 1 << 20

// File is a file that is being read.
type File struct {
	name     string
	lookup   func(string) (string, bool)
	root     ast.Node
	problems []problem
	secrets  []string // what the environment has put into it
}

// problem is a config.Problem with its line, or 0.
type problem struct {
	config.Problem
	line int
}

// New begins to read a file. Its name stands in messages; lookup finds environment variables, and nil looks in this
// process's.
func New(name string, lookup func(string) (string, bool)) *File {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	return &File{name: name, lookup: lookup}
}

// Decode reads the text into a pointer to a struct, over its defaults, and reports whether all of it could be read. What
// is wrong is for [File.Err] to say.
func (f *File) Decode(text []byte, into any) bool {
	v := reflect.ValueOf(into).Elem()
	fillDefaults(v)
	if f.root = f.parse(text); f.root == nil {
		return len(f.problems) == 0
	}
	return f.value("", f.root, f.root, v)
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

// Raw is a part of a file that nobody has read yet. The zero Raw is one that is not there, and reads as its defaults.
type Raw struct {
	name   string // of the file
	path   string
	node   ast.Node
	at     ast.Node // its key
	lookup func(string) (string, bool)
}

// Given reports whether the part is there.
func (r Raw) Given() bool { return !isNull(r.node) }

// Decode reads the part into a pointer to a struct as [File.Decode] does a file, and calls its Validate where it has one:
// that may return config.Problems whose fields are keys of the part. The error is config.Problems. The part is not changed,
// and may be read again.
func (r Raw) Decode(into any) error {
	f := New(r.name, r.lookup)
	v := reflect.ValueOf(into).Elem()
	fillDefaults(v)
	node := r.node
	if isNull(node) {
		node = nil
	}
	if f.value(r.path, r.at, node, v) {
		if check, ok := into.(interface{ Validate() error }); ok {
			f.objections(r.path, node, r.at, check.Validate())
		}
	}
	return f.Err()
}
