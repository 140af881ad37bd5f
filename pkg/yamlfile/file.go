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
// only somebody else knows, or that another key decides on.
package yamlfile

import (
	"os"
	"reflect"

	"github.com/goccy/go-yaml/ast"
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
	Default(into)
	if f.root = f.parse(text); f.root == nil {
		return len(f.problems) == 0
	}
	return f.value("", f.root, f.root, reflect.ValueOf(into).Elem())
}

// Default sets what the tags of a pointer to a struct say where nothing is said.
func Default(into any) { fillDefaults(reflect.ValueOf(into).Elem()) }

// Read reads a part of this file into a pointer to a struct, over what it already holds, and reports whether all of it
// could be read. It is for defaults that no tag can say; for all others, call [Default] first.
func (f *File) Read(r Raw, into any) bool {
	node := r.node
	if isNull(node) {
		node = nil
	}
	return f.value(r.path, r.at, node, reflect.ValueOf(into).Elem())
}
