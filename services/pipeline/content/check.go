package content

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	rules "github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// MostBytes is what Braze takes of an answer to Connected Content (braze-docs: connected_content).
const MostBytes = 1_000_000

// nearly is the part of it from which an answer is said to be large.
const nearly = 0.8

// Options are what Check is asked.
type Options struct {
	About Subject
	Rules Rules
	Now   time.Time
	Soon  time.Duration // what ends within is reported; 0 for nothing
	// Fetch asks for assets; nil where they are not looked at.
	Fetch *Fetcher
}

// Check reads content.items and judges what a message would get now.
func Check(ctx context.Context, c *replay.Cluster, o Options) (*Report, error) {
	s, err := read(ctx, c, o.About)
	if err != nil {
		return nil, err
	}
	r := &Report{At: o.Now, Collections: []Collection{}, Problems: append([]Problem{}, s.problems...), Ending: []Ending{}}
	var wanted []wantedAsset
	for _, name := range s.shelf.Collections() {
		col := Collection{Name: name, Items: []Item{}, Now: map[string]int{}}
		rule := o.Rules.Find(name)
		for _, id := range s.shelf.IDs(name) {
			item := Item{ID: id}
			for _, st := range s.shelf.Standings(name, id, o.Now) {
				l := Locale{Locale: st.Locale, State: string(st.State), From: st.From, Until: st.Until, Bytes: len(st.Page.Doc()), Gets: GetsNothing}
				if rule != nil {
					l.Gets = gets(&s.shelf, rule, name, id, st.Locale, o.Now)
				}
				item.Locales = append(item.Locales, l)
				col.Now[l.State]++
				if st.State != shelf.Shown && st.State != shelf.NotYet {
					continue // nobody will get it as it is
				}
				r.judgeSize(name, id, &l)
				if ending := st.State == shelf.Shown && !st.Until.IsZero() && st.Until.Sub(o.Now) <= o.Soon; ending && rule != nil {
					r.Ending = append(r.Ending, Ending{name, id, st.Locale, st.Until, gets(&s.shelf, rule, name, id, st.Locale, st.Until)})
				}
				for _, a := range s.assetsOf(name, id, st.Locale) {
					wanted = append(wanted, wantedAsset{name, id, st.Locale, a.URL, a.MediaType})
				}
			}
			col.Items = append(col.Items, item)
		}
		if len(col.Items) == 0 {
			continue
		}
		if rule == nil {
			r.Problems = append(r.Problems, Problem{
				Collection: name, What: NoRule, Grave: true, Detail: "no rule of CONTENT_FILE names the collection: nobody can read it",
			})
		}
		r.Collections = append(r.Collections, col)
	}
	slices.SortStableFunc(r.Ending, func(a, b Ending) int { return a.Until.Compare(b.Until) })
	if o.Fetch != nil {
		var found []Problem
		r.Assets, found, err = o.Fetch.all(ctx, wanted)
		if err != nil {
			return nil, err
		}
		r.Problems = append(r.Problems, found...)
	}
	return r, nil
}

// gets is what a message gets that asks for an item in a locale.
func gets(s *shelf.Shelf, rule *rules.Collection, name, id, locale string, now time.Time) string {
	f, ok := s.Get(name, id, rule.Chain(locale), now)
	if ok {
		for _, st := range s.Standings(name, id, now) {
			if st.Page == f.Page {
				return cmp.Or(st.Locale, GetsOwn)
			}
		}
	}
	if rule.Default != nil {
		return GetsDefault
	}
	return GetsNothing
}

// judgeSize holds an answer to what Braze takes.
func (r *Report) judgeSize(name, id string, l *Locale) {
	p := Problem{Collection: name, ID: id, Locale: l.Locale}
	switch {
	case l.Bytes > MostBytes:
		p.What, p.Grave = TooLarge, true
		p.Detail = fmt.Sprintf("the answer has %d bytes: Braze takes %d, and a message would be sent without it", l.Bytes, MostBytes)
	case float64(l.Bytes) > nearly*MostBytes:
		p.What = Large
		p.Detail = fmt.Sprintf("the answer has %d bytes, of %d that Braze takes", l.Bytes, MostBytes)
	default:
		return
	}
	r.Problems = append(r.Problems, p)
}
