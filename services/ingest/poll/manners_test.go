package poll

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// lives runs one owner in a bubble for a while, and returns the seconds at which it asked.
func lives(t *testing.T, file func(*sandbox) string, answer func(n int, r *http.Request) http.HandlerFunc, long time.Duration, check func(*desk, *sandbox, []int)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		api := newSandbox(t, "page", false, 10)
		for range 3 {
			api.change(0)
		}
		began, asked := time.Now(), []int(nil)
		api.before = func(n int, r *http.Request) http.HandlerFunc {
			asked = append(asked, int(time.Since(began).Seconds()))
			return answer(n, r)
		}
		d := newDesk(t, file(api), api)
		stop := d.start(t)
		waitFor(long)
		stop()
		check(d, api, asked)
	})
}

func plain(s *sandbox) string { return s.file() }

func TestARoundBeginsEveryMinute(t *testing.T) {
	lives(t, plain, func(int, *http.Request) http.HandlerFunc { return nil }, 150*time.Second, func(d *desk, _ *sandbox, asked []int) {
		if !slices.Equal(asked, []int{0, 60, 120}) || len(d.shelf.taken) != 3 {
			t.Errorf("asked at %v, took %v", asked, d.shelf.taken)
		}
	})
}

func TestRetryAfterIsObeyedInBothForms(t *testing.T) {
	for name, header := range map[string]func() string{
		"seconds": func() string { return "45" },
		"date":    func() string { return time.Now().Add(45 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		for _, code := range []int{429, 503} {
			t.Run(fmt.Sprint(name, code), func(t *testing.T) {
				lives(t, plain, func(n int, _ *http.Request) http.HandlerFunc {
					if n > 1 {
						return nil
					}
					return status(code, "Retry-After", header())
				}, 50*time.Second, func(d *desk, _ *sandbox, asked []int) {
					if len(asked) != 2 || asked[1] < 45 || len(d.shelf.taken) != 3 {
						t.Errorf("asked at %v, took %v", asked, d.shelf.taken)
					}
				})
			})
		}
	}
}

func TestATokenIsRenewedOnceAndThenTheSourceIsLeftAlone(t *testing.T) {
	lives(t, plain, func(int, *http.Request) http.HandlerFunc { return status(401) }, 40*time.Minute, func(d *desk, api *sandbox, asked []int) {
		if want := []int{0, 0, 900, 900, 1800, 1800}; !slices.Equal(asked, want) || api.tokens != 4 {
			t.Errorf("asked at %v with %d tokens, want %v", asked, api.tokens, want)
		}
		if n := testutil.ToFloat64(d.polls.metrics.errors.WithLabelValues("crm", "locked")); n != 3 {
			t.Errorf("counted %v times", n)
		}
	})
	lives(t, plain, func(_ int, _ *http.Request) http.HandlerFunc { return nil }, time.Second, func(d *desk, api *sandbox, _ []int) {
		if api.tokens != 1 || len(d.shelf.taken) != 3 {
			t.Errorf("%d tokens, took %v", api.tokens, d.shelf.taken)
		}
	})
}

func TestATokenThatIsRefusedStopsTheSourceToo(t *testing.T) {
	file := func(s *sandbox) string {
		return strings.Replace(s.file(), "client_id_env: ID", "client_id_env: SECRET", 1)
	}
	lives(t, file, func(int, *http.Request) http.HandlerFunc { return nil }, 20*time.Minute, func(d *desk, _ *sandbox, asked []int) {
		if len(asked) > 0 || len(d.shelf.taken) > 0 {
			t.Errorf("asked at %v", asked)
		}
		if n := testutil.ToFloat64(d.polls.metrics.errors.WithLabelValues("crm", "locked")); n != 2 {
			t.Errorf("counted %v times", n)
		}
	})
}

func TestWhatIsNoPageDoesNotMoveTheCursor(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"no JSON": body("<html>"), "half a page": body(`{"contacts":[`), "cut off": cutOff, "no items": body(`{"error":"soon"}`),
		"items that are none": body(`{"contacts":[1]}`), "items in no order": body(`{"contacts":[{"id":1,"updated_at":"2026-01-02T00:00:00Z"},{"id":2,"updated_at":"2026-01-01T00:00:00Z"}]}`),
		"a time that is none": body(`{"contacts":[{"id":1,"updated_at":"yesterday"}]}`), "a bad request": status(400), "elsewhere": status(302, "Location", "http://other.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			lives(t, plain, func(n int, _ *http.Request) http.HandlerFunc {
				if n != 2 {
					return nil
				}
				return answer
			}, 5*time.Minute, func(d *desk, api *sandbox, _ []int) {
				first, second, third := api.requests[0], api.requests[1], api.requests[2]
				if first == second || second != third {
					t.Errorf("asked %s, %s, %s", first, second, third)
				}
				if len(d.shelf.taken) != 3 {
					t.Errorf("took %v", d.shelf.taken)
				}
			})
		})
	}
}

