package config

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Field describes one field of a configuration to a person.
type Field struct {
	Path     string // in the YAML file, such as "braze.linger"; "ingest.keys[].name" within a list
	Env      string // environment variable, if any
	Default  string // as its tag has it; empty for none
	Doc      string // what it is for
	Allowed  string // what it takes, such as "a whole number from 1 to 75"
	Limits   string // the part of Allowed that the type does not say, such as "from 1 to 75"
	Required bool
	Secret   bool
	File     bool // may be given as Env_FILE or, in YAML, Path_file
}

// Fields lists the fields of a C in the order of declaration, those of list elements after their list.
func Fields[C any]() []Field { return declare(reflect.TypeFor[C]()).list() }

func (s *section) list() (fields []Field) {
	s.each(func(f *field) {
		fields = append(fields, Field{
			Path: f.path, Env: f.env, Default: f.def, Doc: f.doc, Allowed: f.allowed(), Limits: f.limits(),
			Required: f.required, Secret: f.secret, File: f.file,
		})
		if f.elem != nil {
			fields = append(fields, f.elem.list()...)
		}
	})
	return fields
}

// The lines between which a generated table stands in a Markdown file.
const (
	markdownBegin = "<!-- config:begin -->"
	markdownEnd   = "<!-- config:end -->"
)

// MarkdownTable is the reference of a configuration for a README: variable, YAML path, default, meaning.
func MarkdownTable[C any]() string {
	var b strings.Builder
	b.WriteString("| variable | yaml path | default | meaning |\n|---|---|---|---|\n")
	for _, f := range Fields[C]() {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(f.Env), code(f.Path), f.markdownDefault(), cell(f.meaning()))
	}
	return b.String()
}

func (f Field) markdownDefault() string {
	switch {
	case f.Default != "":
		return code(f.Default)
	case f.Required:
		return "required"
	}
	return ""
}

// meaning is the field's purpose, and what its type alone does not tell: limits, choices, files.
func (f Field) meaning() string {
	parts := []string{f.Doc, f.Limits}
	switch {
	case f.File && f.Env != "":
		parts = append(parts, "also "+f.Env+"_FILE")
	case f.File:
		parts = append(parts, "also "+f.Path[strings.LastIndex(f.Path, ".")+1:]+"_file")
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + cell(s) + "`"
}

// cell keeps a text within one cell of a table.
func cell(s string) string { return strings.ReplaceAll(oneLine(s), "|", `\|`) }

// CheckMarkdown returns an error when the file at path does not hold the table between the lines
// <!-- config:begin --> and <!-- config:end -->.
func CheckMarkdown(path, table string) error {
	is, want, err := withTable(path, table)
	if err != nil {
		return err
	}
	if !bytes.Equal(is, want) {
		return fmt.Errorf("the configuration table in %s is out of date; run make generate", path)
	}
	return nil
}

// UpdateMarkdown puts the table between those lines of the file at path, and leaves a file that has it
// already untouched.
func UpdateMarkdown(path, table string) error {
	is, want, err := withTable(path, table)
	if err != nil || bytes.Equal(is, want) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading the mode of a README: %w", err)
	}
	if err := os.WriteFile(path, want, info.Mode().Perm()); err != nil {
		return fmt.Errorf("writing the configuration table: %w", err)
	}
	return nil
}

// withTable is the file as it is, and as it would be with the table.
func withTable(path, table string) (is, want []byte, err error) {
	is, err = os.ReadFile(path) //nolint:gosec // a README of this repository
	if err != nil {
		return nil, nil, fmt.Errorf("reading the configuration table: %w", err)
	}
	before, rest, begun := bytes.Cut(is, []byte(markdownBegin))
	_, after, ended := bytes.Cut(rest, []byte(markdownEnd))
	if !begun || !ended {
		return nil, nil, fmt.Errorf("%s has no lines %s and %s for the table to stand between", path, markdownBegin, markdownEnd)
	}
	want = fmt.Appendf(nil, "%s%s\n\n%s\n%s%s", before, markdownBegin, cmp.Or(strings.TrimSpace(table)+"\n", "\n"), markdownEnd, after)
	return is, want, nil
}
