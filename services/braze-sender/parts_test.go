package brazesender

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
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
	for name, blame := range map[string]uint8{"in company": 0, "suspected and alone": tooMuchBlame} {
		t.Run(name, func(t *testing.T) {
			u, ln := &user{}, live(10, false)
			u.push(asking(ln, "1", "ppppppppppppppppppppppp")) // 23
			u.push(asking(ln, "2", "p"))
			u.first.blame = blame
			if got := requestsOf(t, u, ln); len(got) != 3 {
				t.Errorf("%d requests, want 3: %q", len(got), got)
			}
		})
	}
}
