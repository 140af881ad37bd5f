package rules

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/yamlfile"
)

//go:embed writeback.yaml
var shipped []byte

// Shipped is the text of the file that is built in.
func Shipped() []byte { return append([]byte(nil), shipped...) }

// Default is the file that is built in with all of its targets, whatever the environment says. Their options can
// be read as far as they need nothing of it: [Load] of the empty path is what a service wants.
func Default() *Set {
	s, err := parse("writeback.yaml", shipped, func(string) (string, bool) { return "unset", true })
	if err != nil {
		panic(fmt.Sprintf("rules: the file that is built in: %v", err))
	}
	return s
}

// Load is Parse of a file; an empty path means the file that is built in, of which only the targets are there whose
// variables are set.
func Load(path string) (*Set, error) { return LoadWith(path, nil) }

// LoadWith is Load with an environment of one's own; nil means this process's.
func LoadWith(path string, env func(string) (string, bool)) (*Set, error) {
	if path == "" {
		return Parse(shipped, env)
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, config.Problems{{Field: "writeback_file", Env: "WRITEBACK_FILE", Value: path, Allowed: "a file that can be read: " + err.Error()}}
	}
	return parse(path, text, env)
}

// Parse reads a writeback.yaml and checks it. Env finds environment variables; nil looks in this process's.
//
// The error is a config.Problems: everything that is wrong, each with the name of the target or rule, the key and the line.
// What stands under a kind's name is checked by [Target.Options].
func Parse(text []byte, env func(string) (string, bool)) (*Set, error) {
	return parse("writeback.yaml", text, env)
}

func parse(name string, text []byte, env func(string) (string, bool)) (*Set, error) {
	if env == nil {
		env = os.LookupEnv
	}
	f := yamlfile.New(name, env)
	if len(text) > yamlfile.Largest {
		f.Object("", nil, fmt.Sprintf("a file of at most %d bytes", yamlfile.Largest))
		return nil, f.Err()
	}
	var file fileSet
	f.Decode(text, &file)
	if err := f.Err(); err != nil { // what follows would only repeat it
		return nil, err
	}
	c := compiler{file: f, env: env, set: &Set{
		objects: map[objectName]*object{}, turns: file.Loop.Turns, within: file.Loop.Within, linkWait: file.LinkWait,
	}, absent: map[string]bool{}, known: map[string]bool{}}
	c.targets(file.Targets)
	c.rules(file.Rules)
	if err := f.Err(); err != nil {
		return nil, err
	}
	return c.set, nil
}

func readBounded(path string) ([]byte, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, yamlfile.Largest+1)) // one more, for Parse to see
}
