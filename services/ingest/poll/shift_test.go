package poll

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhatSlipsOverTheEdgeOfAPageIsFound changes a contact of the first page just before the second is
// answered, once, and nothing ever after.
func TestWhatSlipsOverTheEdgeOfAPageIsFound(t *testing.T) {
	for _, kind := range []string{"page", "offset", "link"} {
		for name, apart := range map[string]time.Duration{"all of one second": 0, "a second apart": time.Second} {
			t.Run(kind+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					api := newSandbox(t, kind, false, 5)
					for range 12 {
						api.change(0)
						waitFor(apart)
					}
					waitFor(time.Hour) // far beyond any overlap
					moved := false
					api.before = func(_ int, r *http.Request) http.HandlerFunc {
						q := r.URL.RawQuery
						second := strings.Contains(q, "page=2") || strings.Contains(q, "offset=5") || strings.Contains(q, "at=5")
						if !moved && (second || apart > 0 && !strings.Contains(q, "1970")) {
							moved = true
							api.change(1)
						}
						return nil
					}
					d := newDesk(t, api.file(), api)
					stop := d.start(t)
					waitFor(10 * time.Minute)
					stop()
					for id := 1; id <= 12; id++ {
						if n := d.shelf.taken[key(id, 1)]; n != 1 {
							t.Errorf("contact %d became records %d times\n%s", id, n, strings.Join(api.requests, "\n"))
						}
					}
					if !moved || d.shelf.taken[key(1, 2)] != 1 {
						t.Errorf("moved %v, and then became records %d times", moved, d.shelf.taken[key(1, 2)])
					}
				})
			})
		}
	}
}
