package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// problems loads and returns the error's lines, with the file's path shortened.
func problems(t *testing.T, yaml string, env ...string) []string {
	t.Helper()
	file := write(t, "sluice.yaml", yaml)
	_, report, err := Load[testConfig](Options{File: file, Environ: env, KnownSections: []string{"sandbox"}})
	if report == nil {
		t.Error("no report")
	}
	if err == nil {
		return nil
	}
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("the error is a %T", err)
	}
	return strings.Split(strings.ReplaceAll(err.Error(), file, "sluice.yaml"), "\n")
}

func TestProblems(t *testing.T) {
	for _, tc := range []struct {
		name, yaml string
		env        []string
		want       []string
	}{
		{name: "a complete configuration has none", env: complete},
		{name: "other programs' sections are passed over", yaml: "sandbox: {anything: [1]}\n", env: complete},
		{
			name: "all are reported together", yaml: "braze:\n  linger: soon\n  max_objects: 90\n", env: []string{"LOG_LEVEL=loud"},
			want: []string{
				`braze.linger (BRAZE_LINGER) [sluice.yaml:2]: "soon"; allowed: a duration such as 200ms or 1m30s, from 0s to 10s`,
				`log.level (LOG_LEVEL): "loud"; allowed: one of debug, info, warn`,
				`braze.endpoint (BRAZE_REST_ENDPOINT): required; set braze.endpoint or BRAZE_REST_ENDPOINT`,
				`braze.api_key (BRAZE_API_KEY): required; set braze.api_key, braze.api_key_file, BRAZE_API_KEY or BRAZE_API_KEY_FILE`,
				`braze.max_objects (BRAZE_MAX_OBJECTS) [sluice.yaml:3]: 90; allowed: a whole number from 1 to 75`,
			},
		},
		{
			name: "an unknown key is named with its file and line", yaml: "log:\n  level: info\n  levell: debug\nkafak: {}\n", env: complete,
			want: []string{
				"log.levell [sluice.yaml:3]: unknown key; known here: level",
				"kafak [sluice.yaml:4]: unknown key; known here: log, braze, kafka, ingest",
			},
		},
		{
			name: "elements of a list are checked like anything else", env: complete,
			yaml: "ingest:\n  keys:\n    - name: web\n      kye: x\n    - {name: app, key: longenough, weight: 10}\n    - word\n",
			want: []string{
				"ingest.keys[0].kye [sluice.yaml:4]: unknown key; known here: name, key, sources, weight",
				"ingest.keys[2] [sluice.yaml:6]: expected a mapping with the keys name, key, sources, weight",
				"ingest.keys[0].key: required; set ingest.keys[0].key or ingest.keys[0].key_file",
				"ingest.keys[1].weight [sluice.yaml:5]: 10; allowed: a whole number from 1 to 9",
				"ingest.keys[2].name: required; set ingest.keys[2].name",
				"ingest.keys[2].key: required; set ingest.keys[2].key or ingest.keys[2].key_file",
			},
		},
		{
			name: "a struct's own objection gets path, variable and origin", yaml: "braze: {legacy_arrays: true}", env: complete,
			want: []string{"braze.max_objects (BRAZE_MAX_OBJECTS): 75; allowed: at most 50 with legacy_arrays"},
		},
		{
			name: "a struct does not object to the default of what could not be read", env: complete,
			yaml: "braze: {legacy_arrays: true, max_objects: many}",
			want: []string{`braze.max_objects (BRAZE_MAX_OBJECTS) [sluice.yaml:1]: "many"; allowed: a whole number from 1 to 75`},
		},
		{
			name: "the file and the environment may both be wrong", yaml: "braze: {max_objects: many}",
			env: append([]string{"BRAZE_MAX_OBJECTS=99"}, complete...),
			want: []string{
				`braze.max_objects (BRAZE_MAX_OBJECTS) [sluice.yaml:1]: "many"; allowed: a whole number from 1 to 75`,
				"braze.max_objects (BRAZE_MAX_OBJECTS): 99; allowed: a whole number from 1 to 75",
			},
		},
		{
			name: "a type that reads text says what it takes", env: append([]string{"BRAZE_RATE=fast"}, complete...),
			want: []string{`braze.rate (BRAZE_RATE): "fast"; allowed: a count and a time such as 3000/3s`},
		},
		{
			name: "value and file at once is a contradiction", yaml: "braze: {tokens: a, tokens_file: b}",
			env: append([]string{"BRAZE_API_KEY_FILE=/x"}, complete...),
			want: []string{
				"braze.tokens (BRAZE_TOKENS) [sluice.yaml:1]: both tokens and tokens_file are given; give one",
				"braze.tokens (BRAZE_TOKENS) [file named at sluice.yaml:1]: the file it names must be readable: no such file or directory",
				"braze.api_key (BRAZE_API_KEY): both BRAZE_API_KEY and BRAZE_API_KEY_FILE are set; set one",
			},
		},
		{
			name: "numbers stay within their type", env: append([]string{"INGEST_PORT=65536", "BRAZE_JITTER=NaN"}, complete...),
			want: []string{
				`braze.jitter (BRAZE_JITTER): "NaN"; allowed: a number from 0 to 1`,
				`ingest.port (INGEST_PORT): "65536"; allowed: a whole number from 0 to 65535`,
			},
		},
		{
			name: "a scalar where a section belongs", yaml: "braze: hello\n", env: complete,
			want: []string{"braze [sluice.yaml:1]: expected a mapping with the keys endpoint, api_key, tokens, max_objects, legacy_arrays, rate, linger, jitter"},
		},
		{
			name: "a mapping where a scalar belongs", yaml: "braze:\n  linger: {a: b}\n", env: complete,
			want: []string{"braze.linger (BRAZE_LINGER) [sluice.yaml:2]: expected a duration such as 200ms or 1m30s, from 0s to 10s"},
		},
		{
			name: "a key given twice", yaml: "log: {}\nlog: {}\n", env: complete,
			want: []string{`sluice.yaml:2: not YAML: mapping key "log" already defined at [1:1]`},
		},
		{
			name: "what is not YAML is the only complaint", yaml: "log: [\n",
			want: []string{"sluice.yaml:1: not YAML: sequence end token ']' not found"},
		},
		{
			name: "several documents", yaml: "log: {}\n---\nlog: {}\n", env: complete,
			want: []string{"sluice.yaml:3: one YAML document, not several"},
		},
		{
			name: "a line break cannot forge a second problem", env: append([]string{"LOG_LEVEL=a\nbraze.api_key: fine"}, complete...),
			want: []string{`log.level (LOG_LEVEL): "a\nbraze.api_key: fine"; allowed: one of debug, info, warn`},
		},
		{
			name: "an address loses its password", env: []string{"BRAZE_RATE=http://me:hunter2@host", "BRAZE_API_KEY=12345678", "BRAZE_REST_ENDPOINT=x"},
			want: []string{`braze.rate (BRAZE_RATE): "http://…@host"; allowed: a count and a time such as 3000/3s`},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problems(t, tc.yaml, tc.env...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAMissingFileIsAProblem(t *testing.T) {
	_, _, err := Load[testConfig](Options{File: "/nowhere.yaml", Environ: []string{}})
	want := `--config (SLUICE_CONFIG): "/nowhere.yaml"; allowed: a YAML file that can be read: no such file or directory`
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestAnchorsAndMergesAreFollowed(t *testing.T) {
	file := write(t, "sluice.yaml", `
ingest:
  keys:
    - &web {name: web, key: &k sharedsecret, sources: &s [shop]}
    - <<: *web
      name: app
    - {name: third, key: *k, sources: *s}
`)
	c, _, err := Load[testConfig](Options{File: file, Environ: complete})
	if err != nil {
		t.Fatal(err)
	}
	want := apiKeys{
		{Name: "web", Key: "sharedsecret", Sources: []string{"shop"}, Weight: 1},
		{Name: "app", Key: "sharedsecret", Sources: []string{"shop"}, Weight: 1},
		{Name: "third", Key: "sharedsecret", Sources: []string{"shop"}, Weight: 1},
	}
	if diff := cmp.Diff(want, c.Ingest.Keys); diff != "" {
		t.Error(diff)
	}
}

// talkative objects with everything it knows, as a careless Validate would.
type talkative struct {
	Key  Secret `yaml:"key" env:"KEY"`
	List []struct {
		Key Secret `yaml:"key" min:"100"`
	} `yaml:"list"`
	Number Secret `yaml:"number" env:"NUMBER" oneof:"a b"`
}

func (c talkative) Validate() error {
	return errors.Join(
		errors.New("key is "+c.Key.Reveal()),
		Problem{Field: "key", Value: c.Key.Reveal(), Allowed: "not " + c.Key.Reveal()},
		Problem{Field: "elsewhere", Value: c.Key.Reveal(), Allowed: "other"},
		Problems{{Field: "Key", Value: c.Key, Allowed: "longer"}},
	)
}

func TestNoProblemTellsASecret(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, tc := range []struct {
		name, yaml string
		env        []string
	}{
		{name: "in Validate's words", env: []string{"KEY=" + secret}},
		{name: "in a list", yaml: "list: [{key: " + secret + "}]"},
		{name: "that oneof does not know", env: []string{"NUMBER=" + secret}},
		{name: "put where its file's name belongs", env: []string{"KEY_FILE=" + secret}},
		{name: "put where its file's name belongs, in YAML", yaml: "key_file: " + secret},
		{name: "in the wrong shape", yaml: "key: {a: " + secret + "}"},
		{name: "where a list belongs", yaml: "list: " + secret},
		{name: "where a mapping belongs", yaml: "list: [" + secret + "]"},
		{name: "as the whole file", yaml: secret},
		{name: "in a file that is not YAML", yaml: "key: \"" + secret + "\nlist: ["},
		{name: "behind a tag of one's own", yaml: "key: !vault " + secret},
		{name: "behind an alias that leads nowhere", yaml: "key: *" + secret},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, report, err := Load[talkative](Options{File: write(t, "s.yaml", tc.yaml), Environ: append([]string{}, tc.env...)})
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), secret) {
				t.Error(err)
			}
			if json, _ := report.JSON(); strings.Contains(string(json)+string(report.YAML()), secret) {
				t.Errorf("%s", json)
			}
		})
	}
}

func TestATextTypeWithSecretsIsNotQuoted(t *testing.T) {
	got := problems(t, "", append([]string{"INGEST_KEYS=hunter2-hunter2"}, complete...)...)
	want := []string{"ingest.keys (INGEST_KEYS): set; allowed: a list of mappings"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// credential reads text itself, and keeps it where only reflection can see it.
type credential struct{ key Secret }

func (c *credential) UnmarshalText(text []byte) error {
	if c.key = Secret(text); len(text) > 20 {
		return fmt.Errorf("%s is too long", text)
	}
	return nil
}

func TestATextTypeThatHidesASecretIsNotShown(t *testing.T) {
	type holder struct {
		One  credential   `yaml:"one" env:"ONE"`
		Many []credential `yaml:"many" env:"MANY"`
		Long credential   `yaml:"long" env:"LONG"`
	}
	_, report, err := Load[holder](Options{Environ: []string{"ONE=hunter2", "MANY=hunter2,hunter2", "LONG=hunter2-hunter2-hunter2"}})
	if want := "long (LONG): set; allowed: text"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if json, _ := report.JSON(); strings.Contains(string(json), "hunter2") {
		t.Errorf("%s", json)
	}
}

func TestAnEmbeddedValidateIsHeardOnce(t *testing.T) {
	type Shared = brazeConfig // embedded under an exported name, its Validate is also that of around
	type around struct {
		Shared `yaml:",inline"`
	}
	type Outer struct {
		Braze around `yaml:"braze"`
	}
	_, _, err := Load[Outer](Options{Environ: append([]string{"BRAZE_LEGACY_ARRAYS=true"}, complete...)})
	if want := "braze.max_objects (BRAZE_MAX_OBJECTS): 75; allowed: at most 50 with legacy_arrays"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