func TestNothingNewIsAskedForByETag(t *testing.T) {
	changed := 0
	file := func(*sandbox) string {
		return `sources:
  crm:
    poll: {url: 'http://localhost/all', every: 1m, items: ".", id: .id, version: .rev}
    map: '{to: "profile", user: {external_id: (.body.id | id)}, set: {a: .body.rev}}'
`
	}
	lives(t, file, func(n int, r *http.Request) http.HandlerFunc {
		if n == 4 {
			changed++
		}
		tag := fmt.Sprintf(`W/"v%d"`, changed)
		if r.Header.Get("If-None-Match") == tag {
			return status(304)
		}
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", tag)
			fmt.Fprintf(w, `[{"id":1,"rev":%d},{"id":2,"rev":0}]`, changed)
		}
	}, 6*time.Minute, func(d *desk, _ *sandbox, asked []int) {
		if len(asked) < 6 || !slices.Equal(d.shelf.order, []string{key(1, 0), key(2, 0), key(1, 1)}) {
			t.Errorf("asked at %v, took %v", asked, d.shelf.order)
		}
		if n := testutil.ToFloat64(d.polls.metrics.pages.WithLabelValues("crm")); n != 2 {
			t.Errorf("%v pages", n)
		}
	})
}

func TestAnItemThatCannotBeMappedIsALetterAndTheRoundGoesOn(t *testing.T) {
	lives(t, plain, func(_ int, _ *http.Request) http.HandlerFunc {
		return body(`{"contacts":[{"updated_at":"2026-01-01T00:00:00Z","x":9007199254740993},{"id":7,"rev":1,"updated_at":"2026-01-01T00:00:00Z"}]}`)
	}, 3*time.Minute, func(d *desk, _ *sandbox, _ []int) {
		if len(d.shelf.letters) != 1 || d.shelf.taken[key(7, 1)] != 1 {
			t.Errorf("letters %v, took %v", d.shelf.letters, d.shelf.taken)
		}
	})
}

// TestWhatIsMissingTwiceIsGone: once may be a slip between pages.
func TestWhatIsMissingTwiceIsGone(t *testing.T) {
	shown := map[int]string{1: "12345", 2: "1345", 3: "12345", 4: "134", 5: "1345", 6: "345", 7: "345"}
	file := func(*sandbox) string {
		return `sources:
  crm:
    poll:
      url: http://localhost/all
      every: 1m
      items: .
      id: .id
      version: '"v"'
      missing: true
      gone: '{to: "event", name: "gone", user: {external_id: .body.id}}'
    map: '{to: "profile", user: {external_id: (.body.id | id)}, set: {a: 1}}'
`
	}
	for name, dies := range map[string]bool{"in one life": false, "taken over in the middle": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				d := newDesk(t, file(nil), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					n++
					var items []string
					for _, c := range shown[min(n, len(shown))] {
						items = append(items, fmt.Sprintf(`{"id":%c}`, c))
					}
					fmt.Fprintf(w, "[%s]", strings.Join(items, ","))
				}))
				for range 8 {
					stop := d.start(t)
					waitFor(50 * time.Second)
					if dies {
						stop()
						stop = d.start(t)
					}
					waitFor(5 * time.Second)
					stop()
				}
				var gone []string
				for _, k := range d.shelf.order {
					if strings.Contains(k, "gone") {
						gone = append(gone, k[:len("poll/1/gone")])
					}
				}
				if !slices.Equal(gone, []string{"poll/2/gone", "poll/1/gone"}) {
					t.Errorf("gone: %v of %v", gone, d.shelf.order)
				}
				if d.shelf.taken["poll/3/v"] != 1 {
					t.Errorf("what did not change became records %d times", d.shelf.taken["poll/3/v"])
				}
			})
		})
	}
}

func TestWhenMostIsMissingNothingIsGone(t *testing.T) {
	k := newKnown()
	for i := range 50 {
		k.put(strconv.Itoa(i), stamp(i), false, 1)
	}
	for i := range 10 {
		k.same(strconv.Itoa(i), stamp(i), 2)
	}
	if gone, suspicious := k.missing(2); !suspicious || len(gone) > 0 {
		t.Errorf("gone %v, suspicious %v", gone, suspicious)
	}
	if gone, suspicious := k.missing(1); suspicious || len(gone) > 0 {
		t.Errorf("of ten: gone %v, suspicious %v", gone, suspicious)
	}
}

// TestAFirstSyncIsResumed dies in the middle of many pages and goes on there.
func TestAFirstSyncIsResumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSandbox(t, "cursor", false, 10)
		for range 500 {
			api.change(0)
			waitFor(time.Second)
		}
		api.before = func(int, *http.Request) http.HandlerFunc { waitFor(time.Second); return nil }
		d := newDesk(t, api.file(), api)
		stop := d.start(t)
		waitFor(30*time.Second + time.Millisecond)
		stop()
		before := len(api.requests)
		stop = d.start(t)
		waitFor(25 * time.Second) // the next round is not due yet
		stop()
		if before < 25 || len(api.requests) > 52 || len(d.shelf.taken) != 500 {
			t.Errorf("%d requests before, %d in all, took %d", before, len(api.requests), len(d.shelf.taken))
		}
		for k, n := range d.shelf.taken {
			if n > 1 {
				t.Errorf("%s became records %d times", k, n)
			}
		}
	})
}
