package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

func (k *kept) shown() string {
	if k.value == nil {
		return "-" + k.key
	}
	return k.key
}

func TestContentfulIsAnsweredSoThatItComesAgainWhenItShould(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	away := true
	d.shelf.fail = func(int) error {
		if away {
			return errors.New("away")
		}
		return nil
	}
	step := func(sample string, code int) {
		t.Helper()
		if w := d.hook(hookSample(t, "contentful/"+sample)); w.Code != code {
			t.Fatalf("%s: %d %s", sample, w.Code, w.Body)
		}
	}
	step("entry_publish", 503)
	away = false
	step("entry_publish", 200)
	step("entry_publish", 200) // a repeat by its idempotency key
	step("entry_auto_save", 200)
	step("entry_unpublish", 200)
	step("entry_publish_late", 200)       // what came before it is not said again behind it
	step("entry_publish_bad_window", 200) // likewise
	step("entry_delete_of_unknown_type", 200)
	unsigned := hookSample(t, "contentful/entry_delete")
	unsigned.Header.Set("X-Contentful-Topic", "ContentManagement.Entry.archive")
	if w := d.hook(unsigned); w.Code != 401 {
		t.Errorf("with another topic than was signed: %d", w.Code)
	}
	var got []string
	for i := range d.shelf.records {
		got = append(got, d.shelf.records[i].shown())
		if d.shelf.records[i].partition != d.shelf.records[0].partition {
			t.Errorf("%s stands on another partition", d.shelf.records[i].shown())
		}
	}
	if diff := cmp.Diff([]string{"promoBanner/6Kdemo1", "promoBanner/6Kdemo1#*", "-promoBanner/6Kdemo1"}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(d.shelf.letters) != 1 || d.shelf.letters[0].Reason != "unmappable" {
		t.Errorf("letters: %+v", d.shelf.letters)
	}
	checkLaw(t, d.metrics, 9, 3)
}

func TestCloudinaryIsAnsweredExactly200(t *testing.T) {
	d := newHookDoor(t, hookEnv)
	d.shelf.inline = true
	for _, sample := range []string{"upload", "upload", "delete", "folder", "rename"} {
		if w := d.hook(hookSample(t, "cloudinary/"+sample)); w.Code != 200 {
			t.Errorf("%s: %d %s", sample, w.Code, w.Body)
		}
	}
	if len(d.shelf.records) != 3 || len(d.shelf.letters) != 1 {
		t.Errorf("%d records and %d letters", len(d.shelf.records), len(d.shelf.letters))
	}
}

func TestSourcesOfContentAreHeldToTheSameChecks(t *testing.T) {
	for _, c := range []struct{ name, output, field, reason string }{
		{"what is published", `{"collection":"b","id":"s","body":{}}`, "", ""},
		{"what is withdrawn", `{"collection":"b","id":"s","withdraw":true}`, "", ""},
		{"one locale that is withdrawn", `{"collection":"b","id":"s","locale":"de","withdraw":true}`, "", ""},
		{"what is removed", `{"collection":"b","id":7,"remove":true,"body":null}`, "", ""},
		{"neither", `{"collection":"b","id":"s","withdraw":false}`, "body", "is required"},
		{"both at once", `{"collection":"b","id":"s","withdraw":true,"body":{}}`, "body", whys[notBare].sentence},
		{"approved and withdrawn", `{"collection":"b","id":"s","remove":true,"approved":true}`, "approved", whys[notBare].sentence},
		{"nothing that could be withdrawn", `{"collection":"b","withdraw":true}`, "id", "is required"},
		{"a word for yes", `{"collection":"b","id":"s","withdraw":"yes"}`, "withdraw", "must be true or false"},
		{"a member that there is not", `{"collection":"b","id":"s","withdrawn":true}`, "withdrawn", "is not a known field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s scanner
			s.reset([]byte(c.output))
			items, err := parseContentOutput(&s, nil)
			if err != nil {
				t.Fatal(err)
			}
			if p := items[0].problem; p.field != c.field || p.why != fine && p.reason() != c.reason || (p.why == fine) != (c.reason == "") {
				t.Errorf("got %q %q", p.field, p.reason())
			}
		})
	}
}

// delivery is the API that Contentful has of what is published.
type delivery struct {
	mu      sync.Mutex
	entries map[string]int // revision by id
}

func (d *delivery) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var items []string
	if r.URL.Query().Get("skip") == "0" {
		for id, revision := range d.entries {
			items = append(items, fmt.Sprintf(`{"sys":{"type":"Entry","id":%q,"revision":%d,"updatedAt":"2026-03-02T09:15:04.120Z",`+
				`"contentType":{"sys":{"id":"promoBanner"}}},"fields":{"slug":{"en-US":"s-%s"}}}`, id, revision, id))
		}
	}
	fmt.Fprintf(w, `{"items":[%s]}`, strings.Join(items, ","))
}

// TestWhatContentfulDidNotTellIsSetRightByAPoll publishes by webhook and by poll, and has an unpublishing get
// lost.
func TestWhatContentfulDidNotTellIsSetRightByAPoll(t *testing.T) {
	api := &delivery{entries: map[string]int{"6Kdemo1": 8, "never-told": 1}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	example, err := os.ReadFile("poll/examples/contentful.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("https://cdn.contentful.com", server.URL, "every: 1h", "every: 100ms").Replace(string(example))
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTENTFUL_SPACE", "demospace01")
	t.Setenv("CONTENTFUL_DELIVERY_TOKEN", "t")
	t.Setenv("CONTENTFUL_WEBHOOK_SECRETS", hookSecret)
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		api.mu.Lock()
		api.entries["6Kdemo1"] = 8
		api.mu.Unlock()
		h := openHouse(t, kafka, func(o *Options) { o.SourcesFile = file })
		r := hookSample(t, "contentful/entry_publish")
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", "http", h.Addr()
		resp, err := freshClient(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil || resp.StatusCode != 200 {
			t.Fatalf("the webhook: %d, %v", resp.StatusCode, err)
		}
		awaitContent(t, h, "promoBanner/never-told")
		api.mu.Lock()
		delete(api.entries, "6Kdemo1") // and nobody says so
		api.mu.Unlock()
		awaitContent(t, h, "promoBanner/6Kdemo1#*", "-promoBanner/6Kdemo1")
		for _, m := range h.read(t, schema.ContentItems) {
			if strings.HasPrefix(string(m.Key), "promoBanner/never-told#") {
				t.Errorf("%s: what is still there is withdrawn", m.Key)
			}
		}
	})
}

// awaitContent waits until the topic has records of all these keys, tombstones with a - before theirs.
func awaitContent(t *testing.T, h *house, keys ...string) {
	t.Helper()
	timeout := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		have := map[string]bool{}
		for _, m := range h.read(t, schema.ContentItems) {
			k := kept{key: string(m.Key), value: m.Value}
			have[k.shown()] = true
		}
		there := 0
		for _, key := range keys {
			if have[key] {
				there++
			}
		}
		if there == len(keys) {
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("the topic has %v, and not %v", have, keys)
		}
	}
}
