package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
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

// shopFeed is a feed in XML, compressed, as a shop exports it.
type shopFeed struct {
	mu     sync.Mutex
	prices map[string]string
	whole  bool // else it is cut off
}

func (f *shopFeed) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	z := gzip.NewWriter(w)
	_, err := io.WriteString(z, `<rss xmlns:g="http://base.google.com/ns/1.0"><channel>`)
	for id, price := range f.prices {
		_, failed := fmt.Fprintf(z, `<item><g:id>%s</g:id><g:title>T</g:title><g:price>%s</g:price></item>`, id, price)
		err = errors.Join(err, failed)
	}
	if f.whole {
		_, failed := io.WriteString(z, `</channel></rss>`)
		err = errors.Join(err, failed)
	}
	if errors.Join(err, z.Close()) != nil {
		panic(http.ErrAbortHandler)
	}
}

func (f *shopFeed) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// TestACollectionEqualsItsFeed takes a catalogue through the door and a broker, with changes, removals and a feed
// that breaks off.
func TestACollectionEqualsItsFeed(t *testing.T) {
	const rows = 1_500
	example, err := os.ReadFile("poll/examples/products.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sources.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(string(example), "every: 1h", "every: 1s", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		shop := &shopFeed{prices: map[string]string{}, whole: true}
		for i := range rows {
			shop.prices[fmt.Sprintf("p-%d", i)] = "1.00 EUR"
		}
		server := httptest.NewServer(shop)
		t.Cleanup(server.Close)
		t.Setenv("PRODUCT_FEED_URL", server.URL+"/feed.xml.gz")
		h := openHouse(t, kafka, func(o *Options) { o.SourcesFile = file })
		awaitCollection(t, h, shop, rows)
		shop.set(func() { shop.prices["p-7"] = "0.50 EUR"; delete(shop.prices, "p-8"); shop.prices["P-7"] = "2.00 EUR" })
		awaitCollection(t, h, shop, rows+3)
		shop.set(func() { shop.whole = false; clear(shop.prices) })
		waitRounds(t, h, 2)
		shop.set(func() {
			shop.whole = true
			for i := range rows {
				shop.prices[fmt.Sprintf("p-%d", i)] = "1.00 EUR"
			}
		})
		// p-7 and p-8 are what they were, and P-7 is gone: nothing else was told meanwhile.
		awaitCollection(t, h, shop, rows+3+3)
	})
}

// waitRounds waits until so many feeds were no good.
func waitRounds(t *testing.T, h *house, n int) {
	t.Helper()
	timeout := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for countIn(t, h.process.Metrics, "poll_errors") < n {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("the broken feed was never refused")
		}
	}
}

// awaitCollection waits until the topic, compacted, is what the feed says, and then sees to it that it took so
// many records.
func awaitCollection(t *testing.T, h *house, shop *shopFeed, records int) {
	t.Helper()
	timeout := time.After(time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		all := h.read(t, schema.ContentItems)
		got := map[string]string{}
		for _, m := range all {
			key := strings.TrimPrefix(string(m.Key), "products/")
			if m.Value == nil {
				delete(got, key)
				continue
			}
			body, _ := decode(t, schema.ContentItems, m.Value)["body_json"].(string)
			_, amount, _ := strings.Cut(body, `"amount":"`)
			amount, _, _ = strings.Cut(amount, `"`)
			got[key] = amount + " EUR"
		}
		shop.mu.Lock()
		diff := cmp.Diff(shop.prices, got)
		shop.mu.Unlock()
		if diff == "" {
			if len(all) != records {
				t.Errorf("it took %d records, want %d", len(all), records)
			}
			return
		}
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("(-feed +topic):\n%s", diff)
		}
	}
}
