package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// feedFile is a catalogue in a table, asked for every hour.
const feedFile = `sources:
  shop:
    poll:
      url: http://localhost/products.tsv
      every: 1h
      format: tsv
      gone: '{to: "content", collection: "products", id: .body.id, remove: true}'
    map: |
      {to: "content", collection: "products", id: .body.id, approved: true, body: .body}
`

// catalogue is a feed by id, or whatever else answer does in its place.
type catalogue struct {
	mu     sync.Mutex
	prices map[string]string
	extra  string // rows behind all others
	etag   string
	answer http.HandlerFunc
	asked  atomic.Int64
}

func (c *catalogue) text() string {
	var b strings.Builder
	b.WriteString("id\tprice\n")
	for _, id := range slices.Sorted(maps.Keys(c.prices)) {
		fmt.Fprintf(&b, "%s\t%s\n", id, c.prices[id])
	}
	return b.String() + c.extra
}

func (c *catalogue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.asked.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answer != nil {
		c.answer(w, r)
		return
	}
	if c.etag != "" && r.Header.Get("If-None-Match") == c.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("ETag", c.etag)
	_, _ = io.WriteString(w, c.text())
}

func (c *catalogue) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func products(n int) *catalogue {
	c := &catalogue{prices: map[string]string{}}
	for i := range n {
		c.prices[fmt.Sprintf("p-%02d", i)] = "1.00 EUR"
	}
	return c
}

// standing is what the records say together, as the cacher would have it.
func (d *desk) standing() map[string]string {
	d.shelf.mu.Lock()
	defer d.shelf.mu.Unlock()
	all := map[string]string{}
	for _, o := range d.shelf.outputs {
		text := string(o.JSON)
		_, id, _ := strings.Cut(text, `"event_id":"`)
		id, _, _ = strings.Cut(strings.TrimPrefix(id, "poll/"), "/")
		if strings.Contains(text, `"remove":true`) {
			delete(all, id)
		} else {
			_, price, _ := strings.Cut(text, `"price":"`)
			all[id], _, _ = strings.Cut(price, `"`)
		}
	}
	return all
}

// tellings is how much was told.
func (d *desk) tellings() int {
	d.shelf.mu.Lock()
	defer d.shelf.mu.Unlock()
	return len(d.shelf.outputs)
}

func TestOfAFeedOnlyTheDifferenceIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := products(10)
		c.etag = `"1"`
		d := newDesk(t, feedFile, c)
		stop := d.start(t)
		hour := func(want int, change func()) {
			t.Helper()
			c.set(change)
			before := d.tellings()
			waitFor(time.Hour)
			if got := d.tellings() - before; got != want {
				t.Errorf("told %d, want %d", got, want)
			}
			if diff := cmp.Diff(c.prices, d.standing()); diff != "" {
				t.Errorf("(-feed +told):\n%s", diff)
			}
		}
		waitFor(30 * time.Minute)
		hour(0, func() {}) // not modified
		hour(0, func() { c.etag = "" })
		hour(1, func() { c.prices["p-03"] = "0.90 EUR" })
		hour(1, func() { delete(c.prices, "p-04") })
		hour(0, func() {})
		hour(1, func() { c.prices["p-04"] = "1.00 EUR" }) // back as it was
		hour(1, func() { c.prices["p-03"] = "1.00 EUR" }) // again what it was
		hour(3, func() { delete(c.prices, "p-01"); c.prices["P-02"] = "3 EUR"; c.prices["p-05"] = "2 EUR" })
		stop()
		d.told(t) // no event id twice
		stop = d.start(t)
		hour(0, func() {})
		stop()
		if n := len(d.shelf.letters); n != 0 {
			t.Errorf("%d letters", n)
		}
	})
}

func TestABrokenFeedTakesNothingAway(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(whole string) http.HandlerFunc
	}{
		{"nothing", func(string) http.HandlerFunc { return body("") }},
		{"names only", func(string) http.HandlerFunc { return body("id\tprice\n") }},
		{"a third", func(whole string) http.HandlerFunc { return body(whole[:len(whole)/3]) }},
		{"a last row that stops", func(whole string) http.HandlerFunc { return body(whole + "p-99") }},
		{"a connection that ends", func(whole string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, whole[:len(whole)-14])
				panic(http.ErrAbortHandler)
			}
		}},
		{"a page of HTML", func(string) http.HandlerFunc { return body("<html>\n<body>\n</body>\n") }},
		{"a part", func(whole string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, whole)
			}
		}},
		{"other ids", func(whole string) http.HandlerFunc { return body(strings.ReplaceAll(whole, "p-", "q-")) }},
		{"a third that is missing", func(whole string) http.HandlerFunc {
			lines := strings.SplitAfter(whole, "\n")
			return body(strings.Join(lines[:1+6], ""))
		}},
		{"an error", func(string) http.HandlerFunc { return status(500) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := products(10)
				d := newDesk(t, feedFile, api)
				stop := d.start(t)
				waitFor(30 * time.Minute)
				api.set(func() { api.answer = c.answer(api.text()) })
				waitFor(5 * time.Hour)
				if got := d.tellings(); got != 10 || api.asked.Load() < 2 {
					t.Errorf("told %d of 10 after %d requests", got, api.asked.Load())
				}
				api.set(func() { api.answer = nil; delete(api.prices, "p-00") })
				waitFor(2 * time.Hour)
				stop()
				if diff := cmp.Diff(api.prices, d.standing()); diff != "" || len(d.shelf.outputs) != 11 {
					t.Errorf("once it is good again (-feed +told):\n%s", diff)
				}
			})
		})
	}
}

