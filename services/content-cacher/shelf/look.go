package shelf

import (
	"slices"
	"strings"
	"time"
)

// State says whether a record is shown, and if not, why.
type State string

// What a record may be. The first that applies counts.
const (
	Withdrawn   State = "withdrawn"
	NotApproved State = "not_approved"
	Expired     State = "expired"
	NotYet      State = "not_yet"
	Shown       State = "shown"
)

// Standing is what is known of an item in one locale.
type Standing struct {
	Locale string // empty for the item's own
	State  State
	From   time.Time // zero for no bound
	Until  time.Time // likewise
	Page   *Page
}

// Standings are those of an item, by locale, the item's own first. Where a locale is said twice, by the
// item and by a record of its own, it is the one that is shown, else the latter.
func (s *Shelf) Standings(name, id string, now time.Time) []Standing {
	col := s.collection(name, false)
	if col == nil {
		return nil
	}
	it := col.get(id)
	if it == nil {
		return nil
	}
	at := now.UnixMilli()
	byLocale := map[string]Standing{}
	if it.own != nil {
		made := s.made(it.own)
		byLocale[""] = it.standing("", it.own, &made.own, at)
		for i := range made.variants {
			v := &made.variants[i]
			byLocale[v.locale] = it.standing(v.locale, it.own, &v.page, at)
		}
	}
	for _, e := range it.locales {
		own := it.standing(e.locale, e, &s.made(e).own, at)
		if was, there := byLocale[e.locale]; !there || own.State == Shown || was.State != Shown {
			byLocale[e.locale] = own
		}
	}
	list := make([]Standing, 0, len(byLocale))
	for _, st := range byLocale {
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b Standing) int { return strings.Compare(a.Locale, b.Locale) })
	return list
}

func (i *item) standing(locale string, e *entry, p *Page, now int64) Standing {
	s := Standing{Locale: locale, State: i.state(e, now), Page: p}
	if e.from != 0 {
		s.From = time.UnixMilli(e.from).UTC()
	}
	if e.until != Never {
		s.Until = time.UnixMilli(e.until).UTC()
	}
	return s
}

// state is why shown says what it says.
func (i *item) state(e *entry, now int64) State {
	switch {
	case e.received <= i.withdrawn:
		return Withdrawn
	case !e.approved:
		return NotApproved
	case now >= e.until:
		return Expired
	case now < e.from:
		return NotYet
	}
	return Shown
}

// IDs are those of a collection's items that have any record, in order.
func (s *Shelf) IDs(name string) []string {
	col := s.collection(name, false)
	if col == nil {
		return nil
	}
	var ids []string
	col.snapshot().Scan(func(it *item) bool {
		ids = append(ids, it.id)
		return true
	})
	slices.Sort(ids)
	return ids
}

// Collections are the names of all that were ever spoken of, in order.
func (s *Shelf) Collections() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.collections))
	for name := range s.collections {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
