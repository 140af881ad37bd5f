package contentcacher

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// reader asks a service and keeps what it is told.
type reader struct {
	t *testing.T
	h http.Handler
}

func (r reader) get(path string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.h.ServeHTTP(w, req)
	if w.Code != http.StatusNotModified {
		var object map[string]any
		body := w.Body.Bytes()
		if w.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				r.t.Fatal(err)
			}
			if body, err = io.ReadAll(z); err != nil {
				r.t.Fatal(err)
			}
		}
		if err := json.Unmarshal(body, &object); err != nil {
			r.t.Errorf("%s: %d with %.200s, which is no object: %v", path, w.Code, body, err)
		}
	}
	return w
}

const rules = `
collections:
- {name: secret, bearer: "${SECRET}", default: {headline: Welcome}}
- {name: basic, user: braze, password: pässword}
- {name: news, cache: 1h, locale: en, locales: {de-CH: [de-AT]}}
- {name: "open*"}
`

// stocked is a service with a few items.
func stocked(t *testing.T) (*Service, reader) {
	t.Helper()
	text := strings.ReplaceAll(rules, "${SECRET}", "s3cret")
	s := serving(t, text)
	now := time.Now()
	put := func(collection, id, body string, change ...func(*event.Content)) {
		c := &event.Content{Collection: collection, ItemID: id, Approved: true, ReceivedAt: now, OccurredAt: now, Body: []byte(body)}
		for _, f := range change {
			f(c)
		}
		s.shelf.Load().Put(c)
	}
	put("secret", "a", `{"n":1}`)
	put("basic", "a", `{"n":2}`)
	put("news", "a", `{"n":3}`, func(c *event.Content) {
		c.Locale = "en"
	})
	put("news", "a", `{"n":4}`, func(c *event.Content) { c.Locale = "de-AT" })
	put("news", "long", `{"text":"`+strings.Repeat("word ", 600)+`"}`, func(c *event.Content) {
		seven := int64(7)
		c.Version, c.Tags = &seven, []string{"hero"}
	})
	put("open-1", "soon", `{"n":5}`, func(c *event.Content) { c.ValidUntil = now.Add(90 * time.Second) })
	put("open-1", "a@b", `{"n":6}`)
	return s, reader{t, s.routes()}
}

func TestWhoMayReadWhat(t *testing.T) {
	_, r := stocked(t)
	for _, c := range []struct {
		name, path, auth string
		want             int
	}{
		{"a token", "/v1/content/secret/a", "Bearer s3cret", 200},
		{"a token, with the scheme in small letters", "/v1/content/secret/a", "bearer s3cret", 200},
		{"a wrong token", "/v1/content/secret/a", "Bearer s3cre", 401},
		{"a token that is longer", "/v1/content/secret/a", "Bearer s3crets", 401},
		{"no token", "/v1/content/secret/a", "", 401},
		{"no token, for a list", "/v1/content/secret?limit=1", "", 401},
		{"no token, for what is not there", "/v1/content/secret/none", "", 401},
		{"user and password", "/v1/content/basic/a", "Basic YnJhemU6cMOkc3N3b3Jk", 200},
		{"another collection's token", "/v1/content/basic/a", "Bearer s3cret", 401},
		{"nothing, where nothing is needed", "/v1/content/open-1/a@b", "", 200},
		{"a collection that no rule names", "/v1/content/other/a", "", 404},
		{"another path", "/v2/content/open-1/a", "", 404},
	} {
		var headers []string
		if c.auth != "" {
			headers = []string{"Authorization", c.auth}
		}
		if w := r.get(c.path, headers...); w.Code != c.want {
			t.Errorf("%s: %d, want %d: %s", c.name, w.Code, c.want, w.Body)
		}
	}
}

