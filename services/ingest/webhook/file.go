package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/pkg/config"
)

// Options are what a file of sources cannot say itself.
type Options struct {
	// Presets is the text of the shipped file, whose sources others may begin as.
	Presets []byte
	// Env looks up a variable of the environment. The secrets come from there.
	Env func(name string) (string, bool)
	// ReadFile reads a file that holds secrets.
	ReadFile func(path string) ([]byte, error)
	// DevSecret takes the place of secrets that are not there; for one's own machine only.
	DevSecret config.Secret
}

// Parse reads a file of sources and compiles its programs. Everything that is wrong with it comes back
// together, each problem with the name of the field; an unknown key has its line too.
func Parse(text []byte, o Options) (*Sources, error) {
	own, err := read(text)
	if err != nil {
		return nil, err
	}
	var presets contents
	if len(o.Presets) > 0 {
		if presets, err = read(o.Presets); err != nil {
			return nil, fmt.Errorf("reading the presets: %w", err)
		}
	}
	all := &Sources{byName: map[string]*Source{}}
	var problems []error
	if all.actions, err = buildActions(own.Actions, presets.Actions); err != nil {
		problems = append(problems, err)
	}
	for _, name := range slices.Sorted(maps.Keys(own.Sources)) {
		source, err := build(name, own.Sources[name], presets.Sources, o)
		if err != nil {
			problems = append(problems, within("sources."+name, err))
			continue
		}
		all.byName[name] = source
	}
	return all, errors.Join(problems...)
}

// contents are what a file says.
type contents struct {
	Sources map[string]Spec       `yaml:"sources"`
	Actions map[string]ActionSpec `yaml:"actions"`
}

// read takes the YAML apart, strictly.
func read(text []byte) (file contents, err error) {
	err = yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(&file)
	if err != nil && !errors.Is(err, io.EOF) {
		// Without the excerpt of the file that the library would add: somebody may have put a secret
		// where it does not belong.
		return contents{}, errors.New(strings.TrimSpace(yaml.FormatError(err, false, false)))
	}
	return file, nil
}

func build(name string, spec Spec, presets map[string]Spec, o Options) (*Source, error) {
	if !isSourceName(name) {
		return nil, problem("", "a name of 1 to 64 letters, digits, dots, dashes or underscores")
	}
	if spec.Preset != "" {
		preset, known := presets[spec.Preset]
		if !known {
			return nil, problem("preset", "one of "+strings.Join(slices.Sorted(maps.Keys(presets)), ", "))
		}
		spec = spec.over(preset)
	}
	spec.settle()
	if err := spec.problems(); err != nil {
		return nil, err
	}
	s := &Source{name: name, spec: spec, memory: newMemory(spec.Memory.Entries, spec.Memory.Keep)}
	settings, err := expand(spec.Settings, o)
	if err != nil {
		return nil, err
	}
	if s.programs, err = compile(&s.spec, settings, s.memory); err != nil {
		return nil, err
	}
	if s.polling, err = s.newPolling(o); err != nil {
		return nil, err
	}
	if !s.spec.calls() {
		s.verifier, s.disabled = shut{}, "it is polled, and does not call"
		return s, nil
	}
	if s.verifier, err = s.newVerifier(&s.spec.Auth, o); err != nil {
		return nil, err
	}
	s.spec.Auth.each(func(a *Auth) { s.secrets = append(s.secrets, a.headers()...) })
	return s, nil
}

// problem is one thing wrong with a field.
func problem(field, allowed string) error { return config.Problem{Field: field, Allowed: allowed} }

// within puts the path of what a problem is about before the problem's own.
func within(path string, err error) error {
	var several interface{ Unwrap() []error }
	var p config.Problem
	switch {
	case errors.As(err, &several):
		var all []error
		for _, e := range several.Unwrap() {
			all = append(all, within(path, e))
		}
		return errors.Join(all...)
	case errors.As(err, &p):
		p.Field = strings.TrimSuffix(path+"."+p.Field, ".")
		return p
	}
	return fmt.Errorf("%s: %w", path, err)
}

// isSourceName reports whether a text may stand in a path, in records, headers and metrics.
func isSourceName(s string) bool {
	return 1 <= len(s) && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	}) < 0
}

// isWord reports whether a text can be a reason, which is a label of a metric too.
func isWord(s string) bool {
	return 1 <= len(s) && len(s) <= 40 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_'
	}) < 0
}

func listed[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}
