package config

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile lays the YAML file, if there is one, over the defaults.
func (l *loader) readFile(v reflect.Value) {
	l.file = cmp.Or(l.opts.File, l.env[FileEnv])
	if l.file == "" {
		return
	}
	data, err := readBounded(l.file)
	if err != nil {
		p := Problem{Field: "--config", Env: FileEnv, Value: l.file, Allowed: "a YAML file that can be read: " + reason(err)}
		l.problems, l.unread = append(l.problems, p), true
		return
	}
	l.readYAML(v, data)
}

// readYAML lays the bytes of a YAML file over the defaults.
func (l *loader) readYAML(v reflect.Value, data []byte) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		l.notYAML(err)
		return
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil:
		case body != nil:
			l.misplaced("", l.position(doc.Body), "one YAML document, not several")
			return
		default:
			body = doc.Body
		}
	}
	if body == nil {
		return
	}
	anchors := anchorFinder{}
	ast.Walk(anchors, body)
	(&yamlFile{loader: l, anchors: anchors}).section(l.root, v, "", body)
}

// notYAML reports a syntax error by its line. The parser's own rendering would quote the file, and
// with it perhaps a secret.
func (l *loader) notYAML(err error) {
	l.unread = true
	at, what := l.file, "cannot be parsed"
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		what = syntax.GetMessage()
		if token := syntax.GetToken(); token != nil && token.Position != nil {
			at = fmt.Sprintf("%s:%d", l.file, token.Position.Line)
		}
	}
	l.misplaced("", at, "not YAML: "+what)
}

// yamlFile is a parsed file on its way into the struct.
type yamlFile struct {
	*loader
	anchors anchorFinder
}

// section reads the mapping node into the section, which stands at path.
func (y *yamlFile) section(s *section, v reflect.Value, path string, node ast.Node) {
	pairs, ok := y.pairs(node)
	if !ok {
		y.misplaced(path, y.position(node), "expected a mapping with the keys "+s.keys())
		return
	}
	for _, p := range pairs {
		e, key, fromFile := s.find(p.key)
		at := fmt.Sprintf("%s:%d", y.file, p.line)
		switch {
		case e == nil && path == "" && slices.Contains(y.opts.KnownSections, key):
		case e == nil:
			y.misplaced(join(path, shortened(key)), at, "unknown key; known here: "+s.keys())
		case isNull(y.resolve(p.value)): // "linger:" with nothing behind it says nothing
		case e.section != nil:
			y.section(e.section, v, join(path, key), p.value)
		case fromFile:
			y.valueInFile(e.field, v, join(path, key), at, p.value)
		case e.field.file && y.gives(pairs, key+"_file"):
			y.origins[join(path, key)] = at
			y.problem(e.field, join(path, key), nil, "both "+key+" and "+key+"_file are given; give one")
		default:
			y.origins[join(path, key)] = at
			y.field(e.field, v, join(path, key), p.value)
		}
	}
}

// find returns the entry of a key of the file, and whether the key is that entry's name with _file
// behind it.
func (s *section) find(key string) (e *entry, name string, fromFile bool) {
	if e = s.entry(key); e != nil {
		return e, key, false
	}
	name, ok := strings.CutSuffix(key, "_file")
	if e = s.entry(name); ok && e != nil && e.field != nil && e.field.file {
		return e, name, true
	}
	return nil, key, false
}

// gives says whether a mapping has something under the key.
func (y *yamlFile) gives(pairs []pair, key string) bool {
	return slices.ContainsFunc(pairs, func(p pair) bool { return p.key == key && !isNull(y.resolve(p.value)) })
}

// field reads one value.
func (y *yamlFile) field(f *field, v reflect.Value, path string, node ast.Node) {
	node = y.resolve(node)
	if items, ok := sequence(node); ok && f.typ.Kind() == reflect.Slice {
		y.list(f, v, path, items)
		return
	}
	text, ok := scalar(node)
	if !ok || !readable(f.typ) {
		y.problem(f, path, nil, "expected "+f.allowed()) // a mapping or list, which may hold anything
		return
	}
	y.parsed(f, v, path, text)
}

// list reads a sequence, whose elements are scalars or, if the field has them, mappings.
func (y *yamlFile) list(f *field, v reflect.Value, path string, items []ast.Node) {
	list := reflect.MakeSlice(f.typ, len(items), len(items))
	for i, item := range items {
		item = y.resolve(item)
		if f.elem != nil {
			at := fmt.Sprintf("%s[%d]", path, i)
			y.origins[at] = y.position(item)
			y.defaults(f.elem, list.Index(i), at)
			y.section(f.elem, list.Index(i), at, item)
			continue
		}
		text, ok := scalar(item)
		if !ok {
			y.problem(f, path, nil, "expected "+f.allowed())
			return
		}
		if err := parseInto(list.Index(i), text); err != nil {
			y.problem(f, path, text, f.complaint(err))
			return
		}
	}
	f.set(v, list)
}

// valueInFile reads the file that key_file names.
func (y *yamlFile) valueInFile(f *field, v reflect.Value, path, at string, node ast.Node) {
	name, ok := scalar(y.resolve(node))
	if !ok {
		y.misplaced(path+"_file", at, "expected the name of a file")
		return
	}
	if !filepath.IsAbs(name) { // a file is found beside the one that names it
		name = filepath.Join(filepath.Dir(y.file), name)
	}
	y.contents(f, v, path, "file named at "+at, name)
}

// misplaced records what is wrong with the file itself rather than with a field's value.
func (l *loader) misplaced(path, at, allowed string) {
	if path == "" {
		path, at = at, ""
	}
	l.failed[path] = true
	l.problems = append(l.problems, Problem{Field: path, Origin: at, Allowed: allowed})
}
