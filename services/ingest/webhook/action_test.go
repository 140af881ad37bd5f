package webhook_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

func TestAFileOfActionsSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"an unknown key, with its line", "actions:\n  a:\n    identify: x", "[3:5]"},
		{"a program that is none", "actions: {a: {dedup: '.body |'}}", "actions.a.dedup"},
		{"a function that there is not", "actions: {a: {identity: 'nobody'}}", "actions.a.identity"},
		{"definitions that are none", "actions: {a: {functions: 'def'}}", "actions.a.functions"},
		{"a name that fits no path", "actions: {a/b: {}}", "actions.a/b"},
		{"repeats beyond a day", "actions: {a: {repeats: 25h}}", "actions.a.repeats"},
		{"repeats below nothing", "actions: {a: {repeats: -1s}}", "actions.a.repeats"},
		{"a parameter that is none", "actions: {a: {key_query: 'a=b'}}", "actions.a.key_query"},
		{"a source beside them all the same", "actions: {a: {}}\nsources: {s: {auth: {scheme: none}}}", "sources.s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := webhook.Parse([]byte(c.file), options(nil)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something about %s", err, c.want)
			}
		})
	}
}

func TestShippedActionsAreThereUnlessNamedAnew(t *testing.T) {
	o := options(nil)
	o.Presets = []byte("actions: {postback: {dedup: .body.id, key_query: key}, other: {repeats: 1h}}")
	own, err := webhook.Parse([]byte("actions: {postback: {identity: .body, repeats: 0s}}"), o)
	if err != nil {
		t.Fatal(err)
	}
	type says struct {
		ID, User, Time bool
		KeyQuery       string
		Repeats        time.Duration
	}
	for name, want := range map[string]says{
		"postback": {User: true},
		"other":    {Repeats: time.Hour},
		"unheard":  {Repeats: 30 * time.Minute},
	} {
		a := own.Action(name)
		got := says{KeyQuery: a.KeyQuery(), Repeats: a.Repeats()}
		got.ID, got.User, got.Time = a.Says()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	if a := (*webhook.Sources)(nil).Action("x"); a.Repeats() != 30*time.Minute {
		t.Error("without a file there are no conventions")
	}
}

func TestProgramsOfActionsSeeNoSecret(t *testing.T) {
	sources, err := webhook.Parse([]byte(`actions: {a: {key_query: key, identity: '{headers, query}'}}`), options(nil))
	if err != nil {
		t.Fatal(err)
	}
	told, err := sources.Action("a").Read(t.Context(), &webhook.Request{
		Method: "POST", URL: &url.URL{RawQuery: "key=s3cr3t&page=1"}, Received: time.Now(),
		Header: http.Header{"Authorization": {"Bearer s3cr3t"}, "X-Api-Key": {"s3cr3t"}, "X-Form": {"f"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"headers": map[string]any{"x-form": "f"}, "query": map[string]any{"page": "1"}}
	if diff := cmp.Diff(any(want), told.User); diff != "" {
		t.Errorf("they see (-want +got)\n%s", diff)
	}
}

func TestAProgramThatFailsSpoilsNoOther(t *testing.T) {
	sources, err := webhook.Parse([]byte(`actions: {a: {dedup: '[.body.a, .body.b]', identity: '.body | error("no")', time: .body.at}}`), options(nil))
	if err != nil {
		t.Fatal(err)
	}
	for body, want := range map[string]webhook.Told{
		`{"a":"x","b":7,"at":"then"}`: {JSON: true, ID: "x/7", Time: "then"},
		`{"a":"x","at":null}`:         {JSON: true},
	} {
		told, err := sources.Action("a").Read(t.Context(), &webhook.Request{URL: &url.URL{}, Body: []byte(body)})
		told.Body = nil
		if diff := cmp.Diff(want, told); diff != "" || err == nil || !strings.Contains(err.Error(), "identity") {
			t.Errorf("%s: %v (-want +got)\n%s", body, err, diff)
		}
	}
}
