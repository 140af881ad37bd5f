package content_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	rules "github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline/content"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
)

var now = time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)

// put writes an item as it is to be, with all of an item's records on one partition.
func put(c *replaytest.Cluster, collection, id, body string, change ...func(*event.Content)) {
	item := &event.Content{
		ID: "e", Collection: collection, ItemID: id, Approved: true, Source: "test", OccurredAt: now.Add(-time.Hour), ReceivedAt: now.Add(-time.Hour), Body: []byte(body),
	}
	for _, f := range change {
		f(item)
	}
	c.Put(schema.ContentItems, replaytest.PartitionOf(collection+"/"+id), item.Key(), avro.AppendContent(nil, replaytest.ID(schema.ContentItems), item))
}

func in(l string) func(*event.Content) { return func(c *event.Content) { c.Locale = l } }
func until(d time.Duration) func(*event.Content) {
	return func(c *event.Content) { c.ValidUntil = now.Add(d) }
}

func showing(url, mediaType string) func(*event.Content) {
	return func(c *event.Content) {
		c.Assets = append(c.Assets, event.ContentAsset{URL: url, MediaType: mediaType})
	}
}

func check(t *testing.T, c *replaytest.Cluster, o content.Options) *content.Report {
	t.Helper()
	o.Now = now
	if o.Rules == nil {
		o.Rules = ruled(t, `collections: [{name: "*"}]`)
	}
	r, err := content.Check(t.Context(), c.Cluster, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ruled(t *testing.T, text string) content.Rules {
	t.Helper()
	r, err := rules.Parse([]byte(text), "content.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEachLocaleIsSaidWithWhatAMessageGets(t *testing.T) {
	c := replaytest.Start(t)
	put(c, "banners", "spring", `{"a":1}`, func(c *event.Content) {
		c.Variants = []event.ContentVariant{{Locale: "de", Body: []byte(`{"a":2}`)}}
	})
	put(c, "banners", "spring", `{"a":3}`, in("fr"), until(-time.Hour))
	put(c, "banners", "spring", `{"a":4}`, in("it"), func(c *event.Content) { c.Approved = false })
	put(c, "banners", "spring", `{"a":5}`, in("es"), func(c *event.Content) { c.ValidFrom = now.Add(time.Hour) })
	put(c, "banners", "summer", `{"a":6}`)
	put(c, "banners", "summer", `{}`, func(c *event.Content) { c.Withdraws, c.Approved = true, false })
	put(c, "banners", "gone", `{"a":7}`)
	c.Put(schema.ContentItems, replaytest.PartitionOf("banners/gone"), "banners/gone", nil)
	put(c, "rows", "x", `{"a":8}`, until(-time.Hour))

	r := check(t, c, content.Options{Rules: ruled(t, "collections:\n- {name: rows, default: {a: 0}}\n- {name: banners, locales: {fr: [de]}}")})
	var got []string
	for _, col := range r.Collections {
		for _, item := range col.Items {
			for _, l := range item.Locales {
				got = append(got, fmt.Sprintf("%s/%s#%s %s gets %s", col.Name, item.ID, l.Locale, l.State, l.Gets))
			}
		}
	}
	want := []string{
		"banners/spring# shown gets own", "banners/spring#de shown gets de", "banners/spring#es not_yet gets own",
		"banners/spring#fr expired gets de", "banners/spring#it not_approved gets own",
		"banners/summer# withdrawn gets nothing", "rows/x# expired gets default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(r.Problems) > 0 {
		t.Errorf("%+v", r.Problems)
	}
	if one := check(t, c, content.Options{About: content.Subject{Collection: "banners", ID: "spring"}}); len(one.Collections) != 1 || len(one.Collections[0].Items) != 1 {
		t.Errorf("of one item: %+v", one)
	}
}

func TestWhatEndsSoonAndWhatIsTooLargeIsSaid(t *testing.T) {
	c := replaytest.Start(t)
	put(c, "banners", "late", `{"a":1}`, until(71*time.Hour))
	put(c, "banners", "soon", `{"a":1}`, until(time.Hour), in("de"))
	put(c, "banners", "soon", `{"a":1}`)
	put(c, "banners", "later", `{"a":1}`, until(73*time.Hour))
	put(c, "banners", "large", `{"a":"`+strings.Repeat("x", 850_000)+`"}`)
	// As a record it is just small enough for Kafka; as an object with every key it is too large for Braze.
	many := func(c *event.Content) { c.Assets = make([]event.ContentAsset, 100) }
	put(c, "banners", "too-large", `{"a":"`+strings.Repeat("x", 998_000)+`"}`, many)
	put(c, "banners", "hidden", `{"a":"`+strings.Repeat("x", 998_000)+`"}`, many, until(-time.Hour))
	put(c, "nobodys", "x", `{"a":1}`)
	c.Put(schema.ContentItems, 0, "banners/rubbish", []byte("rubbish"))
	c.Put(schema.ContentItems, 0, "banners/repaired", []byte("rubbish"))
	c.Put(schema.ContentItems, 0, "banners/repaired", nil)

	r := check(t, c, content.Options{Soon: 72 * time.Hour, Rules: ruled(t, `collections: [{name: banners}]`)})
	var ending, problems []string
	for _, e := range r.Ending {
		ending = append(ending, e.ID+" then "+e.Then)
	}
	for _, p := range r.Problems {
		problems = append(problems, fmt.Sprintf("%s/%s %s %v", p.Collection, p.ID, p.What, p.Grave))
	}
	if diff := cmp.Diff([]string{"soon then own", "late then nothing"}, ending); diff != "" {
		t.Error(diff)
	}
	want := []string{"banners/rubbish unreadable true", "banners/large large false", "banners/too-large too_large true", "nobodys/ no_rule true"}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
	if r.Grave() != 3 {
		t.Errorf("%d grave", r.Grave())
	}
}

func TestAssetsAreAskedForOnceAndJudged(t *testing.T) {
	asked := map[string]int{}
	host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good.jpg":
			asked[r.Method]++
			w.Header().Set("Content-Type", "image/jpg; q=1")
			w.Header().Set("Content-Length", "1000")
		case "/get-only.png":
			if r.Method != http.MethodGet || r.Header.Get("Range") != "bytes=0-0" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			w.Header().Set("Content-Type", "image/png")
			w.Header().Set("Content-Range", "bytes 0-0/5001")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte{0})
		case "/page.jpg":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write([]byte("<h1>not what you think</h1>"))
		case "/moved.jpg":
			http.Redirect(w, r, "/good.jpg", http.StatusFound)
		case "/slow.jpg":
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(host.Close)
	c := replaytest.Start(t)
	for i, path := range []string{"/good.jpg", "/good.jpg", "/moved.jpg", "/get-only.png", "/page.jpg", "/slow.jpg", "/none.jpg"} {
		mediaType := "image/jpeg"
		if strings.HasSuffix(path, "png") {
			mediaType = "image/png"
		}
		put(c, "banners", fmt.Sprint(i), `{"a":1}`, showing(host.URL+path, mediaType))
	}
	put(c, "banners", "7", `{"a":1}`, showing("ftp://x/y.jpg", ""))
	put(c, "banners", "hidden", `{"a":1}`, showing(host.URL+"/none-2.jpg", ""), until(-time.Hour))

	told := 0
	fetch := &content.Fetcher{
		Client: host.Client(), Concurrency: 1, Timeout: 200 * time.Millisecond, Limits: map[string]int64{"image": 5000}, Progress: func(done, _ int) { told = done },
	}
	r := check(t, c, content.Options{Fetch: fetch})
	got := map[string]string{}
	for _, p := range r.Problems {
		got[p.ID] = p.What + ": " + p.Detail
	}
	want := map[string]string{
		"3": "too_heavy: it has 5001 bytes, and image may have 5000",
		"4": "wrong_type: it is text/html, and the item says image/jpeg",
		"5": "unreachable: no answer within 200ms",
		"6": "unreachable: it answers 404 Not Found",
		"7": "unreachable: it is no http or https URL",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Assets != (content.Assets{Checked: 7, Wrong: 5}) || told != 7 {
		t.Errorf("%+v, told of %d", r.Assets, told)
	}
	if asked[http.MethodGet] > 0 || asked[http.MethodHead] != 2 {
		t.Errorf("what stands in two items, and where another has moved to, was asked for %v times", asked)
	}
}