func TestHowMuchMayBeMissingIsForTheFileToSay(t *testing.T) {
	for _, c := range []struct {
		loss string
		left int
		want bool
	}{{"", 7, true}, {"", 6, false}, {"      max_loss: 50\n", 5, true}, {"      max_loss: 50\n", 4, false}, {"      max_loss: 100\n", 1, true}, {"      max_loss: 100\n", 0, false}} {
		synctest.Test(t, func(t *testing.T) {
			api := products(10)
			d := newDesk(t, strings.Replace(feedFile, "      every: 1h\n", "      every: 1h\n"+c.loss, 1), api)
			stop := d.start(t)
			waitFor(30 * time.Minute)
			api.set(func() { api.prices = products(c.left).prices })
			waitFor(time.Hour)
			stop()
			if got := len(d.standing()) == c.left; got != c.want {
				t.Errorf("%s with %d of 10: %d are left", strings.TrimSpace(c.loss), c.left, len(d.standing()))
			}
			if suspicious := testutil.ToFloat64(d.polls.metrics.suspicious.WithLabelValues("shop")); (suspicious == 0) != c.want {
				t.Errorf("%s with %d of 10: %v feeds were suspicious", strings.TrimSpace(c.loss), c.left, suspicious)
			}
		})
	}
}

func TestOfRowsWithOneIDTheLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := products(3)
		api.extra = "p-01\t7 EUR\nP-01\t8 EUR\n\t9 EUR\np-01\t9 EUR\n"
		d := newDesk(t, feedFile, api)
		stop := d.start(t)
		waitFor(150 * time.Minute)
		stop()
		want := map[string]string{"p-00": "1.00 EUR", "p-01": "9 EUR", "p-02": "1.00 EUR", "P-01": "8 EUR"}
		if diff := cmp.Diff(want, d.standing()); diff != "" || len(d.shelf.outputs) != 4 || len(d.shelf.letters) != 1 {
			t.Errorf("%d letters (-want +got):\n%s", len(d.shelf.letters), diff)
		}
		if n := testutil.ToFloat64(d.polls.metrics.twice.WithLabelValues("shop")); n != 3*2 {
			t.Errorf("%v rows did not count, in 3 rounds", n)
		}
	})
}

// TestAFeedStandsAsItIsWhateverCrashes lets owners die wherever they save or tell, while the feed changes, and
// sees to it that in the end what was told is what the feed says.
func TestAFeedStandsAsItIsWhateverCrashes(t *testing.T) {
	for seed := range uint64(16) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			rows, oneIn, frailty := 1_200, 5, 4
			if seed%8 == 7 { // so many changes that they are not named
				rows, oneIn, frailty = 6_000, 1, 20
			}
			api := products(rows)
			d := newDesk(t, feedFile, api)
			d.log = io.Discard
			die := func() error {
				if rng.IntN(frailty) == 0 {
					return errCrashed
				}
				return nil
			}
			for range 12 {
				// None is new meanwhile: a row that came and went between two crashes nobody would know of.
				for id := range api.prices {
					if rng.IntN(oneIn) == 0 {
						api.prices[id] = fmt.Sprintf("%d EUR", rng.IntN(3))
					}
				}
				w := d.worker()
				if err := w.store.load(t.Context(), "shop", &w.state, w.known); err != nil {
					t.Fatal(err)
				}
				w.settleDoubts()
				w.heedFile()
				w.state.Epoch++
				ctx, cancel := withDeath(t)
				d.shelf.before = func() error {
					if err := die(); err != nil {
						cancel(err)
						return err
					}
					return nil
				}
				d.store.fail = func() error {
					if err := die(); err != nil {
						cancel(err)
						return err
					}
					return nil
				}
				if err := w.round(ctx); err != nil && !errors.Is(err, errCrashed) {
					t.Fatal(err)
				}
				waitFor(time.Hour)
			}
			d.shelf.before, d.store.fail = nil, nil
			stop := d.start(t)
			waitFor(3 * time.Hour)
			stop()
			if diff := cmp.Diff(api.prices, d.standing()); diff != "" {
				t.Errorf("seed %d (-feed +told):\n%s", seed, diff)
			}
		})
	}
}

func TestWhatIsKnownOfTheLargestFeedFitsItsRecords(t *testing.T) {
	const rows = 300_000
	k := newKnown()
	weight := 0
	for i := range rows {
		id := fmt.Sprintf("%090d", i)
		k.put(id, stampOf(&webhook.Item{ID: id, Version: "v"}), false, 1)
		weight += len(id) + sightingSize
	}
	texts, err := k.changed(1)
	if err != nil {
		t.Fatal(err)
	}
	for n, text := range texts {
		if fits := 900_000 * weight / maxWeight; len(text) > fits {
			t.Errorf("part %d of %d rows has %d bytes, and the largest feed's share would be %d", n, rows, len(text), fits)
		}
	}
}

// withDeath is a context that ends with the process.
func withDeath(t *testing.T) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}
