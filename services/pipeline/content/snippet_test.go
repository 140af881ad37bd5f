package content_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/pipeline/content"
)

func TestTheTagIsReadyToBePasted(t *testing.T) {
	r := ruled(t, `
collections:
- {name: open, cache: 1h}
- {name: basic, user: braze, password: s3cret}
- {name: "guarded*", bearer: s3cret, default: {headline: It's here, "two words": x, nested: {a: 1}, quoted: "'\"", end: "%}", count: 3, on: true}}
`)
	const host = "https://content.example.com/"
	for _, c := range []struct {
		name string
		s    content.Snippet
		want string
	}{
		{
			"a message is aborted where nothing stands in",
			content.Snippet{About: content.Subject{Collection: "open", ID: "a b/c@7'"}, URL: host, Save: "hero"},
			"{% connected_content https://content.example.com/v1/content/open/a%20b%2Fc@7%27 :cache_max_age 3600 :retry :save hero %}\n" +
				"{% if hero == nil or hero.ok != true %}{% abort_message('no content: open/a b/c@7_') %}{% endif %}\n{{hero.body.FIELD}}\n",
		},
		{
			"basic credentials are named, and a locale is the one that is given",
			content.Snippet{About: content.Subject{Collection: "basic", ID: "x"}, Locale: "de-AT"},
			"{% connected_content https://YOUR-CONTENT-HOST/v1/content/basic/x?locale=de-AT :cache_max_age 300 :retry :basic_auth sluice_basic :save content %}\n" +
				"{% if content == nil or content.ok != true %}{% abort_message('no content: basic/x') %}{% endif %}\n{{content.body.FIELD}}\n",
		},
		{
			"defaults that Liquid can write stand beside their fields",
			content.Snippet{About: content.Subject{Collection: "guarded-1", ID: "x"}, URL: host, Locale: content.ReadersLocale, Credential: "shop"},
			"{% connected_content https://content.example.com/v1/content/guarded-1/x?locale={{${language} | url_param_escape}} :cache_max_age 300 :retry :auth_credentials shop :save content %}\n" +
				"{{content.body.count | default: 3}}\n{{content.body.headline | default: \"It's here\"}}\n{{content.body.on | default: true}}\n",
		},
		{
			"a header instead of a credential has a placeholder",
			content.Snippet{About: content.Subject{Collection: "guarded", ID: "x"}, URL: host, Headers: true},
			"{% connected_content https://content.example.com/v1/content/guarded/x :cache_max_age 300 :retry :headers {\"Authorization\": \"Bearer YOUR-TOKEN\"} :save content %}\n" +
				"{{content.body.count | default: 3}}\n{{content.body.headline | default: \"It's here\"}}\n{{content.body.on | default: true}}\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.s.Rule = r.Find(c.s.About.Collection)
			got, notes, err := c.s.Tag()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(got+strings.Join(notes, ""), "s3cret") {
				t.Error("there is a credential in it")
			}
		})
	}
	for _, address := range []string{"content.example.com", "ftp://x", "https://x:8081", "https://u:p@x", "https://x/?a=b"} {
		if _, _, err := (content.Snippet{Rule: r.Find("open"), URL: address}).Tag(); err == nil {
			t.Errorf("%s is taken", address)
		}
	}
	if r.Find("other") != nil {
		t.Error("a collection that no rule names has rules")
	}
}
