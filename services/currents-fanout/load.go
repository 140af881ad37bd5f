package currentsfanout

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/yamlfile"
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
	text, err := yamlfile.ReadFile(file)
	if err != nil {
		return nil, config.Problems{{Field: "sinks_file", Env: "SINKS_FILE", Value: file, Allowed: "a file that can be read: " + err.Error()}}
	}
	return k.Parse(file, text, lookup)
}

// Parse is Load of a text.
func (k Kinds) Parse(name string, text []byte, lookup func(string) (string, bool)) (*File, error) {
	file := yamlfile.New(cmp.Or(name, "sinks.yaml"), lookup)
	var root struct {
		Sinks yamlfile.Raw `yaml:"sinks"`
	}
	file.Decode(text, &root)
	list, ok := root.Sinks.Elements()
	if !ok {
		file.Objections(root.Sinks, config.Problem{Allowed: "expected a list of sinks"})
	}
	f := &File{Name: name}
	names := map[string]bool{}
	for _, part := range list {
		s := k.sink(file, part)
		if s.Name != "" && names[s.Name] {
			file.Objections(part, config.Problem{Field: "name", Value: s.Name, Allowed: "a name that no other sink has"})
		}
		names[s.Name] = true
		f.Sinks = append(f.Sinks, s)
	}
	if err := file.Err(); err != nil {
		return nil, err
	}
	return f, nil
}

// sink reads one sink. Its kind says which options it has, and what its batches are without any word of them.
func (k Kinds) sink(file *yamlfile.File, part yamlfile.Raw) (s SinkConfig) {
	word := part.Behind("kind").Text()
	kind, known := k[word]
	if !known && word != "" {
		file.Objections(part, config.Problem{Field: "kind", Value: word, Allowed: "one of " + strings.Join(k.names(), ", ")})
	}
	s.kind = kind
	yamlfile.Default(&s)
	s.Batch = s.Batch.or(kind.Batch)
	for _, key := range part.Keys() {
		if _, other := k[key]; other && key != word {
			file.Objections(part.Behind(key), config.Problem{Allowed: "a sink of kind " + word + " has no such options"})
		}
	}
	file.Read(part.Without(k.names()...), &s)
	file.Objections(part, s.Validate())
	if !known {
		return s
	}
	s.Options = kind.New()
	yamlfile.Default(s.Options)
	if options := part.Behind(word); file.Read(options, s.Options) {
		file.Objections(options, s.Options.Validate())
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
