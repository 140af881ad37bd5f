package currentsfanout

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/sluicehq/sluice/pkg/config"
)

// Load reads a sinks.yaml and checks it without opening anything: what `sluice sinks check` does. An empty
// name means the file that is built in. Lookup finds environment variables; nil looks in this process's.
//
// The error is a config.Problems: everything that is wrong, each with the sink's name, the field and the line.
func Load(file string, lookup func(string) (string, bool)) (*File, error) {
	return BuiltIn.Load(file, lookup)
}

// Load is the package's Load, with other kinds.
func (k Kinds) Load(file string, lookup func(string) (string, bool)) (*File, error) {
	if file == "" {
		return k.Parse("", shipped, lookup)
	}
	text, err := readBounded(file)
	if err != nil {
		return nil, config.Problems{{Field: "sinks_file", Env: "SINKS_FILE", Value: file, Allowed: "a file that can be read: " + reason(err)}}
	}
	return k.Parse(file, text, lookup)
}

// Parse is Load of a text.
func (k Kinds) Parse(name string, text []byte, lookup func(string) (string, bool)) (*File, error) {
	if lookup == nil {
		lookup = os.LookupEnv
	}
	d := &decoder{name: name, lookup: lookup}
	if d.name == "" {
		d.name = "sinks.yaml"
	}
	f := &File{Name: name}
	if root := d.parse(text); root != nil {
		d.file(k, root, f)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// file reads the root of the file.
func (d *decoder) file(kinds Kinds, root ast.Node, f *File) {
	pairs, ok := d.pairs("", root)
	if !ok {
		d.wrong("", root, nil, "expected a mapping with the key sinks")
		return
	}
	names := map[string]bool{}
	for _, p := range pairs {
		if p.key != "sinks" {
			d.wrong(shortened(p.key), p.at, nil, "unknown key; known here: sinks")
			continue
		}
		list, ok := p.value.(*ast.SequenceNode)
		if !ok && !isNull(p.value) {
			d.wrong("sinks", p.value, nil, "expected a list of sinks")
		}
		if !ok {
			continue
		}
		for i, node := range list.Values {
			s := d.sink(kinds, fmt.Sprintf("sinks[%d]", i), node)
			if s.Name != "" && names[s.Name] {
				d.wrong("sinks["+s.Name+"].name", node, s.Name, "a name that no other sink has")
			}
			names[s.Name] = true
			f.Sinks = append(f.Sinks, s)
		}
	}
}

// sink reads one sink. Its path names it as soon as its name is known, since a number says little.
func (d *decoder) sink(kinds Kinds, path string, node ast.Node) (s SinkConfig) {
	pairs, ok := d.pairs(path, node)
	if !ok {
		d.wrong(path, node, nil, "expected a mapping with the keys "+strings.Join(keysOf(reflect.TypeFor[SinkConfig]()), ", "))
		return s
	}
	if name := d.word(pairs, "name"); sinkName.MatchString(name) {
		path = "sinks[" + name + "]"
	}
	word := d.word(pairs, "kind")
	kind, known := kinds[word]
	if !known && word != "" {
		d.wrong(path+".kind", node, word, "one of "+strings.Join(kinds.names(), ", "))
	}
	s.kind = kind
	fillDefaults(reflect.ValueOf(&s).Elem())
	s.Batch = s.Batch.or(kind.Batch)
	var options ast.Node
	own := pairs[:0:0]
	for _, p := range pairs {
		switch _, other := kinds[p.key]; {
		case other && p.key == word:
			options = p.value
		case other:
			d.wrong(path+"."+p.key, p.at, nil, "a sink of kind "+word+" has no such options")
		default:
			own = append(own, p)
		}
	}
	d.fields(path, node, own, reflect.ValueOf(&s).Elem())
	d.objections(path, node, s.Validate())
	if !known {
		return s
	}
	s.Options = kind.New()
	v := reflect.ValueOf(s.Options).Elem()
	fillDefaults(v)
	at := options
	if isNull(options) {
		options, at = nil, node
	}
	if d.value(path+"."+word, at, options, v) {
		d.objections(path+"."+word, at, s.Options.Validate())
	}
	return s
}

// or takes what the kind prefers where it prefers anything.
func (b Batch) or(kind Batch) Batch {
	if kind.Events > 0 {
		b.Events = kind.Events
	}
	if kind.Bytes > 0 {
		b.Bytes = kind.Bytes
	}
	if kind.Linger > 0 {
		b.Linger = kind.Linger
	}
	return b
}

// names are the kinds' words.
func (k Kinds) names() []string { return slices.Sorted(maps.Keys(k)) }
