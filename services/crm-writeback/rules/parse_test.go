package rules_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

func TestEachMistakeIsToldWithItsNameAndLine(t *testing.T) {
	t.Parallel()
	const contact = "targets:\n  - name: crm\n    kind: salesforce\n    objects:\n      - object: Contact\n        key: {field: K}\n"
	for name, c := range map[string]struct{ file, want string }{
		"no YAML":                 {"targets: [", "writeback.yaml: not YAML: line 1: sequence end token ']' not found"},
		"two documents":           {"targets: []\n---\nrules: []", "writeback.yaml:3: one YAML document, not several"},
		"a key at the top":        {"target: []", "target [writeback.yaml:1]: unknown key; known here: targets, rules, loop, link_wait"},
		"a key of a target":       {"targets:\n  - name: crm\n    kind: http\n    raet: 1/1s", "targets[crm].raet [writeback.yaml:4]: unknown key; known here: name, kind, needs, rate, linger, memory, concurrency, failure_budget, self, echo_window, salesforce, hubspot, http, objects"},
		"a key of a field":        {contact + "        fields: [{field: F, attr: a}]", "targets[crm].objects[Contact].fields[F].attr [writeback.yaml:7]: unknown key; known here: field, attribute, group, owner, type, to_braze"},
		"no name":                 {"targets: [{kind: http}]", "targets[0].name [writeback.yaml:1]: it is needed"},
		"a name that is none":     {"targets: [{name: A b, kind: http}]", `targets[0].name [writeback.yaml:1]: "A b"; allowed: 1 to 63 small letters, digits, - and _, a letter first`},
		"a target called braze":   {"targets: [{name: braze, kind: http}]", `targets[braze].name [writeback.yaml:1]: "braze"; allowed: any name but braze, which is the way back`},
		"two targets of a name":   {"targets:\n  - {name: a, kind: http}\n  - {name: a, kind: http}", `targets[1].name [writeback.yaml:3]: "a"; allowed: a name that no other target has`},
		"a kind that is none":     {"targets: [{name: a, kind: sap}]", `targets[a].kind [writeback.yaml:1]: "sap"; allowed: one of salesforce, hubspot, http`},
		"another kind's options":  {"targets:\n  - name: a\n    kind: http\n    hubspot: {}", `targets[a].hubspot [writeback.yaml:4]: a target of kind http has no such options`},
		"a rate that is none":     {"targets: [{name: a, kind: http, rate: fast}]", `targets[a].rate [writeback.yaml:1]: "fast"; allowed: requests per time, such as 3000/3s`},
		"too many calls at once":  {"targets: [{name: a, kind: http, concurrency: 65}]", `targets[a].concurrency [writeback.yaml:1]: "65"; allowed: from 1 to 64`},
		"a length that is none":   {"link_wait: soon", `link_wait [writeback.yaml:1]: "soon"; allowed: a length of time, such as 30s or 5m`},
		"an empty actor":          {"targets: [{name: a, kind: http, self: ['']}]", `targets[a].self [writeback.yaml:1]: names that are not empty`},
		"a variable that is none": {"targets: [{name: a, kind: http, needs: ['A B']}]", `targets[a].needs [writeback.yaml:1]: "A B"; allowed: names of environment variables`},
		"one that is not set":     {"targets: [{name: '${NOBODY}', kind: http}]", `targets[0].name [writeback.yaml:1]: set NOBODY, or name a file in NOBODY_FILE`},
		"an object without a key": {"targets:\n  - name: a\n    kind: http\n    objects: [{object: O}]", `targets[a].objects[O].key.field [writeback.yaml:4]: it is needed`},
		"an object twice":         {contact + "      - object: Contact\n        key: {field: K}", `targets[crm].objects[1] [writeback.yaml:7]: "Contact"; allowed: an object that stands here once`},
		"a field twice":           {contact + "        fields:\n          - {field: F, attribute: a}\n          - {field: F, attribute: b}", `targets[crm].objects[Contact].fields[1] [writeback.yaml:9]: "F"; allowed: a field that stands here once`},
		"a field for nobody":      {contact + "        fields:\n          - {field: F}", `targets[crm].objects[Contact].fields[F] [writeback.yaml:8]: attribute or group, one of them`},
		"a field for two":         {contact + "        fields:\n          - {field: F, attribute: a, group: g}", `targets[crm].objects[Contact].fields[F] [writeback.yaml:8]: attribute or group, one of them`},
		"a group that is none":    {contact + "        fields:\n          - {field: F, group: 'a b'}", `targets[crm].objects[Contact].fields[F].group [writeback.yaml:8]: "a b"; allowed: the id of a subscription group`},
		"an owner that is none":   {contact + "        fields:\n          - {field: F, attribute: a, owner: me}", `targets[crm].objects[Contact].fields[F].owner [writeback.yaml:8]: "me"; allowed: one of crm, braze, newest`},
		"identity and user":       {contact + "        identity: F\n        user: .changes", `targets[crm].objects[Contact].user [writeback.yaml:8]: identity or user, not both`},
		"jq that is none":         {contact + "        fields:\n          - field: F\n            attribute: a\n            to_braze: |\n              if .\n              then", `targets[crm].objects[Contact].fields[F].to_braze [writeback.yaml:10]: "if .\nthen"; allowed: a jq program: unexpected EOF, at line 2 of the program`},
		"a rule for nobody":       {contact + "rules: [{name: r, on: actions, target: x, object: Contact, set: '{}'}]", `rules[r].target [writeback.yaml:7]: "x"; allowed: a target of this file`},
		"a rule for no object":    {contact + "rules: [{name: r, on: actions, target: crm, object: Lead, set: '{}'}]", `rules[r].object [writeback.yaml:7]: "Lead"; allowed: an object of target crm, with its key`},
		"two rules of a name":     {contact + "rules:\n  - {name: r, on: actions, target: crm, object: Contact, set: '{}'}\n  - {name: r, on: actions, target: crm, object: Contact, set: '{}'}", `rules[1].name [writeback.yaml:9]: "r"; allowed: a name that no other rule has`},
		"types of actions":        {contact + "rules: [{name: r, on: actions, types: [a], target: crm, object: Contact, set: '{}'}]", `rules[r].types [writeback.yaml:7]: actions have names, engagements types`},
		"names of engagements":    {contact + "rules: [{name: r, on: engagements, names: [a], target: crm, object: Contact, set: '{}'}]", `rules[r].names [writeback.yaml:7]: engagements have types, actions names`},
		"a name without letters":  {contact + "rules: [{name: r, on: actions, names: [''], target: crm, object: Contact, set: '{}'}]", `rules[r] [writeback.yaml:7]: names and types that are not empty`},
		"a rule without set":      {contact + "rules: [{name: r, on: actions, target: crm, object: Contact}]", `rules[r].set [writeback.yaml:7]: it is needed`},
		"a mode that is none":     {contact + "rules: [{name: r, on: actions, target: crm, object: Contact, set: '{}', mode: merge}]", `rules[r].mode [writeback.yaml:7]: "merge"; allowed: one of upsert, update, note`},
		"the clock":               {contact + "rules: [{name: r, on: actions, target: crm, object: Contact, set: '{a: now}'}]", `rules[r].set [writeback.yaml:7]: "{a: now}"; allowed: a jq program: now is not available: a rule may depend on nothing but the record`},
		"a customer's expression": {contact + "rules: [{name: r, on: actions, if: 'test(.payload)', target: crm, object: Contact, set: '{}'}]", `rules[r].if [writeback.yaml:7]: "test(.payload)"; allowed: a jq program: the regular expression of test has to be written out as a text, flags as well`},
		"an anchor":               {"targets: &a []", "targets [writeback.yaml:1]: anchors, aliases and tags are not read here; write it out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := rules.Parse([]byte(c.file), nobody)
			if err == nil {
				t.Fatal("no error")
			}
			if _, ok := errors.AsType[config.Problems](err); !ok {
				t.Errorf("a %T, want config.Problems", err)
			}
			if diff := cmp.Diff(c.want, strings.TrimSpace(err.Error())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := rules.Parse([]byte("targets:\n  - {name: a, kind: http, self: ['']}\nrules:\n  - {name: r, on: actions, target: b, object: O, set: '['}"), nobody)
	problems, ok := errors.AsType[config.Problems](err)
	if !ok || len(problems) != 3 {
		t.Errorf("got %v; want three mistakes", err)
	}
}

func TestATargetIsWhatTheFileSays(t *testing.T) {
	t.Parallel()
	set := parse(t, `
targets:
  - {name: plain, kind: http}
  - name: full
    kind: hubspot
    rate: 190/10s
    linger: 2s
    memory: 1MiB
    concurrency: 8
    failure_budget: 24h
    self: [INTEGRATION]
    echo_window: 1h
loop: {turns: 3, within: 5m}
link_wait: 1h
`)
	want := []rules.Target{
		{Name: "plain", Kind: rules.HTTP, Linger: time.Second, Memory: 32 << 20, Concurrency: 2, FailureBudget: 72 * time.Hour, EchoWindow: 24 * time.Hour},
		{
			Name: "full", Kind: rules.HubSpot, Rate: quota.Rate{Count: 190, Per: 10 * time.Second}, Linger: 2 * time.Second, Memory: 1 << 20, Concurrency: 8,
			FailureBudget: 24 * time.Hour, Self: []string{"INTEGRATION"}, EchoWindow: time.Hour,
		},
	}
	if diff := cmp.Diff(want, set.Targets(), cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".options" }, cmp.Ignore())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if turns, within := set.Loop(); turns != 3 || within != 5*time.Minute {
		t.Errorf("a loop is %d turns in %v", turns, within)
	}
	if wait := set.LinkWait(); wait != time.Hour {
		t.Errorf("a change waits %v", wait)
	}
	if _, ok := set.Target("none"); ok {
		t.Error("a target that is not there is found")
	}
}

// kindOptions are what a kind may have.
type kindOptions struct {
	URL    string        `yaml:"url" required:"true"`
	Token  config.Secret `yaml:"token"`
	Rows   int           `yaml:"rows" default:"100" max:"200"`
	Nested struct {
		List []string `yaml:"list"`
	} `yaml:"nested"`
}

func (o *kindOptions) Validate() error {
	if !strings.HasPrefix(o.URL, "https://") {
		return config.Problem{Field: "url", Value: o.URL, Allowed: "https"}
	}
	return nil
}

func TestOptionsOfAKindAreReadAsStrictlyAsTheRest(t *testing.T) {
	t.Parallel()
	env := func(name string) (string, bool) {
		return map[string]string{"URL": "https://x", "TOKEN": "s3cret-s3cret"}[name], true
	}
	for name, c := range map[string]struct{ options, want string }{
		"good":                   {`{url: "${URL}/a", token: "${TOKEN}", nested: {list: [a, b]}}`, ""},
		"an unknown key":         {"\n      url: https://x\n      tokne: a", "targets[a].http.tokne [writeback.yaml:6]: unknown key; known here: url, token, rows, nested"},
		"none at all":            {"", "targets[a].http.url [writeback.yaml:4]: it is needed"},
		"too much":               {"{url: https://x, rows: 201}", "targets[a].http.rows [writeback.yaml:4]: \"201\"; allowed: at most 200"},
		"what Validate finds":    {"\n      rows: 2\n      url: ftp://x", `targets[a].http.url [writeback.yaml:6]: "ftp://x"; allowed: https`},
		"a secret in a sentence": {`{url: "${TOKEN}"}`, `targets[a].http.url [writeback.yaml:4]: "[from the environment]"; allowed: https`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := rules.Parse([]byte("targets:\n  - name: a\n    kind: http\n    http: "+c.options), env)
			if err != nil {
				t.Fatal(err)
			}
			target, _ := set.Target("a")
			for range 2 { // the same each time
				var o kindOptions
				got := ""
				if err := target.Options(&o); err != nil {
					got = err.Error()
				} else if o.URL != "https://x/a" || o.Token.Reveal() != "s3cret-s3cret" || o.Rows != 100 || len(o.Nested.List) != 2 {
					t.Errorf("it reads %+v", o)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestATargetIsThereWhenWhatItNeedsIsSet(t *testing.T) {
	t.Parallel()
	const file = "targets:\n  - {name: a, kind: http, needs: [URL, TOKEN], objects: [{object: O, key: {field: k}}]}\nrules: [{name: r, on: actions, target: a, object: O, set: '{a: 1}'}]"
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing":           {nil, false},
		"half":              {map[string]string{"URL": "x"}, false},
		"empty":             {map[string]string{"URL": "x", "TOKEN": ""}, false},
		"both":              {map[string]string{"URL": "x", "TOKEN": "y"}, true},
		"one out of a file": {map[string]string{"URL": "x", "TOKEN_FILE": "/run/secrets/token"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := rules.Parse([]byte(file), func(n string) (string, bool) { v, ok := c.env[n]; return v, ok })
			if err != nil {
				t.Fatal(err)
			}
			if _, got := set.Target("a"); got != c.want || set.WantsAction("form") != c.want {
				t.Errorf("the target is there: %v; its rules: %v; want %v", got, set.WantsAction("form"), c.want)
			}
		})
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := rules.Load(filepath.Join(folder, "none.yaml")); err == nil || !strings.Contains(err.Error(), "WRITEBACK_FILE") {
		t.Errorf("got %v", err)
	}
	large := filepath.Join(folder, "large.yaml")
	if err := os.WriteFile(large, []byte(strings.Repeat("# comment\n", 200_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Load(large); err == nil || !strings.Contains(err.Error(), "at most 1048576 bytes") {
		t.Errorf("got %v", err)
	}
	small := filepath.Join(folder, "small.yaml")
	if err := os.WriteFile(small, []byte("rlues: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rules.Load(small); err == nil || !strings.Contains(err.Error(), small+":1") {
		t.Errorf("got %v; want the file's own name and the line", err)
	}
}

func TestTheFileThatIsBuiltInHasNoTargetsWithoutAnEnvironment(t *testing.T) {
	t.Parallel()
	set, err := rules.LoadWith("", nobody)
	if err != nil || len(set.Targets()) != 0 {
		t.Errorf("targets %v, error %v", set.Targets(), err)
	}
	var names []string
	for _, target := range rules.Default().Targets() {
		names = append(names, target.Name+" "+target.Kind)
	}
	if diff := cmp.Diff([]string{"crm salesforce", "hubspot hubspot", "loyalty http"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnActorIsOurselvesInOneOfItsWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		self  []string
		actor string
		want  bool
	}{
		{nil, "anybody", true},
		{[]string{"us"}, "", true},
		{[]string{"0055e00000Demo3"}, "0055e00000Demo3AAC", true},
		{[]string{"0055e00000Demo3AAC"}, "0055e00000Demo3AAC client=astro", true},
		{[]string{"client=sluice"}, "0055e00000Demo3AAC client=sluice", true},
		{[]string{"client=sluice"}, "0055e00000Demo3AAC client=astro", false},
		{[]string{"25681700"}, "INTEGRATION 25681700", true},
		{[]string{"25681700"}, "INTEGRATION 256817001", false},
		{[]string{"a", "b"}, "b", true},
		{[]string{"a"}, "A", false},
	} {
		if got := (rules.Target{Self: c.self}).Is(c.actor); got != c.want {
			t.Errorf("%q of %q: %v, want %v", c.actor, c.self, got, c.want)
		}
	}
}

func nobody(string) (string, bool) { return "", false }

func parse(t *testing.T, text string) *rules.Set {
	t.Helper()
	set, err := rules.Parse([]byte(text), nobody)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
