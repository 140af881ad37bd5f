package brazesender

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// asking is a record that asks for objects of the arrays, in that order: a, e and p.
func asking(ln *line, name, arrays string) *item {
	it := &item{id: name}
	for i, c := range arrays {
		p := part{line: ln, object: fmt.Appendf(nil, `{"n":"%s.%d"}`, name, i)}
		switch c {
		case 'a':
			p.array = braze.Attributes
		case 'e':
			p.array = braze.Events
		case 'p':
			p.array = braze.Purchases
		}
		it.parts = append(it.parts, p)
	}
	return it
}

// TestARecordsOwnPartsKeepTheirOrder: Braze applies the events of a request before its purchases.
func TestARecordsOwnPartsKeepTheirOrder(t *testing.T) {
	for _, c := range []struct {
		name  string
		queue []string // arrays of each record
		want  []string // what each request carries
	}{
		{"an event and a purchase go together", []string{"ep"}, []string{"1.0 1.1"}},
		{"a purchase before an event goes first", []string{"pe"}, []string{"1.0", "1.1"}},
		{"an event of another record does not overtake a purchase", []string{"pe", "e"}, []string{"1.0", "1.1 2.0"}},
		{"purchases before and behind an event", []string{"pep", "e"}, []string{"1.0", "1.1 1.2", "2.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, ln := &user{}, live(75, false)
			for i, arrays := range c.queue {
				u.push(asking(ln, fmt.Sprint(i+1), arrays))
			}
			if diff := cmp.Diff(c.want, requestsOf(t, u, ln)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// requestsOf empties a user's queue and tells what each request carries.
func requestsOf(t *testing.T, u *user, ln *line) (requests []string) {
	t.Helper()
	for u.first != nil {
		r := ln.room(false)
		if u.suspect() {
			r = ln.roomFor(u.first)
		}
		taken, _, _ := u.share(nil, ln, &r, time.Now(), time.Time{})
		if len(taken) == 0 {
			t.Fatal("nothing fits into an empty request")
		}
		text, objects := "", 0
		var back []*item
		for _, ld := range taken {
			for i := range ld.carried() {
				objects++
				text += fmt.Sprintf(" %s.%d", ld.id, int(ld.from)+i)
			}
			if ld.done = ld.to; len(ld.left()) > 0 {
				back = append(back, ld.item)
			}
		}
		if objects > ln.most {
			t.Errorf("a request of %d objects, %d are allowed", objects, ln.most)
		}
		u.putBack(back)
		requests = append(requests, text[1:])
	}
	if u.objects != 0 {
		t.Errorf("the queue's count of objects is off by %d", u.objects)
	}
	return requests
}

// TestARecordThatAsksForMoreThanARequestHoldsTakesSeveral: an order of two hundred lines may be as many
// purchases.
func TestARecordThatAsksForMoreThanARequestHoldsTakesSeveral(t *testing.T) {
	for _, c := range []struct {
		name  string
		blame uint8
		want  int
	}{{"in company", 0, 3}, {"suspected, and so alone", tooMuchBlame, 4}} {
		t.Run(c.name, func(t *testing.T) {
			u, ln := &user{}, live(10, false)
			u.push(asking(ln, "1", "ppppppppppppppppppppppp")) // 23
			u.push(asking(ln, "2", "p"))
			u.first.blame = c.blame
			if got := requestsOf(t, u, ln); len(got) != c.want {
				t.Errorf("%d requests, want %d: %q", len(got), c.want, got)
			}
		})
	}
}

// readyLane is a lane in which users wait with a record each; the first of them is suspected of making
// requests fail.
func readyLane(t *testing.T, records []func(ls *lines) *item) (*lane, *line) {
	t.Helper()
	s := &Sender{lines: newLines(braze.Config{MaxObjects: 75}, Options{}), config: Config{Sender: Options{InFlight: 1}}}
	l := newLane(s)
	now := time.Now()
	for i, r := range records {
		u := &user{key: fmt.Sprint(i + 1)}
		u.push(r(s.lines))
		if i == 0 {
			u.first.blame = tooMuchBlame
		}
		l.markReady(u, now)
	}
	return l, s.lines.track[rank(routes.Live)]
}

func TestASuspectTravelsAloneHoweverManyRequestsItsRecordAsksFor(t *testing.T) {
	single := func(ls *lines) *item { return asking(ls.track[rank(routes.Live)], "single", "e") }
	for name, first := range map[string]func(ls *lines) *item{
		"one object": single,
		"an event and a campaign": func(ls *lines) *item {
			it := asking(ls.track[rank(routes.Live)], "first", "ee")
			it.parts[1].line = ls.find(lineKey{endpoint: braze.CampaignsTriggerSend})
			return it
		},
		"an event behind a purchase": func(ls *lines) *item { return asking(ls.track[rank(routes.Live)], "first", "pe") },
	} {
		t.Run(name, func(t *testing.T) {
			l, ln := readyLane(t, []func(ls *lines) *item{first, single, single})
			if f := l.pack(ln, time.Now()); len(f.loads) != 1 {
				t.Errorf("the request carries %q, want the suspect alone", names(f.loads))
			}
			if f := l.pack(ln, time.Now()); len(f.loads) != 2 {
				t.Errorf("the next request carries %q, want both others", names(f.loads))
			}
			if ln.pending != 0 || ln.ready.len() != 0 {
				t.Errorf("%d objects of %d users are left", ln.pending, ln.ready.len())
			}
		})
	}
}
