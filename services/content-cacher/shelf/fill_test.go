package shelf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

// laying fills a shelf with records that are content in JSON, and keeps what it cannot read.
type laying struct {
	shelf  *shelf.Shelf
	filler *shelf.Filler
	read   atomic.Int64
}

var errUnreadable = errors.New("unreadable")

func newLaying() *laying {
	l := new(laying)
	l.shelf = shelf.Filling(func(r *stream.Record, c *event.Content) error {
		l.read.Add(1)
		*c = event.Content{}
		if err := json.Unmarshal(r.Value, c); err != nil {
			return err
		}
		if strings.Contains(string(c.Body), "bad") {
			return errUnreadable
		}
		return nil
	})
	l.filler = l.shelf.NewFiller()
	return l
}

func (l *laying) put(t *testing.T, c *event.Content) shelf.Verdict {
	t.Helper()
	value, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	h := shelf.HeadOf(c)
	return l.filler.Put(&h, &stream.Record{Key: []byte(c.Key()), Value: value})
}

// TestAFilledShelfIsAsOneThatWasPutTogether lays the same records down that another shelf takes in one by one.
func TestAFilledShelfIsAsOneThatWasPutTogether(t *testing.T) {
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 7))
		l := newLaying()
		var plain shelf.Shelf
		for step := range 100 {
			c := banner(string(rune('a'+rng.IntN(5))), fmt.Sprint(step), minute(step), tags("t"+fmt.Sprint(rng.IntN(2))))
			switch rng.IntN(8) {
			case 0:
				c.Approved = false
			case 1:
				c.Withdraws, c.Approved = true, false
			case 2:
				until(rng.IntN(200))(c)
			case 3, 4:
				locale([]string{"de", "fr"}[rng.IntN(2)])(c)
			case 5:
				version(int64(rng.IntN(5)))(c)
			case 6:
				also("de", "also "+fmt.Sprint(step))(c)
			}
			if rng.IntN(6) == 0 {
				plain.Remove(c.Key())
				l.filler.Clear(c.Key(), shelf.Never)
			} else {
				want := plain.Put(c)
				if got := l.put(t, c); got != want && !(got == shelf.Replaced && want == shelf.Kept) {
					t.Fatalf("seed %d, step %d: verdict %d, want %d", seed, step, got, want)
				}
			}
		}
		if l.read.Load() != 0 {
			t.Fatalf("seed %d: %d records were read while they were laid down", seed, l.read.Load())
		}
		prepare := func() {
			if err := l.shelf.Prepare(func(shelf.Laid) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if seed%2 == 0 {
			prepare() // else it is read as it lies there
		}
		look := func(s *shelf.Shelf) (seen []string) {
			now := at(100)
			for _, id := range []string{"a", "b", "c", "d", "e"} {
				for _, locales := range [][]string{nil, {"de"}, {"fr", "de"}} {
					if f, ok := s.Get("banners", id, locales, now); ok {
						seen = append(seen, string(f.Page.Doc())+fmt.Sprint(f.Until, f.Version))
					}
				}
				for _, st := range s.Standings("banners", id, now) {
					seen = append(seen, st.Locale+string(st.State)+string(st.Page.Doc()))
				}
			}
			for _, q := range []shelf.Query{{Limit: 9}, {Limit: 2, Oldest: true}, {Limit: 9, Tags: []string{"t1"}, Locales: []string{"de"}}} {
				for _, f := range s.List("banners", q, now) {
					seen = append(seen, string(f.Page.Doc()))
				}
				if f, ok := s.Pick("banners", q, "anna", now); ok {
					seen = append(seen, string(f.Page.Doc()))
				}
			}
			return append(seen, fmt.Sprint(s.Size(), s.IDs("banners")))
		}
		if diff := cmp.Diff(look(&plain), look(l.shelf)); diff != "" {
			t.Fatalf("seed %d: (-want +got)\n%s", seed, diff)
		}
		prepare()
		read := l.read.Load()
		if diff := cmp.Diff(look(&plain), look(l.shelf)); diff != "" || l.read.Load() != read {
			t.Fatalf("seed %d, prepared, %d read again: (-want +got)\n%s", seed, l.read.Load()-read, diff)
		}
	}
}

// TestWhatCannotBeReadIsNotShown asks for it before it is known, and after.
func TestWhatCannotBeReadIsNotShown(t *testing.T) {
	l := newLaying()
	l.put(t, banner("a", "bad"))
	l.put(t, banner("a", "von hier", locale("de")))
	l.put(t, banner("b", "good", minute(2)))
	l.put(t, banner("c", "bad", minute(3)))
	check := func(when string) {
		if f, ok := l.shelf.Get("banners", "c", nil, at(5)); ok {
			t.Errorf("%s: got %s", when, f.Page.Doc())
		}
		if f, ok := l.shelf.Get("banners", "a", []string{"de"}, at(5)); !ok || text(t, f) != "von hier" {
			t.Errorf("%s: the locale that can be read is not shown: %v", when, ok)
		}
		if got := l.shelf.List("banners", shelf.Query{Limit: 1}, at(5)); len(got) != 1 || text(t, got[0]) != "good" {
			t.Errorf("%s: listed %d", when, len(got))
		}
		for _, customer := range []string{"anna", "ben", "cleo", "dora"} {
			if _, ok := l.shelf.Pick("banners", shelf.Query{}, customer, at(5)); !ok {
				t.Errorf("%s: nothing is picked for %s", when, customer)
			}
		}
	}
	check("unknown")
	var refused []string
	err := l.shelf.Prepare(func(laid shelf.Laid) error {
		if laid.Err != nil {
			refused = append(refused, string(laid.Record.Key))
		}
		return nil
	})
	if err != nil || len(refused) != 2 {
		t.Errorf("refused %q, %v", refused, err)
	}
	check("known")
	if got := l.shelf.Size().Items; got != 2 {
		t.Errorf("%d items are kept, want 2: what cannot be read is taken away", got)
	}
}

// TestAShelfIsReadAndChangedWhileItIsPrepared does all three at once.
func TestAShelfIsReadAndChangedWhileItIsPrepared(t *testing.T) {
	const items = 500
	l := newLaying()
	for i := range items {
		l.put(t, banner(fmt.Sprint(i), "laid "+fmt.Sprint(i)))
	}
	done := make(chan error, 3)
	go func() { done <- l.shelf.Prepare(func(shelf.Laid) error { return nil }) }()
	go func() {
		for i := range items / 2 {
			l.shelf.Put(banner(fmt.Sprint(2*i), "changed "+fmt.Sprint(2*i), minute(2)))
		}
		done <- nil
	}()
	go func() {
		for i := range items {
			f, ok := l.shelf.Get("banners", fmt.Sprint(i), nil, at(5))
			if doc := string(f.Page.Doc()); !ok || !strings.Contains(doc, "laid "+fmt.Sprint(i)) && !strings.Contains(doc, "changed "+fmt.Sprint(i)) {
				done <- fmt.Errorf("item %d: %s", i, doc)
				return
			}
		}
		done <- nil
	}()
	for range 3 {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it does not end")
		}
	}
	for i := range items {
		want := "laid "
		if i%2 == 0 {
			want = "changed "
		}
		if f, ok := l.shelf.Get("banners", fmt.Sprint(i), nil, at(5)); !ok || text(t, f) != want+fmt.Sprint(i) {
			t.Errorf("item %d: %v", i, ok)
		}
	}
}
