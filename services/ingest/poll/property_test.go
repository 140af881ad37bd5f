package poll

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestEveryChangeArrives is the promise: whatever the API does, and whenever we die, the last version of
// everything becomes records; and a version does so once, but for the pages that were on their way when
// somebody died.
func TestEveryChangeArrives(t *testing.T) {
	for _, c := range []struct {
		kind string
		byID bool
	}{{"page", false}, {"page", true}, {"offset", false}, {"offset", true}, {"link", false}, {"cursor", false}, {"none", false}} {
		for seed := range uint64(12) {
			t.Run(fmt.Sprintf("%s, by id %v, seed %d", c.kind, c.byID, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { livesThrough(t, c.kind, c.byID, seed) })
			})
		}
	}
}

func livesThrough(t *testing.T, kind string, byID bool, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	api := newSandbox(t, kind, byID, 5)
	for range 23 { // of one second, over several page edges
		api.change(0)
	}
	// Every other one changes; those that do not would not come by again once they have slipped through.
	some := func() int { return 1 + 2*rng.IntN(api.nextID/2) }
	quiet := false
	api.before = func(_ int, _ *http.Request) http.HandlerFunc {
		if quiet {
			return nil
		}
		if seed%2 == 1 {
			waitFor(time.Duration(rng.IntN(20)) * time.Second) // the overlap must not be what saves us
		}
		// Between pages things change, and move: the first ones too, which pulls all others up.
		for range rng.IntN(3) {
			switch {
			case kind == "none": // a page that cannot be passed by holds one second at most
				if rng.IntN(8) == 0 {
					api.change(some())
				}
			case rng.IntN(3) == 0:
				api.change(0)
			default:
				api.change(some())
			}
		}
		switch rng.IntN(14) {
		case 0:
			return status(500)
		case 1:
			return cutOff
		case 2:
			return status(429, "Retry-After", "7")
		case 3:
			return body(`<html>maintenance</html>`)
		case 4:
			api.token++ // what we have is good no more
		case 5:
			return status(503, "Retry-After", time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat))
		}
		return nil
	}
	if kind == "none" {
		api.size = 40
	}
	d := newDesk(t, api.file(), api)
	runs := 0
	total := map[string]int{}
	for range 6 {
		ctx, die := context.WithCancel(t.Context())
		d.shelf.taken = map[string]int{}
		d.store.fail, d.shelf.after = nil, nil
		switch rng.IntN(3) {
		case 0: // dies between the records and the checkpoint
			at := rng.IntN(8)
			d.store.fail = func() error {
				if at--; at < 0 {
					die()
					return errCrashed
				}
				return nil
			}
		case 1: // dies with a page in its hands
			at := rng.IntN(8)
			d.shelf.before = func() error {
				if at--; at < 0 {
					die()
					return errCrashed
				}
				return nil
			}
		default:
			time.AfterFunc(time.Duration(1+rng.IntN(600))*time.Second, die)
		}
		time.AfterFunc(40*time.Minute, die)
		d.worker().run(ctx)
		die()
		d.shelf.before = nil
		runs++
		for k, n := range d.shelf.taken {
			if n > 1 {
				t.Errorf("%s became records %d times in one run", k, n)
			}
			total[k]++
		}
	}
	quiet = true
	d.store.fail, d.shelf.after, d.shelf.taken = nil, nil, map[string]int{}
	stop := d.start(t)
	waitFor(30 * time.Minute)
	stop() // and is gone, so that what it has taken may be looked at
	for k := range d.shelf.taken {
		total[k]++
	}
	repeated := 0
	for _, n := range total {
		if n > 1 {
			repeated += n - 1
		}
	}
	for id, c := range api.contacts {
		if total[key(id, c.Rev)] == 0 {
			t.Errorf("version %d of contact %d never arrived", c.Rev, id)
		}
	}
	// Whoever died may have had one page in its hands, and what the overlap shows anew.
	if most := runs * 3 * api.size; repeated > most {
		t.Errorf("%d versions came again, with %d deaths and pages of %d", repeated, runs, api.size)
	}
}

// waitFor lets a bubble's time pass.
func waitFor(d time.Duration) { <-time.After(d) }