func TestAnItemIsServedOnceAndKnownAgain(t *testing.T) {
	_, r := stocked(t)
	w := r.get("/v1/content/news/long")
	etag := w.Header().Get("ETag")
	if w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=3600" || len(etag) < 10 || w.Header().Get("Vary") != "Accept-Encoding" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	z := r.get("/v1/content/news/long", "Accept-Encoding", "br, gzip;q=0.5")
	if z.Header().Get("Content-Encoding") != "gzip" || z.Header().Get("ETag") == etag || z.Body.Len() > w.Body.Len()/2 {
		t.Errorf("compressed: %v, %d of %d bytes", z.Header(), z.Body.Len(), w.Body.Len())
	}
	if plain := r.get("/v1/content/news/long", "Accept-Encoding", "gzip;q=0"); plain.Header().Get("Content-Encoding") != "" {
		t.Error("compressed against the reader's will")
	}
	for _, match := range []string{etag, `"other", ` + etag, "W/" + etag, "*"} {
		if w := r.get("/v1/content/news/long", "If-None-Match", match); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
			t.Errorf("If-None-Match: %s: %d", match, w.Code)
		}
	}
	if w := r.get("/v1/content/news/long", "If-None-Match", `"other"`); w.Code != 200 {
		t.Errorf("another tag: %d", w.Code)
	}
	if w := r.get("/v1/content/news/long@7"); w.Code != 200 || w.Header().Get("Cache-Control") != "public, max-age=14400" {
		t.Errorf("by version: %d %v", w.Code, w.Header())
	}
	if w := r.get("/v1/content/news/long@6"); w.Code != 404 {
		t.Errorf("by another version: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"open-1/a@b", "open-1/a%40b", "open%2D1/%61%40b", "news/long%407", "open-1?ids=a%40b"} {
		if w := r.get("/v1/content/" + path); w.Code != 200 {
			t.Errorf("%s, with an @: %d", path, w.Code)
		}
	}
}

func TestNothingMayBeKeptLongerThanItMayBeShown(t *testing.T) {
	_, r := stocked(t)
	for _, path := range []string{"/v1/content/open-1/soon", "/v1/content/open-1", "/v1/content/open-1?ids=soon,a@b"} {
		got := r.get(path).Header().Get("Cache-Control")
		if got != "public, max-age=89" && got != "public, max-age=90" {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := r.get("/v1/content/secret/a", "Authorization", "Bearer s3cret").Header().Get("Cache-Control"); got != "private, max-age=300" {
		t.Errorf("behind a credential: %s", got)
	}
}

func TestWhatIsNotThereHasAStandIn(t *testing.T) {
	_, r := stocked(t)
	w := r.get("/v1/content/secret/none", "Authorization", "Bearer s3cret")
	want := `{"ok":true,"default":true,"id":"","version":"","locale":"","tags":[],"valid_until":"","body":{"headline":"Welcome"},"assets":[]}`
	if w.Code != 200 || w.Body.String() != want || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v\n%s", w.Code, w.Header(), w.Body)
	}
	if w := r.get("/v1/content/news/none"); w.Code != 404 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("without one: %d %s", w.Code, w.Body)
	}
	if w := r.get("/v1/content/secret?tag=none", "Authorization", "Bearer s3cret"); w.Code != 200 || !strings.Contains(w.Body.String(), `"default":true`) {
		t.Errorf("a list: %d %s", w.Code, w.Body)
	}
}

