package poll

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// wholeFile is a source without versions that is read whole each time.
const wholeFile = `sources:
  crm:
    poll:
      url: http://localhost/contacts
      every: 1m
      items: .contacts
      id: .id
      missing: true
      gone: '{to: "profile", unset: ["tier"]}'
    identity: '{external_id: (.body.id | id)}'
    map: |
      {to: "profile", set: {tier: .body.tier}}
`

// tiers runs a source whose only contact is of one tier after another, one a minute; an empty one is none.
func tiers(t *testing.T, file string, said ...string) *desk {
	t.Helper()
	var at atomic.Int64
	d := newDesk(t, file, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		now := said[at.Load()]
		if now == "" {
			_, _ = io.WriteString(w, `{"contacts":[]}`)
			return
		}
		fmt.Fprintf(w, `{"contacts":[{"id":1,"tier":%q}]}`, now)
	}))
	stop := d.start(t)
	defer stop()
	waitFor(30 * time.Second)
	for range said[1:] {
		at.Add(1)
		waitFor(time.Minute)
	}
	waitFor(30 * time.Minute)
	return d
}

// told are the tiers of the records, in order, each with an event id of its own; - for none.
func (d *desk) told(t *testing.T) string {
	t.Helper()
	var all []string
	ids := map[string]bool{}
	for _, o := range d.shelf.outputs {
		switch text := string(o.JSON); {
		case ids[o.ID]:
			t.Errorf("a second record has the id %s: it would be taken for a repeat", o.ID)
		case strings.Contains(text, "unset"):
			all = append(all, "-")
		default:
			_, text, _ = strings.Cut(text, `"tier":"`)
			text, _, _ = strings.Cut(text, `"`)
			all = append(all, text)
		}
		ids[o.ID] = true
	}
	return strings.Join(all, " ")
}

func TestWhatIsAgainWhatItWasIsToldAgain(t *testing.T) {
	versioned := strings.Replace(wholeFile, "      id: .id\n", "      id: .id\n      version: .tier\n", 1)
	for _, c := range []struct {
		name, file string
		said       []string
		want       string
	}{
		{"it changes back", wholeFile, []string{"gold", "silver", "gold"}, "gold silver gold"},
		{"it changes back and forth", wholeFile, []string{"gold", "silver", "gold", "silver", "gold"}, "gold silver gold silver gold"},
		{"it is gone and comes back as it was", wholeFile, []string{"gold", "", "", "gold"}, "gold - gold"},
		{"it has a version, and comes back with it", versioned, []string{"gold", "", "", "gold"}, "gold - gold"},
		{"it is gone twice", wholeFile, []string{"gold", "", "", "gold", "", "", "silver"}, "gold - gold - silver"},
		{"it was missing once", wholeFile, []string{"gold", "", "gold", "", "gold"}, "gold"},
		{"it stays what it is", wholeFile, []string{"gold", "gold", "gold"}, "gold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := tiers(t, c.file, c.said...).told(t); got != c.want {
					t.Errorf("told %s; want %s", got, c.want)
				}
			})
		})
	}
}

// TestWhatWasToldBeforeADeathIsNotForgotten dies between the record of a change and the end of the round, and
// the change is taken back before somebody else goes on.
func TestWhatWasToldBeforeADeathIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := "gold"
		d := newDesk(t, wholeFile, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"contacts":[{"id":1,"tier":%q}]}`, now)
		}))
		stop := d.start(t)
		waitFor(30 * time.Second)
		stop()
		now = "silver"
		ctx, die := context.WithCancel(t.Context())
		d.shelf.after = die
		d.worker().run(ctx)
		d.shelf.after, now = nil, "gold"
		stop = d.start(t)
		waitFor(10 * time.Minute)
		stop()
		if got := d.told(t); got != "gold silver gold" {
			t.Errorf("told %s", got)
		}
	})
}

// TestWhoDiesWhileTellingThatSomethingIsGone leaves open whether it was told; then it comes back.
func TestWhoDiesWhileTellingThatSomethingIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		versioned := strings.Replace(wholeFile, "      id: .id\n", "      id: .id\n      version: .tier\n", 1)
		d := newDesk(t, versioned, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if gone.Load() {
				_, _ = io.WriteString(w, `{"contacts":[]}`)
				return
			}
			_, _ = io.WriteString(w, `{"contacts":[{"id":1,"tier":"gold"}]}`)
		}))
		stop := d.start(t)
		waitFor(30 * time.Second)
		gone.Store(true)
		waitFor(time.Minute)
		stop()
		ctx, die := context.WithCancel(t.Context())
		d.shelf.after = die
		d.worker().run(ctx)
		d.shelf.after = nil
		gone.Store(false)
		stop = d.start(t)
		waitFor(10 * time.Minute)
		stop()
		if got := d.told(t); got != "gold - gold" {
			t.Errorf("told %s", got)
		}
	})
}

func TestOnlyWhatAnItemIsNowIsAmongTheRecentOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newSandbox(t, "page", true, 5)
		d := newDesk(t, strings.Replace(api.file(), "every: 1m", "every: 1m\n      full_every: 1h", 1), api)
		w := d.worker()
		if !w.takeUp(t.Context()) {
			t.Fatal("it cannot be taken up")
		}
		for range 5 {
			api.change(1)
			api.change(2)
			if err := w.round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.state.Recent.seen); n != 2 || len(d.shelf.order) != 10 {
			t.Errorf("%d versions of 2 contacts are remembered, of %v", n, d.shelf.order)
		}
	})
}

func TestWhatIsGoneIsForgottenInTime(t *testing.T) {
	k := newKnown()
	k.put("a", 1, false, 1)
	k.bury("a", 2)
	if gone, _ := k.missing(2 + mourning); len(gone) > 0 || !k.has("a") {
		t.Errorf("too early: %v", gone)
	}
	if gone, _ := k.missing(3 + mourning); len(gone) > 0 || k.has("a") {
		t.Errorf("never: %v", gone)
	}
	for i := range 30 { // the gone do not count for those that are there
		k.put(fmt.Sprint(i), 1, false, 1)
		k.put(fmt.Sprint("gone", i), 1, true, 1)
	}
	for i := range 10 {
		k.same(fmt.Sprint(i), 1, 5)
	}
	if _, suspicious := k.missing(5); !suspicious {
		t.Error("20 of 30 are missing, and nobody wonders")
	}
}
