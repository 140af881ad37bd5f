package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

const contentfulSecret = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

// contentfulCall is an entry's message, signed by the rules of the canonical request (contentful: request
// verification) for the headers that it names.
func contentfulCall(path, topic, body string, at time.Time, signed ...string) *webhook.Request {
	r := call(body, at, "X-Contentful-Topic", topic, "X-Contentful-Timestamp", fmt.Sprint(at.UnixMilli()), "Content-Type", " application/vnd.contentful.management.v1+json ")
	r.URL.Path = path
	names := append([]string{"x-contentful-signed-headers", "x-contentful-timestamp"}, signed...)
	r.Header.Set("X-Contentful-Signed-Headers", strings.Join(names, ","))
	slices.Sort(names)
	var lines []string
	for _, name := range names {
		lines = append(lines, name+":"+strings.TrimSpace(r.Header.Get(name)))
	}
	mac := hmac.New(sha256.New, []byte(contentfulSecret))
	mac.Write([]byte(strings.Join([]string{"POST", r.URL.EscapedPath(), strings.Join(lines, ";"), body}, "\n")))
	r.Header.Set("X-Contentful-Signature", hex.EncodeToString(mac.Sum(nil)))
	return r
}

func TestContentfulSignsTheCanonicalRequest(t *testing.T) {
	source := shipped(t, map[string]string{"CONTENTFUL_WEBHOOK_SECRETS": "another, " + contentfulSecret}).Find("contentful")
	const topic, body = "ContentManagement.Entry.publish", `{"sys":{"id":"größer"}}`
	good := func() *webhook.Request {
		return contentfulCall("/v1/hooks/contentful", topic, body, signedAt, "x-contentful-topic", "content-type")
	}
	for _, c := range []struct {
		name   string
		r      *webhook.Request
		change func(r *webhook.Request)
		want   bool
	}{
		{name: "as it was sent", r: good(), want: true},
		{name: "without a body", r: contentfulCall("/v1/hooks/contentful", topic, "", signedAt, "x-contentful-topic"), want: true},
		{name: "at a path that is escaped", r: contentfulCall("/v1/hooks/grün blau", topic, body, signedAt, "x-contentful-topic"), want: true},
		{name: "in the last moment", r: good(), change: func(r *webhook.Request) { r.Received = signedAt.Add(30 * time.Second) }, want: true},
		{name: "too late", r: good(), change: func(r *webhook.Request) { r.Received = signedAt.Add(30*time.Second + time.Millisecond) }},
		{name: "with another topic", r: good(), change: func(r *webhook.Request) { r.Header.Set("X-Contentful-Topic", "ContentManagement.Entry.delete") }},
		{name: "with a topic that nobody signed", r: contentfulCall("/v1/hooks/contentful", topic, body, signedAt, "content-type")},
		{name: "with a type that a proxy has changed", r: good(), change: func(r *webhook.Request) { r.Header.Set("Content-Type", "application/json") }},
		{name: "with a signed header that a proxy has taken away", r: good(), change: func(r *webhook.Request) { r.Header.Del("Content-Type") }},
		{name: "at another path", r: good(), change: func(r *webhook.Request) { r.URL.Path = "/v1/hooks/other" }},
		{name: "with another method", r: good(), change: func(r *webhook.Request) { r.Method = http.MethodPut }},
		{name: "with another time", r: good(), change: func(r *webhook.Request) { r.Header.Set("X-Contentful-Timestamp", fmt.Sprint(signedAt.UnixMilli()+1)) }},
		{name: "with fewer signed headers", r: good(), change: func(r *webhook.Request) {
			r.Header.Set("X-Contentful-Signed-Headers", "x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic")
		}},
		{name: "with the secret as bytes of hexadecimal", r: good(), change: func(r *webhook.Request) {
			key, _ := hex.DecodeString(contentfulSecret)
			mac := hmac.New(sha256.New, key)
			mac.Write(r.Body)
			r.Header.Set("X-Contentful-Signature", hex.EncodeToString(mac.Sum(nil)))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change != nil {
				c.change(c.r)
			}
			if err := source.Verify(c.r); (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestContentfulsContentGoesWhereTheFileSays(t *testing.T) {
	text := `sources:
  cms:
    preset: contentful
    auth: {tolerance: 5m}
    settings: {environment: live, space: s1, collections: {promoBanner: banners}, assets: pictures, withdraw_from: [banners, blocks], locale: de, valid_until: null}
  one:
    preset: contentful
    settings: {collection: cms}
`
	presets, err := shippedText()
	if err != nil {
		t.Fatal(err)
	}
	o := options(map[string]string{"CONTENTFUL_WEBHOOK_SECRETS": contentfulSecret})
	o.Presets = presets
	sources, err := webhook.Parse([]byte(text), o)
	if err != nil {
		t.Fatal(err)
	}
	of := func(space, environment, typ, id, fields string) string {
		link := func(name, id string) string {
			return fmt.Sprintf(`,%q:{"sys":{"type":"Link","id":%q}}`, name, id)
		}
		sys := fmt.Sprintf(`{"sys":{"id":%q`, id) + link("space", space) + link("environment", environment)
		if typ != "" {
			sys += link("contentType", typ)
		}
		return sys + `}` + fields + `}`
	}
	for _, c := range []struct {
		name, source, topic, body string
		want                      []string // collection/id, with ! of what is withdrawn and - of a tombstone; or a reason
	}{
		{"a content type with a collection", "cms", "Entry.publish", of("s1", "live", "promoBanner", "e1", `,"fields":{"a":{"de":1}}`), []string{"banners/e1"}},
		{"another content type", "cms", "Entry.publish", of("s1", "live", "footer", "e1", `,"fields":{"a":{"de":1}}`), []string{"footer/e1"}},
		{"one collection for all", "one", "Entry.publish", of("s1", "master", "footer", "e1", `,"fields":{"a":{"de":1}}`), []string{"cms/e1"}},
		{"an asset that goes", "cms", "Asset.delete", of("s1", "live", "", "a1", ""), []string{"!pictures/a1", "-pictures/a1"}},
		{"an entry of nobody knows which type goes", "cms", "Entry.unpublish", of("s1", "live", "", "e9", ""), []string{"!banners/e9", "-banners/e9", "!blocks/e9", "-blocks/e9"}},
		{"an entry that was known goes", "cms", "Entry.archive", of("s1", "live", "", "e1", ""), []string{"!footer/e1", "-footer/e1"}},
		{"another environment", "cms", "Entry.delete", of("s1", "staging", "promoBanner", "e1", ""), []string{"other_environment"}},
		{"another space", "cms", "Entry.delete", of("s2", "live", "promoBanner", "e1", ""), []string{"other_space"}},
		{"a field that is a window no more", "cms", "Entry.publish", of("s1", "live", "footer", "e2", `,"fields":{"validUntil":{"de":"soon"}}`), []string{"footer/e2"}},
		{"a body that is no object", "cms", "Entry.publish", `[]`, []string{"unmappable"}},
		{"an entry without an id", "cms", "Entry.delete", `{"sys":{"contentType":{"sys":{"id":"x"}}}}`, []string{"!x/<nil>", "-x/<nil>"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := call(c.body, signedAt, "X-Contentful-Topic", "ContentManagement."+c.topic)
			m := sources.Find(c.source).Translate(t.Context(), r)[0]
			var got []string
			for _, o := range m.Outputs {
				var out map[string]any
				if err := json.Unmarshal(o.JSON, &out); err != nil {
					t.Fatal(err)
				}
				mark := ""
				if out["withdraw"] == true {
					mark = "!"
				} else if out["remove"] == true {
					mark = "-"
				}
				got = append(got, fmt.Sprintf("%s%v/%v", mark, out["collection"], out["id"]))
			}
			if why := m.Skip + string(m.Refuse); why != "" {
				got = append(got, why)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s %s", diff, m.Detail)
			}
		})
	}
	late := contentfulCall("/v1/hooks/cms", "ContentManagement.Entry.publish", "{}", signedAt, "x-contentful-topic")
	late.Received = signedAt.Add(5 * time.Minute)
	if err := sources.Find("cms").Verify(late); err != nil {
		t.Errorf("within the tolerance of the file: %v", err)
	}
}