func TestALocaleFallsBackAlongItsChain(t *testing.T) {
	_, r := stocked(t)
	for locale, want := range map[string]string{"de-AT": `"n":4`, "de-CH": `"n":4`, "fr-FR": `"n":3`, "": `"n":3`, "de%2DAT": `"n":4`, "en-GB": `"n":3`} {
		if w := r.get("/v1/content/news/a?locale=" + locale); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%q: %s", locale, w.Body)
		}
	}
	if got, want := (&Collection{}).Chain("zh-Hant-TW"), []string{"zh-Hant-TW", "zh-Hant", "zh"}; !cmp.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSeveralAtOnce(t *testing.T) {
	s, r := stocked(t)
	var list struct {
		Count   int
		Items   json.RawMessage
		Missing []string
	}
	read := func(path string) string {
		w := r.get(path)
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
			t.Fatalf("%s: %d %s %v", path, w.Code, w.Body, err)
		}
		return string(list.Items)
	}
	if items := read("/v1/content/news?locale=de-AT&limit=9"); list.Count != 2 || !strings.Contains(items, `"n":4`) {
		t.Errorf("%d: %s", list.Count, items)
	}
	if read("/v1/content/news?tag=hero&limit=9&order=oldest"); list.Count != 1 {
		t.Errorf("by tag: %d", list.Count)
	}
	if items := read("/v1/content/news?ids=a,none,a,,long"); list.Count != 2 || !cmp.Equal(list.Missing, []string{"none"}) || !strings.HasPrefix(items, `{"a":`) {
		t.Errorf("by ids: %d, missing %q: %.80s", list.Count, list.Missing, items)
	}
	if w := r.get("/v1/content/news?for=mira"); w.Code != 200 || strings.Contains(w.Body.String(), `"items"`) {
		t.Errorf("a pick: %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"?limit=0", "?limit=x", "?limit=-1", "?order=up", "?ids=" + strings.Repeat("a,b,", 200), "?limit=99999999999999999999"} {
		if w := r.get("/v1/content/news" + path); w.Code != 400 {
			t.Errorf("%.40s: %d", path, w.Code)
		}
	}
	s.options.MaxBytes = 1000
	if read("/v1/content/news?limit=9"); list.Count != 1 {
		t.Errorf("%d items in a thousand bytes", list.Count)
	}
	if read("/v1/content/news?ids=a,long"); list.Count != 1 || !cmp.Equal(list.Missing, []string{"long"}) {
		t.Errorf("%d items in a thousand bytes, missing %q", list.Count, list.Missing)
	}
}

func TestTooManyListsAreTurnedAwayAndItemsAreNot(t *testing.T) {
	s, r := stocked(t)
	for range cap(s.heavy) {
		s.heavy <- struct{}{}
	}
	if w := r.get("/v1/content/news?limit=9"); w.Code != 503 || w.Header().Get("Retry-After") != "1" {
		t.Errorf("a list: %d %v", w.Code, w.Header())
	}
	for _, path := range []string{"/v1/content/secret?limit=9", "/v1/content/secret?for=mira", "/v1/content/secret/a"} {
		if w := r.get(path, "Authorization", "Bearer s3cret"); w.Code != 200 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestTheAgeIsSaidWhileKafkaIsNotHeard(t *testing.T) {
	s, r := stocked(t)
	if got := r.get("/v1/content/news/a").Header().Get("X-Content-Age"); got != "" {
		t.Errorf("heard: %s", got)
	}
	s.deafSince.Store(time.Now().Add(-90 * time.Second).UnixMilli())
	for _, path := range []string{"/v1/content/news/a", "/v1/content/news", "/v1/content/news/none"} {
		if got := r.get(path).Header().Get("X-Content-Age"); got != "90" && got != "91" {
			t.Errorf("%s: %q", path, got)
		}
	}
}

func FuzzServe(f *testing.F) {
	for _, seed := range []string{"news/a?locale=de-AT", "news?ids=a,b&limit=3", "open-1/a%40b", "news/%2F%00", "news/long@7", "secret?for=&tag=&tag=%ff"} {
		f.Add(seed, "gzip", `"x"`)
	}
	s := serving(f, strings.ReplaceAll(rules, "${SECRET}", "s3cret"))
	s.shelf.Load().Put(&event.Content{Collection: "news", ItemID: "a", Approved: true, ReceivedAt: time.Now(), Body: []byte(`{"n":3}`)})
	h := s.routes()
	f.Fuzz(func(t *testing.T, path, encoding, match string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://content/v1/content/"+path, nil)
		if err != nil {
			return
		}
		req.Header.Set("Accept-Encoding", encoding)
		req.Header.Set("If-None-Match", match)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Errorf("%d for %q", w.Code, path)
		}
		if w.Code == 200 && w.Header().Get("Content-Encoding") == "" && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%q: %s", path, w.Body)
		}
	})
}
