package poll

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// cursorFile is wholeFile with pages by cursor.
var cursorFile = strings.Replace(wholeFile, "      items:", "      paging: {kind: cursor, next: .next, url: 'http://localhost/contacts?c={cursor}'}\n      items:", 1)

// TestAPlaceThatIsNoGoodAnyMoreIsGivenUp leaves a place behind that the source does not know.
func TestAPlaceThatIsNoGoodAnyMoreIsGivenUp(t *testing.T) {
	for _, kind := range []string{"link", "cursor"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newSandbox(t, kind, true, 5)
				for range 12 {
					api.change(0)
				}
				d := newDesk(t, api.file(), api)
				w := d.worker()
				if !w.takeUp(t.Context()) {
					t.Fatal("it cannot be taken up")
				}
				w.state.Since, w.state.Begun, w.state.Cursor = mark{At: 1}, time.Now(), ""
				w.state.Round = w.next(time.Now())
				w.state.Round.At = "https://old.example.com/contacts?at=5"
				if err := w.save(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				stop := d.start(t)
				waitFor(10 * time.Minute)
				stop()
				if len(d.shelf.taken) != 12 {
					t.Errorf("took %d of 12, with %d requests", len(d.shelf.taken), len(api.requests))
				}
				// A place on another host is none at all, and is not even tried again.
				if n := testutil.ToFloat64(d.polls.metrics.errors.WithLabelValues("crm", "broken")); n > 0 {
					t.Errorf("%v pages were taken for broken ones", n)
				}
			})
		})
	}
}

func TestACursorThatRunsOutInAnAnswerOf200IsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first atomic.Int64
		var good atomic.Bool
		d := newDesk(t, cursorFile, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch c := r.URL.Query().Get("c"); {
			case c == "":
				first.Add(1)
				_, _ = io.WriteString(w, `{"contacts":[{"id":1,"tier":"gold"}],"next":"a"}`)
			case !good.Load():
				_, _ = io.WriteString(w, `{"errors":[{"message":"the cursor has run out"}]}`)
			default:
				_, _ = io.WriteString(w, `{"contacts":[{"id":2,"tier":"gold"}]}`)
			}
		}))
		stop := d.start(t)
		waitFor(time.Hour)
		if n := first.Load(); n < 2 || n > 20 {
			t.Errorf("the round began %d times", n)
		}
		good.Store(true)
		waitFor(10 * time.Minute)
		stop()
		if got := d.told(t); got != "gold gold" {
			t.Errorf("told %s", got)
		}
	})
}

func TestPagesInACircleAreNoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		d := newDesk(t, cursorFile, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			next := "a"
			if r.URL.Query().Get("c") == "a" {
				next = "b"
			}
			_, _ = io.WriteString(w, `{"contacts":[{"id":1}],"next":"`+next+`"}`)
			if n > 5_000 {
				panic(http.ErrAbortHandler)
			}
		}))
		stop := d.start(t)
		waitFor(time.Hour)
		stop()
		if n > 100 {
			t.Errorf("asked %d times within an hour", n)
		}
		if len(d.shelf.order) != 1 {
			t.Errorf("what is on them became %v", d.shelf.order)
		}
	})
}

// TestAnotherFileBeginsAnew goes on with a file of sources that another one has left the checkpoint of.
func TestAnotherFileBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSandbox(t, "cursor", false, 5)
		for range 12 {
			api.change(0)
		}
		waitFor(time.Hour)
		lasting := strings.Replace(api.file(), "kind: cursor", "kind: cursor, lasting: true", 1)
		const asked, seen = "asked", "seen"
		for _, c := range []struct {
			name    string
			was, is string
			anew    []string
		}{
			{"the same", "", "", nil},
			{"another address", "/contacts?since={since}'", "/other?since={since}'", []string{asked}},
			{"another paging", "?cursor={cursor}", "?after={cursor}", []string{asked}},
			{"another overlap", "overlap: 30s", "overlap: 90s", []string{asked}},
			{"another way to write times", "overlap: 30s", "overlap: 30s, format: unix", []string{asked}},
			{"a text instead of a time", "overlap: 30s", "format: text", []string{asked, seen}},
		} {
			file := strings.Replace(lasting, "url: http://localhost/contacts?since={since}", "url: 'http://localhost/contacts?since={since}'", 1)
			d := newDesk(t, file, api)
			w := d.worker()
			if !w.takeUp(t.Context()) {
				t.Fatal("it cannot be taken up")
			}
			w.state.Since, w.state.Begun, w.state.Whole, w.state.Cursor = mark{At: 7}, time.Now(), time.Now(), "c"
			w.state.Round = w.next(time.Now())
			w.state.Recent.add(7, 7)
			if err := w.save(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(file, c.was, c.is, 1)
			other := newDesk(t, changed, api)
			other.store = d.store
			next := other.worker()
			if !next.takeUp(t.Context()) {
				t.Fatal("it cannot be taken up")
			}
			s := &next.state
			if got := s.Round == nil && s.Cursor == ""; got != slices.Contains(c.anew, asked) {
				t.Errorf("%s: the round begins anew: %v", c.name, got)
			}
			if got := s.Since == (mark{}) && s.Begun.IsZero() && len(s.Recent.seen) == 0; got != slices.Contains(c.anew, seen) {
				t.Errorf("%s: everything is read anew: %v", c.name, got)
			}
		}
	})
}
