// Package config turns defaults, one YAML file and the environment into a plain struct: checked as
// a whole, explained field by field, and printable without secrets.
//
// A configuration is a struct whose fields say everything about themselves in tags:
//
//	type Config struct {
//		Endpoint string        `yaml:"endpoint" env:"BRAZE_REST_ENDPOINT" required:"true" doc:"the workspace's REST endpoint"`
//		Key      config.Secret `yaml:"api_key" env:"BRAZE_API_KEY" required:"true" doc:"REST API key"`
//		Linger   time.Duration `yaml:"linger" env:"BRAZE_LINGER" default:"200ms" min:"0s" max:"10s" doc:"longest wait of a lone object for company"`
//	}
//
// [Load] lays the layers over one another, later ones winning: `default` tags, the YAML file named
// by --config or SLUICE_CONFIG, the environment. Then it checks tags and asks every nested struct
// that has one for its `Validate() error`. It never stops at the first mistake: all [Problems] come
// back together, so an operator repairs a file once. The [Report] says of every field where its
// value came from. The same tags yield the README's table ([MarkdownTable]) and a JSON Schema for
// editors ([JSONSchema]), so neither can disagree with the program.
//
// Tags: yaml (the key; "-" leaves the field alone; embedded structs and ",inline" add no level),
// env, default, doc, required, oneof (words apart by spaces), min and max (of numbers and durations;
// of the length of strings and lists), file (the value may stand in a file named by NAME_FILE, or by
// key_file in YAML, as is always so for a [Secret]).
//
// Fields may be strings, booleans, numbers, [time.Duration], [Secret], any [encoding.TextUnmarshaler],
// lists of these (comma separated in the environment), lists of structs (in YAML, or in the
// environment when the list type reads text itself) and nested structs. The same path may be declared
// by several embedded configurations, as in one process made of many services: it is read once and
// set everywhere. Tags that cannot be right panic, as a mistake in the program and not in its input.
//
// The YAML is walked in goccy/go-yaml's syntax tree: koanf would save nothing here, since its maps have
// lost the line numbers that errors and origins need.
package config

import (
	"os"
	"reflect"
	"strings"
)

// ExitCode is what a process exits with when its configuration is at fault: EX_CONFIG of sysexits.h.
const ExitCode = 78

// FileEnv names the configuration file when no flag does.
const FileEnv = "SLUICE_CONFIG"

// Options says where [Load] looks. The zero value reads the environment of this process.
type Options struct {
	// File is the path of the YAML file, as given by --config. When it is empty, SLUICE_CONFIG
	// decides; when that is empty too, there is no file.
	File string
	// Environ is the environment as "NAME=value" lines; nil means that of this process.
	Environ []string
	// KnownSections are top-level keys of the YAML file that belong to other programs. They are
	// passed over unread, so that one file serves every binary.
	KnownSections []string
	// Defaults replaces `default` tags, by path ("kafka.brokers"). The mode in which everything runs
	// in one process on a laptop brings its own.
	Defaults map[string]string
}

// Load fills a C from defaults, file and environment, and checks it. The error is nil or of type
// [Problems]. The report is never nil; after an error it shows what could be read, and the C is not
// to be used.
func Load[C any](opts Options) (C, *Report, error) {
	var c C
	v := reflect.ValueOf(&c).Elem()
	l := newLoader(v, opts)
	l.readFile(v)
	l.finish(v)
	report := l.report(v)
	if len(l.problems) > 0 {
		return c, report, l.problems
	}
	return c, report, nil
}

// newLoader prepares to fill the struct v, and lays the first layer: the defaults.
func newLoader(v reflect.Value, opts Options) *loader {
	l := &loader{
		opts:    opts,
		env:     environment(opts.Environ),
		root:    declare(v.Type()),
		origins: map[string]string{},
		failed:  map[string]bool{},
	}
	l.override(opts.Defaults)
	l.defaults(l.root, v, "")
	return l
}

// finish lays the environment over the file, and checks what came of it.
func (l *loader) finish(v reflect.Value) {
	l.readEnvironment(l.root, v)
	if !l.unread { // else every value that the file would have given would be called missing
		l.secrets = gather(v)
		l.check(l.root, v, "")
		l.validate(l.root, v, "")
	}
}

// loader is one run of Load: what is declared, and what has been found out so far.
type loader struct {
	opts     Options
	env      map[string]string
	root     *section
	file     string            // path of the YAML file, empty for none
	unread   bool              // that file could not be read or is not YAML
	origins  map[string]string // of every field that a layer has set, by path
	failed   map[string]bool   // paths that already have a problem
	secrets  []string          // of this configuration, to be taken out of what Validate says
	problems Problems
}

const originDefault = "default"

// override puts Options.Defaults in the place of the tags.
func (l *loader) override(defaults map[string]string) {
	left := len(defaults)
	l.root.each(func(f *field) {
		if text, ok := defaults[f.path]; ok {
			f.def = text
			left--
		}
	})
	if left > 0 {
		panic("config: Options.Defaults names a field that is not declared")
	}
}

// defaults sets the fields of one struct, and of those nested in it, to their default.
func (l *loader) defaults(s *section, v reflect.Value, path string) {
	s.each(func(f *field) {
		if f.def == "" {
			return
		}
		value, err := f.parse(f.def)
		if err != nil {
			panic("config: default of " + f.path + " is not " + f.allowed())
		}
		f.set(v, value)
		l.origins[within(s, f, path)] = originDefault
	})
}

// within is the path of a field of the struct that stands at path; a list's elements have an index
// there that the declaration does not know.
func within(s *section, f *field, path string) string {
	return join(path, strings.TrimPrefix(strings.TrimPrefix(f.path, s.path), "."))
}

func join(path, name string) string {
	if path == "" || name == "" {
		return path + name
	}
	return path + "." + name
}

// environment makes a map of NAME=value lines. An empty variable counts as unset, because that is
// what a chart or a compose file leaves behind for a value nobody gave.
func environment(lines []string) map[string]string {
	if lines == nil {
		lines = os.Environ()
	}
	env := make(map[string]string, len(lines))
	for _, line := range lines {
		if name, value, _ := strings.Cut(line, "="); value != "" {
			env[name] = value
		}
	}
	return env
}

// problem records what is wrong with f, whose place in this configuration is path.
func (l *loader) problem(f *field, path string, value any, allowed string) {
	if f.secret && value != nil {
		value = concealed(value)
	}
	l.failed[path] = true
	l.problems = append(l.problems, Problem{
		Field: path, Env: f.env, Origin: l.origins[path], Value: value, Allowed: allowed,
	})
}
