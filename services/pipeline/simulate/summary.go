package simulate

import (
	"fmt"
	"sync"
	"time"
)

// Summary is what came of a story. It adds up: of every row
//
//	sent = accepted + duplicate + rejected + lost
type Summary struct {
	Seed     uint64        `json:"seed"`
	Took     time.Duration `json:"-"`
	Seconds  float64       `json:"seconds"`
	Rows     []Row         `json:"mishaps"`
	Total    Row           `json:"total"`
	Commerce int           `json:"commerce"` // items of the total that are commerce events
	Profiles int           `json:"profiles"` // changes of profiles
	Cases    int           `json:"cases"`    // reports on support cases
	Requests int           `json:"requests"`
	Retries  int           `json:"retries"` // requests sent again, with the same ids, after 429, 503 or no answer
	// Known counts items that were new to the story and not to the door: the same seed was told before.
	Known int `json:"known"`
	// Surprises are items that got another verdict than the story foresaw, in words; the first few.
	Surprises []string `json:"surprises,omitempty"`
	Surprised int      `json:"surprised"` // how many there were
}

// Row counts items, not requests.
type Row struct {
	Mishap    Mishap `json:"mishap"`
	Sent      int    `json:"sent"`
	Accepted  int    `json:"accepted"`
	Duplicate int    `json:"duplicate"`
	Rejected  int    `json:"rejected"`
	Lost      int    `json:"lost"` // given up on: nobody said yes
}

func (r *Row) add(v Verdict) {
	r.Sent++
	switch v {
	case Accepted:
		r.Accepted++
	case Duplicate:
		r.Duplicate++
	case Rejected:
		r.Rejected++
	default:
		r.Lost++
	}
}

// tally gathers a Summary from several hands.
type tally struct {
	mu   sync.Mutex
	sum  Summary
	rows map[Mishap]*Row
	from time.Time
}

func newTally(seed uint64) *tally {
	return &tally{sum: Summary{Seed: seed}, rows: map[Mishap]*Row{}, from: time.Now()}
}

// mostSurprises is how many are told in words.
const mostSurprises = 10

// count enters what became of an item of an act; retried says that an earlier attempt may have been
// taken without our hearing of it.
func (t *tally) count(a *Act, it *Item, got Verdict, why string, retried bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if got == Duplicate && it.Want == Accepted {
		if retried {
			got = Accepted
		} else {
			t.sum.Known++
		}
	}
	row := t.rows[a.Mishap]
	if row == nil {
		row = &Row{Mishap: a.Mishap}
		t.rows[a.Mishap] = row
	}
	row.add(got)
	t.sum.Total.add(got)
	switch it.Kind {
	case kindCommerce:
		t.sum.Commerce++
	case kindProfile:
		t.sum.Profiles++
	case kindCase:
		t.sum.Cases++
	}
	if got == it.Want || got == Duplicate && it.Want == Accepted {
		return
	}
	t.sum.Surprised++
	if len(t.sum.Surprises) < mostSurprises {
		got := got
		if got == "" {
			got = "lost"
		}
		t.sum.Surprises = append(t.sum.Surprises, fmt.Sprintf("%s (%s): %s instead of %s: %s", it.ID, a.Mishap, got, it.Want, why))
	}
}

func (t *tally) request(retry bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sum.Requests++
	if retry {
		t.sum.Retries++
	}
}

// summary is the count so far, with a row for each mishap of the order that has occurred.
func (t *tally) summary(order []Mishap) Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sum
	s.Rows = nil
	for _, m := range order {
		if row := t.rows[m]; row != nil {
			s.Rows = append(s.Rows, *row)
		}
	}
	s.Total.Mishap = "total"
	s.Took = time.Since(t.from)
	s.Seconds = s.Took.Seconds()
	return s
}
