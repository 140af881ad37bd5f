package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// polled is a source that is polled and nothing else, with some more lines of its poll block.
func polled(url string, more ...string) string {
	return "sources:\n  a:\n    poll:\n      url: " + url + "\n      items: .items\n      id: .id\n" +
		strings.Join(append(more, ""), "\n") + "    map: |\n      {to: \"profile\", user: {external_id: .body.id}, set: {polled: .polled}}\n"
}

func TestAPollBlockSaysWhatIsWrongWithIt(t *testing.T) {
	const url = "https://a.example.com/x"
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key, with its line", polled(url, "      evry: 5m"), `[7:7] unknown field "evry"`},
		{"an unknown key further in, with its line", polled(url, "      paging:", "        sze: 5"), `[8:9] unknown field "sze"`},
		{"no address", strings.Replace(polled(url), "      url: "+url+"\n", "", 1), "sources.a.poll.url"},
		{"an address in clear", polled("http://a.example.com/x"), "sources.a.poll.url"},
		{"a password in the address", polled("https://u:p@a.example.com/x"), "sources.a.poll.url"},
		{"a placeholder in the path", polled("https://a.example.com/{cursor}"), "sources.a.poll.url"},
		{"a method that changes things", polled(url, "      method: DELETE"), "sources.a.poll.method"},
		{"a body of GET", polled(url, "      body: '{}'"), "sources.a.poll.body"},
		{"a program that is none", polled(url, "      version: '|'"), "sources.a.poll.version"},
		{"a cursor that goes nowhere", polled(url, "      paging: {kind: cursor, next: .n}"), "sources.a.poll.paging.url"},
		{"a cursor from nowhere", polled(url+"?c={cursor}", "      paging: {kind: cursor}"), "sources.a.poll.paging.next"},
		{"numbers that nobody asks for", polled(url, "      paging: {kind: page}"), "sources.a.poll.paging.url"},
		{"a limit without a number", polled(url + "?n={limit}"), "sources.a.poll.paging.size"},
		{"since without the time of an item", polled(url + "?s={since}"), "sources.a.poll.since.value"},
		{"numbered pages that do not say their order", polled(url+"?s={since}&p={page}", "      paging: {kind: page}", "      since: {value: .t}"), "sources.a.poll.paging.sorted"},
		{"a sequence in no order", polled(url+"?s={since}", "      paging: {kind: link}", "      since: {value: .t, format: integer}"), "sources.a.poll.paging.sorted"},
		{"an overlap that is none", polled(url+"?s={since}", "      since: {value: .t, overlap: 2}"), "sources.a.poll.since.overlap"},
		{"deletions of which nothing becomes", polled(url, "      missing: true"), "sources.a.poll.gone"},
		{"what is missing where nobody sees everything", polled(url+"?s={since}", "      since: {value: .t}", "      missing: true", "      gone: empty"), "sources.a.poll.full_every"},
		{"a scheme that there is not", polled(url, "      auth: {scheme: hmac}"), "sources.a.poll.auth.scheme"},
		{"a token from nowhere", polled(url, "      auth: {scheme: oauth2, secret_env: S}"), "sources.a.poll.auth.token_url"},
		{"a token in clear", polled(url, "      auth: {scheme: oauth2, secret_env: S, client_id_env: I, token_url: 'http://a.example.com/t'}"), "sources.a.poll.auth.token_url"},
		{"a format that there is not", polled(url, "      format: zip"), "sources.a.poll.format"},
		{"a feed without a word for what is gone", polled(url, "      format: csv"), "sources.a.poll.gone"},
		{"a feed with items", polled(url, "      format: xml", "      gone: empty"), "sources.a.poll.items"},
		{"a feed with pages", polled(url+"?p={page}", "      format: xml", "      gone: empty", "      paging: {kind: page}"), "sources.a.poll.paging"},
		{"a feed that loses more than it has", polled(url, "      format: xml", "      gone: empty", "      max_loss: 101"), "sources.a.poll.max_loss"},
		{"a loss of what is no feed", polled(url, "      max_loss: 10"), "sources.a.poll.max_loss"},
		{"a rate that is none", polled(url, "      rate: fast"), "requests per time"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := webhook.Parse([]byte(c.text), options(map[string]string{"S": "s", "I": "i"})); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s", err, c.want)
			}
		})
	}
	sources, err := webhook.Parse([]byte(polled(url)), options(nil))
	if err != nil {
		t.Fatal(err)
	}
	if s := sources.Find("a"); s.Calls() || s.Polling() == nil || s.Polling().Every != 5*time.Minute || s.Verify(call("{}", arrival)) == nil {
		t.Errorf("a source that is only polled: %+v", s.Polling())
	}
}

func TestAVariableThatIsMissingDisablesThePollAlone(t *testing.T) {
	text := polled("https://${HOST}/x?v=${VERSION:-2}", "      auth: {scheme: bearer, secret_env: TOKEN}")
	for _, c := range []struct {
		env               map[string]string
		disabled, address string
	}{
		{nil, "set HOST and TOKEN", "https:///x?v=2"},
		{map[string]string{"HOST": "b.example.com"}, "set TOKEN", "https://b.example.com/x?v=2"},
		{map[string]string{"HOST": "b.example.com", "TOKEN": "t", "VERSION": "3"}, "", "https://b.example.com/x?v=3"},
	} {
		sources, err := webhook.Parse([]byte(text), options(c.env))
		if err != nil {
			t.Fatal(err)
		}
		if p := sources.Find("a").Polling(); p.Disabled() != c.disabled || p.URL != c.address {
			t.Errorf("with %v: %q, %s", c.env, p.Disabled(), p.URL)
		}
	}
}

func TestAnItemIsTheSameEventHoweverOftenItIsRead(t *testing.T) {
	sources, err := webhook.Parse([]byte(polled("https://a.example.com/x", "      version: .v")), options(nil))
	if err != nil {
		t.Fatal(err)
	}
	p := sources.Find("a").Polling()
	page, err := p.Read(t.Context(), []byte(`{"items":[{"id":9007199254740993,"v":1},{"v":2,"id":9007199254740993},{"id":"`+strings.Repeat("x", 300)+`","v":1},{"id":5},{"id":5,"a":1},{"v":1}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, it := range page.Items {
		m := p.Translate(t.Context(), it, arrival)
		again := p.Translate(t.Context(), it, arrival.Add(time.Hour))
		if diff := cmp.Diff(m, again); diff != "" {
			t.Error(diff)
		}
		if m.Refuse == "" && !strings.Contains(string(m.Outputs[0].JSON), `"polled":true`) {
			t.Errorf("%s does not know that it is polled", m.Outputs[0].JSON)
		}
		keys = append(keys, m.Key)
	}
	if keys[0] != "poll/9007199254740993/1" || keys[1] != "poll/9007199254740993/2" || keys[3] == keys[4] {
		t.Errorf("%q", keys)
	}
	for _, k := range keys {
		if len(k) > 255 {
			t.Errorf("%s is too long", k)
		}
	}
}
