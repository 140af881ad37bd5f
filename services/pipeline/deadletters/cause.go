package deadletters

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Cause is what letters have in common.
type Cause struct {
	Service  string       `json:"service"`
	Sink     string       `json:"sink,omitempty"` // of currents-fanout, or target of crm-writeback
	Reason   string       `json:"reason"`
	Detail   string       `json:"detail"` // less what differs from letter to letter
	Letters  int          `json:"letters"`
	Open     int          `json:"open"` // of them, not replayed
	First    time.Time    `json:"first"`
	Last     time.Time    `json:"last"`
	Example  replay.Place `json:"example"` // the newest; of those not replayed, if there are any
	exampled bool         // the example is open
}

// List is what there is.
type List struct {
	Causes []Cause `json:"causes"` // the most letters first
	// Unreadable counts records on the topics of dead letters that are none, and names some.
	Unreadable  int            `json:"unreadable,omitempty"`
	Unreadables []replay.Place `json:"unreadables,omitempty"`
}

// maxCauses bounds what is told apart: details may hold anything.
const maxCauses = 5_000

// Group reads the letters that fit and groups them by cause.
func Group(ctx context.Context, c *replay.Cluster, f Filter) (List, error) {
	type alike struct{ service, sink, reason, detail string }
	type entry struct {
		id    replay.Place
		about record
		at    time.Time
	}
	letters := map[alike][]entry{}
	replayed := map[record]bool{}
	rd := newReader(c)
	err := rd.read(ctx, f, func(l *Letter) error {
		if !f.fits(l) {
			return nil
		}
		k := alike{l.Service, l.Sink, l.Reason, Pattern(l.Detail)}
		if letters[k] == nil && len(letters) >= maxCauses {
			k.detail = "(other)"
		}
		letters[k] = append(letters[k], entry{l.ID, l.record(), l.At})
		return nil
	}, func(of record) { replayed[of] = true })
	if err != nil {
		return List{}, err
	}
	list := List{Causes: []Cause{}, Unreadable: rd.unreadables, Unreadables: rd.unreadable}
	for k, entries := range letters {
		cause := Cause{Service: k.service, Sink: k.sink, Reason: k.reason, Detail: k.detail}
		for _, e := range entries {
			cause.add(e.id, e.at, !replayed[e.about])
		}
		list.Causes = append(list.Causes, cause)
	}
	slices.SortFunc(list.Causes, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Sink, b.Sink), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Detail, b.Detail))
	})
	return list, nil
}

func (c *Cause) add(id replay.Place, at time.Time, open bool) {
	c.Letters++
	if open {
		c.Open++
	}
	if c.Letters == 1 || at.Before(c.First) {
		c.First = at
	}
	newest := c.Letters == 1 || !at.Before(c.Last)
	if newest {
		c.Last = at
	}
	if c.Letters == 1 || open && !c.exampled || newest && open == c.exampled {
		c.Example, c.exampled = id, open
	}
}

// maxPattern bounds what is shown of a detail.
const maxPattern = 160

// What differs from letter to letter, and what is written instead.
var particulars = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`"[^"]*"|'[^']*'|` + "`[^`]*`"), `"…"`},
	{regexp.MustCompile(`[\w.+-]+@[\w-]+\.[\w.-]+`), `EMAIL`},
	{regexp.MustCompile(`\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b`), `ID`},
	{regexp.MustCompile(`\b[A-Za-z_-]*\d[\w-]{7,}\b`), `ID`},
	{regexp.MustCompile(`-?\d+(\.\d+)?`), `N`},
}

// Pattern is a detail less what differs from letter to letter: numbers, ids, what stands in quotes.
func Pattern(detail string) string {
	if len(detail) > 4*maxPattern {
		detail = strings.ToValidUTF8(detail[:4*maxPattern], "")
	}
	for _, p := range particulars {
		detail = p.pattern.ReplaceAllString(detail, p.instead)
	}
	detail = strings.Join(strings.Fields(detail), " ")
	if utf8.RuneCountInString(detail) > maxPattern {
		return string([]rune(detail)[:maxPattern]) + "…"
	}
	return detail
}
