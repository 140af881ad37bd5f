package currentsfanout_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/yamlfile"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/httpsink"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// odd has a field of every kind that options have.
type odd struct {
	Word    string                   `yaml:"word" default:"please" oneof:"please thanks"`
	Token   config.Secret            `yaml:"token" required:"true"`
	Times   int                      `yaml:"times" default:"3" min:"1" max:"9"`
	Wait    time.Duration            `yaml:"wait" default:"2s" min:"1s" max:"1m"`
	Loud    bool                     `yaml:"loud" default:"true"`
	Share   float64                  `yaml:"share"`
	Room    yamlfile.Size            `yaml:"room" default:"1MiB" max:"2MiB"`
	Names   []string                 `yaml:"names" default:"a,b"`
	Headers map[string]config.Secret `yaml:"headers"`
	Inner   inner                    `yaml:"inner"`
	Further []inner                  `yaml:"further"`
	Any     any                      `yaml:"any"`
}

type inner struct {
	Deep string `yaml:"deep" default:"sea"`
	Less *int   `yaml:"less" min:"1"`
}

func (o *odd) Validate() error {
	if len(o.Names) == 1 {
		return errors.Join(config.Problem{Field: "names", Value: "token is " + o.Token.Reveal(), Allowed: "two at least"})
	}
	return nil
}

var oddKinds = currentsfanout.Kinds{
	"odd": currentsfanout.KindOf(func(context.Context, odd, sink.Deps) (sink.Sink, error) { return nil, errors.New("never opened") }),
	"fake": currentsfanout.KindOf(func(context.Context, fakeOptions, sink.Deps) (sink.Sink, error) {
		return nil, errors.New("never opened")
	}),
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestOptionsAreReadAsTheyStandWithTheEnvironmentInThem(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := oddKinds.Parse("x.yaml", []byte(`
sinks:
  - name: full
    kind: odd
    topics: [braze.actions, braze.engagements]
    rate: 100/s
    batch: {events: 7, bytes: 2KiB}
    memory: ${MEMORY}
    filter: {types: "users.*", campaigns: [007, "${CAMPAIGN}"]}
    odd:
      word: thanks
      token: ${TOKEN}
      times: ${TIMES}
      wait: 5s
      loud: no-${X}
      share: 0.5
      room: 2MiB
      names: [x, y, "$${Z}"]
      headers: {Authorization: "Bearer ${TOKEN}", X-Times: 3}
      inner: {less: 2}
      further: [{deep: blue}, {}]
      any: {a: [1, "${CAMPAIGN}"]}
  - name: short
    kind: fake
`), lookup(map[string]string{"TOKEN_FILE": secret, "MEMORY": "2MiB", "CAMPAIGN": "c9", "TIMES": "9", "X": "1"}))
	if err == nil || !strings.Contains(err.Error(), `sinks[full].odd.loud [x.yaml:15]: "no-${X}"; allowed: true or false`) {
		t.Fatalf("the error is %v", err)
	}
	f, err := oddKinds.Parse("x.yaml", []byte(`
sinks:
  - name: full
    kind: odd
    topics: [braze.actions, braze.engagements]
    rate: 100/s
    batch: {events: 7, bytes: 2KiB}
    memory: ${MEMORY}
    filter: {types: "users.*", campaigns: [007, "${CAMPAIGN}"]}
    odd: {word: thanks, token: "${TOKEN}", times: "${TIMES}", wait: 5s, loud: false, share: 0.5, room: 2MiB, names: [x, y, "$${Z}"], headers: {Authorization: "Bearer ${TOKEN}", X-Times: 3}, inner: {less: 2}, further: [{deep: blue}, {}], any: {a: [1, "${CAMPAIGN}"]}}
  - name: short
    kind: fake
`), lookup(map[string]string{"TOKEN_FILE": secret, "MEMORY": "2MiB", "CAMPAIGN": "c9", "TIMES": "9"}))
	if err != nil {
		t.Fatal(err)
	}
	full, short := f.Sinks[0], f.Sinks[1]
	two := 2
	want := &odd{
		Word: "thanks", Token: "from a file", Times: 9, Wait: 5 * time.Second, Share: 0.5, Room: 2 << 20, Names: []string{"x", "y", "${Z}"},
		Headers: map[string]config.Secret{"Authorization": "Bearer from a file", "X-Times": "3"},
		Inner:   inner{Deep: "sea", Less: &two}, Further: []inner{{Deep: "blue"}, {Deep: "sea"}},
		Any: map[string]any{"a": []any{uint64(1), "c9"}},
	}
	if diff := cmp.Diff(want, full.Options); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"007", "c9"}, full.Filter.Campaigns); diff != "" {
		t.Error(diff)
	}
	if full.Rate.String() != "100/1s" || full.Batch != (currentsfanout.Batch{Events: 7, Bytes: 2048, Linger: 5 * time.Second}) || full.Memory != 2<<20 {
		t.Errorf("read as %+v", full)
	}
	if short.Options.(*fakeOptions).Word != "please" || short.Concurrency != 4 || short.FailureBudget != 72*time.Hour || !cmp.Equal(short.Topics, []string{"braze.engagements"}) || short.Start != "earliest" {
		t.Errorf("the defaults are %+v, %+v", short, short.Options)
	}
}

func TestEverythingThatIsWrongIsSaidWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"a key nobody knows":         {"sinks: [{name: a, kind: fake, colour: red}]", `sinks[a].colour [x.yaml:1]: unknown key; known here: name, kind, topics`},
		"an option nobody knows":     {"sinks: [{name: a, kind: fake, fake: {colour: red}}]", `sinks[a].fake.colour [x.yaml:1]: unknown key; known here: word`},
		"a kind nobody knows":        {"sinks: [{name: a, kind: fax}]", `sinks[a].kind [x.yaml:1]: "fax"; allowed: one of fake, odd`},
		"options of another kind":    {"sinks: [{name: a, kind: fake, odd: {}}]", `sinks[a].odd [x.yaml:1]: a sink of kind fake has no such options`},
		"no name":                    {"sinks: [{kind: fake}]", `sinks[0].name [x.yaml:1]: it is needed`},
		"a name that is none":        {"sinks: [{kind: fake, name: A b}]", `sinks[0].name [x.yaml:1]: "A b"; allowed: 1 to 63`},
		"a name twice":               {"sinks:\n- {name: a, kind: fake}\n- {name: a, kind: fake}", `sinks[a].name [x.yaml:3]: "a"; allowed: a name that no other sink has`},
		"a key twice":                {"sinks:\n- name: a\n  kind: fake\n  kind: fake", `not YAML: line 4`},
		"another topic":              {"sinks: [{name: a, kind: fake, topics: [customer.events]}]", `sinks[a].topics [x.yaml:1]: "customer.events"; allowed: braze.engagements and braze.actions`},
		"a size":                     {"sinks: [{name: a, kind: fake, memory: 1 elephant}]", `sinks[a].memory [x.yaml:1]: "1 elephant"; allowed: a number of bytes, such as 1MiB`},
		"a size out of bounds":       {"sinks: [{name: a, kind: fake, memory: 1KiB}]", `sinks[a].memory [x.yaml:1]: "1KiB"; allowed: from 1MiB to 64GiB`},
		"a rate":                     {"sinks: [{name: a, kind: fake, rate: 100}]", `sinks[a].rate [x.yaml:1]: "100"; allowed: requests per time, such as 3000/3s`},
		"a length of time":           {"sinks: [{name: a, kind: fake, batch: {linger: soon}}]", `sinks[a].batch.linger [x.yaml:1]: "soon"; allowed: a length of time`},
		"a way to redact":            {"sinks: [{name: a, kind: fake, redact: [{fields: [x], how: burn}]}]", `sinks[a].redact[0].how [x.yaml:1]: "burn"; allowed: one of remove, mask, hash`},
		"an id redacted":             {"sinks: [{name: a, kind: fake, redact: [{fields: [id]}]}]", `any field but id, event_type, time`},
		"redaction of nothing":       {"sinks: [{name: a, kind: fake, redact: [{fields: []}]}]", `sinks[a].redact[0].fields`},
		"a variable that is not set": {"sinks: [{name: a, kind: odd, odd: {token: \"${TOKEN}\"}}]", `sinks[a].odd.token [x.yaml:1]: set TOKEN, or name a file in TOKEN_FILE`},
		"a secret that is needed":    {"sinks: [{name: a, kind: odd}]", `sinks[a].odd.token [x.yaml:1]: it is needed`},
		"what a kind objects to":     {"sinks: [{name: a, kind: odd, odd: {token: \"${SECRET}\", names: [one]}}]", `sinks[a].odd.names [x.yaml:1]: "token is [from the environment]"; allowed: two at least`},
		"no list":                    {"sinks: {name: a}", `sinks [x.yaml:1]: expected a list of sinks`},
		"another root":               {"sinks: []\nroutes: []", `routes [x.yaml:2]: unknown key; known here: sinks`},
		"an anchor":                  {"sinks: [{name: &a a, kind: fake}]", `anchors, aliases and tags are not read here`},
		"two documents":              {"sinks: []\n---\nsinks: []", `one YAML document, not several`},
		"no YAML":                    {"sinks: [", `not YAML`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := oddKinds.Parse("x.yaml", []byte(c.text), lookup(map[string]string{"SECRET": "geheim"}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is\n%v\nwant\n%s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

// TestWhatIsShippedIsInOrder: the file that is built in, and the example in its comment.
func TestWhatIsShippedIsInOrder(t *testing.T) {
	f, err := currentsfanout.Load("", nil)
	if err != nil || len(f.Sinks) != 0 {
		t.Errorf("read as %+v, %v", f, err)
	}
	text, err := os.ReadFile("sinks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "#\n")
	var lines []string
	for line := range strings.Lines(example) {
		if line, commented := strings.CutPrefix(line, "# "); commented {
			lines = append(lines, line)
		}
	}
	example = strings.Join(lines, "")
	f, err = currentsfanout.BuiltIn.Parse("sinks.yaml", []byte(example), lookup(map[string]string{"COLLECTOR_TOKEN": "x"}))
	if err != nil || len(f.Sinks) != 1 || f.Sinks[0].Options.(*httpsink.Options).URL == "" {
		t.Errorf("the example is read as %+v, %v", f, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("sinks: [{name: a, kind: odd, odd: {token: x, headers: {a: b}, further: [{deep: 1}]}}]"))
	f.Add([]byte("sinks:\n- name: a\n  kind: fake\n  redact: [{fields: [a], how: hash}]\n"))
	f.Add([]byte("sinks: [*a, &a b, !!x c, {<<: *a}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := oddKinds.Parse("x.yaml", text, lookup(map[string]string{"A": "b"}))
		if (read == nil) == (err == nil) {
			t.Errorf("read %v, error %v", read, err)
		}
		if err == nil {
			for _, s := range read.Sinks {
				if s.Name == "" || s.Options == nil || s.Validate() != nil {
					t.Errorf("a sink that is not in order has passed: %+v", s)
				}
			}
		}
	})
}
