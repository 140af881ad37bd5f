package yamlfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/yamlfile"
)

type file struct {
	Text    string            `yaml:"text"`
	Token   config.Secret     `yaml:"token"`
	Wait    time.Duration     `yaml:"wait" default:"5s" min:"1s"`
	Size    yamlfile.Size     `yaml:"size" default:"1MiB"`
	Share   float64           `yaml:"share" max:"1"`
	On      *bool             `yaml:"on"`
	Words   []string          `yaml:"words" default:"a,b"`
	Headers map[string]string `yaml:"headers"`
	List    []element         `yaml:"list"`
}

type element struct {
	Name string `yaml:"name" required:"true"`
	N    int    `yaml:"n" default:"7"`
}

func read(text string, env map[string]string) (file, string) {
	var into file
	f := yamlfile.New("f.yaml", func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	f.Decode([]byte(text), &into)
	if err := f.Err(); err != nil {
		return into, err.Error()
	}
	return into, ""
}

func TestAFileIsReadOverItsDefaults(t *testing.T) {
	t.Parallel()
	on := true
	want := file{
		Text: "a ${b} 007", Wait: 2 * time.Minute, Size: 64 << 10, Share: 0.5, On: &on, Words: []string{"one"}, Headers: map[string]string{"X": "y"},
		List: []element{{"first", 7}, {"second", 8}},
	}
	got, problems := read("text: \"a $${b} ${N}\"\nwait: 2m\nsize: 64KiB\nshare: 0.5\non: true\nwords: one\nheaders: {X: y}\nlist:\n  - name: first\n  - {name: second, n: 8}\n", map[string]string{"N": "007"})
	if problems != "" {
		t.Fatal(problems)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty, problems := read("", nil)
	if diff := cmp.Diff(file{Wait: 5 * time.Second, Size: 1 << 20, Words: []string{"a", "b"}}, empty); diff != "" || problems != "" {
		t.Errorf("an empty file: %s (-want +got):\n%s", problems, diff)
	}
}

func TestAVariableMayBeAFile(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"a file":              {map[string]string{"TOKEN_FILE": secret}, ""},
		"both":                {map[string]string{"TOKEN": "x", "TOKEN_FILE": secret}, "token [f.yaml:1]: both TOKEN and TOKEN_FILE are set; set one"},
		"neither":             {nil, "token [f.yaml:1]: set TOKEN, or name a file in TOKEN_FILE"},
		"a file that is none": {map[string]string{"TOKEN_FILE": secret + "x"}, "token [f.yaml:1]: the file that TOKEN_FILE names must be readable: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, problems := read("token: ${TOKEN}", c.env)
			if problems != c.want {
				t.Errorf("got %s, want %s", problems, c.want)
			}
			if problems == "" && got.Token.Reveal() != "from a file" {
				t.Errorf("it reads %q", got.Token.Reveal())
			}
		})
	}
}

func TestWhatCannotBeReadIsToldWithoutTheSecretsInIt(t *testing.T) {
	t.Parallel()
	env := map[string]string{"SECRET": "very-secret"}
	for text, want := range map[string]string{
		"text: a\ntext: b":           "f.yaml: not YAML: line 2: mapping key \"text\" already defined at [1:1]",
		"wait: ${SECRET}":            `wait [f.yaml:1]: "${SECRET}"; allowed: a length of time, such as 30s or 5m`,
		"wait: 1ms":                  `wait [f.yaml:1]: "1ms"; allowed: at least 1s`,
		"size: many":                 `size [f.yaml:1]: "many"; allowed: a number of bytes, such as 1MiB or 65536`,
		"share: 2":                   `share [f.yaml:1]: "2"; allowed: at most 1`,
		"on: perhaps":                `on [f.yaml:1]: "perhaps"; allowed: true or false`,
		"words: {a: b}":              `words [f.yaml:1]: expected a list`,
		"words:\n  -\n  - a":         `words[0] [f.yaml:2]: there is nothing behind the dash`,
		"headers: [a]":               `headers [f.yaml:1]: expected a mapping`,
		"list:\n  - {n: 1}":          `list[0].name [f.yaml:2]: it is needed`,
		"list:\n  - {name: x, m: 1}": `list[x].m [f.yaml:2]: unknown key; known here: name, n`,
		"text: [a]":                  `text [f.yaml:1]: expected a text or a number`,
		"text: ${A B}":               `text [f.yaml:1]: ${ begins the name of an environment variable; write $${ where none is meant`,
		"<<: {text: a}":              `f.yaml:1: merging with << is not read here; write it out`,
		"text: !!binary YQ==":        `text [f.yaml:1]: anchors, aliases and tags are not read here; write it out`,
		"- a":                        `f.yaml:1: expected a mapping with the keys text, token, wait, size, share, on, words, headers, list`,
	} {
		_, problems := read(text, env)
		if strings.Contains(problems, "very-secret") {
			t.Errorf("%s tells the secret: %s", text, problems)
		}
		if diff := cmp.Diff(want, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
}
