package shelf_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/content-cacher/shelf"
)

func at(minute int) time.Time {
	return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
}

// banner is an approved item that says a text.
func banner(id, text string, change ...func(*event.Content)) *event.Content {
	c := &event.Content{
		Collection: "banners", ItemID: id, Approved: true, OccurredAt: at(1), ReceivedAt: at(1), Body: []byte(`{"text":"` + text + `"}`),
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func version(n int64) func(*event.Content) { return func(c *event.Content) { c.Version = &n } }
func locale(l string) func(*event.Content) { return func(c *event.Content) { c.Locale = l } }
func minute(n int) func(*event.Content) {
	return func(c *event.Content) { c.ReceivedAt, c.OccurredAt = at(n), at(n) }
}
func tags(t ...string) func(*event.Content) { return func(c *event.Content) { c.Tags = t } }
func unapproved(c *event.Content)           { c.Approved = false }
func from(n int) func(*event.Content)       { return func(c *event.Content) { c.ValidFrom = at(n) } }

func until(n int) func(*event.Content) { return func(c *event.Content) { c.ValidUntil = at(n) } }

func withdrawal(n int) *event.Content {
	return banner("a", "", minute(n), func(c *event.Content) { c.Withdraws, c.Approved = true, false })
}

func also(l, text string) func(*event.Content) {
	return func(c *event.Content) {
		c.Variants = append(c.Variants, event.ContentVariant{Locale: l, Body: []byte(`{"text":"` + text + `"}`)})
	}
}

func text(t *testing.T, f shelf.Found) string {
	t.Helper()
	var doc struct {
		Body struct{ Text string }
	}
	if err := json.Unmarshal(f.Page.Doc(), &doc); err != nil {
		t.Fatalf("%s: %v", f.Page.Doc(), err)
	}
	return doc.Body.Text
}

func TestWhatIsShownOfAnItem(t *testing.T) {
	for _, c := range []struct {
		name    string
		put     []*event.Content
		remove  []string // keys, afterwards
		locales []string
		minute  int // when it is asked for; 5 where it does not matter
		want    string
	}{
		{name: "what is there", put: []*event.Content{banner("a", "own")}, want: "own"},
		{name: "the newer of two", put: []*event.Content{banner("a", "old"), banner("a", "new")}, want: "new"},
		{name: "the higher version, whichever comes last", put: []*event.Content{banner("a", "eight", version(8)), banner("a", "seven", version(7))}, want: "eight"},
		{name: "a version that is sent again with another text", put: []*event.Content{banner("a", "once", version(8)), banner("a", "twice", version(8))}, want: "twice"},
		{name: "nothing that is not approved", put: []*event.Content{banner("a", "own", unapproved)}},
		{name: "nothing that was approved once", put: []*event.Content{banner("a", "own"), banner("a", "own", unapproved)}},
		{name: "nothing before its time", put: []*event.Content{banner("a", "own", from(6))}},
		{name: "from its first moment on", put: []*event.Content{banner("a", "own", from(5))}, want: "own"},
		{name: "not in the moment of its end", put: []*event.Content{banner("a", "own", until(5))}},
		{name: "up to its end", put: []*event.Content{banner("a", "own", until(6))}, want: "own"},
		{name: "nothing that is withdrawn", put: []*event.Content{banner("a", "own"), banner("a", "de", locale("de")), withdrawal(2)}, locales: []string{"de"}},
		{name: "what is published after a withdrawal", put: []*event.Content{banner("a", "own"), withdrawal(2), banner("a", "again", minute(3))}, want: "again"},
		{name: "a locale of its own record", put: []*event.Content{banner("a", "own", also("de", "deutsch"))}, locales: []string{"de-AT", "de"}, want: "deutsch"},
		{name: "a locale's record before the item's own", put: []*event.Content{banner("a", "own", also("de", "deutsch")), banner("a", "besser", locale("de"))}, locales: []string{"de"}, want: "besser"},
		{name: "the first of the chain", put: []*event.Content{banner("a", "own"), banner("a", "at", locale("de-AT")), banner("a", "de", locale("de"))}, locales: []string{"de-AT", "de"}, want: "at"},
		{name: "the item's own where none of the locales is there", put: []*event.Content{banner("a", "own"), banner("a", "fr", locale("fr"))}, locales: []string{"de"}, want: "own"},
		{name: "nothing of another locale alone", put: []*event.Content{banner("a", "fr", locale("fr"))}, locales: []string{"de"}},
		{name: "any locale where none is asked for", put: []*event.Content{banner("a", "fr", locale("fr")), banner("a", "de", locale("de"))}, want: "de"},
		{name: "a locale that is not approved falls back", put: []*event.Content{banner("a", "own"), banner("a", "de", locale("de"), unapproved)}, locales: []string{"de"}, want: "own"},
		{name: "nothing after a tombstone", put: []*event.Content{banner("a", "own")}, remove: []string{"banners/a"}},
		{name: "a locale after the tombstone of the item's own", put: []*event.Content{banner("a", "own"), banner("a", "de", locale("de"))}, remove: []string{"banners/a"}, locales: []string{"de"}, want: "de"},
		{name: "the item's own after the tombstone of a locale", put: []*event.Content{banner("a", "own"), banner("a", "de", locale("de"))}, remove: []string{"banners/a#de"}, locales: []string{"de"}, want: "own"},
		{name: "tombstones of what never was do nothing", put: []*event.Content{banner("a", "own")}, remove: []string{"banners/b", "other/a", "banners/a#fr", "nothing", "", "/"}, want: "own"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s shelf.Shelf
			for _, r := range c.put {
				s.Put(r)
			}
			for _, key := range c.remove {
				s.Remove(key)
			}
			if c.minute == 0 {
				c.minute = 5
			}
			f, ok := s.Get("banners", "a", c.locales, at(c.minute))
			if ok != (c.want != "") {
				t.Fatalf("there: %t", ok)
			}
			if ok && text(t, f) != c.want {
				t.Errorf("shown %q, want %q", text(t, f), c.want)
			}
		})
	}
}

func TestAListIsInOrderAndByTags(t *testing.T) {
	var s shelf.Shelf
	s.Put(banner("a", "a", minute(3), tags("hero", "spring")))
	s.Put(banner("b", "b", minute(1), tags("hero")))
	s.Put(banner("c", "c", minute(2), tags("hero"), unapproved))
	s.Put(banner("d", "d", minute(4)))
	s.Put(banner("b", "b", minute(5), tags("hero"))) // changed: it is the newest now
	texts := func(q shelf.Query) (all []string) {
		for _, f := range s.List("banners", q, at(10)) {
			all = append(all, text(t, f))
		}
		return all
	}
	for name, c := range map[string]struct {
		q    shelf.Query
		want []string
	}{
		"all, the newest first":       {shelf.Query{Limit: 9}, []string{"b", "d", "a"}},
		"the oldest first":            {shelf.Query{Limit: 9, Oldest: true}, []string{"a", "d", "b"}},
		"no more than asked for":      {shelf.Query{Limit: 2}, []string{"b", "d"}},
		"with a tag":                  {shelf.Query{Limit: 9, Tags: []string{"hero"}}, []string{"b", "a"}},
		"with all of the tags":        {shelf.Query{Limit: 9, Tags: []string{"hero", "spring"}}, []string{"a"}},
		"with a tag that nothing has": {shelf.Query{Limit: 9, Tags: []string{"autumn"}}, nil},
	} {
		if diff := cmp.Diff(c.want, texts(c.q)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func TestACustomersPickMovesOnlyWhenItHasTo(t *testing.T) {
	var s shelf.Shelf
	for i := range 5 {
		s.Put(banner(fmt.Sprint(i), fmt.Sprint(i)))
	}
	pick := func(n int) string {
		f, ok := s.Pick("banners", shelf.Query{}, fmt.Sprintf("customer-%d", n), at(5))
		if !ok {
			t.Fatal("nothing is picked")
		}
		return text(t, f)
	}
	const customers = 2000
	before := make([]string, customers)
	counts := map[string]int{}
	for n := range before {
		before[n] = pick(n)
		counts[before[n]]++
	}
	for id, n := range counts {
		if n < customers/5-120 || n > customers/5+120 {
			t.Errorf("%s is given to %d of %d", id, n, customers)
		}
	}
	s.Remove("banners/3")
	for n := range before {
		if now := pick(n); now != before[n] && before[n] != "3" || now == "3" {
			t.Errorf("customer %d had %s and has %s", n, before[n], now)
		}
	}
	if got := pick(7); got != before[7] {
		t.Errorf("a replica that has just started would pick %s, not %s", got, before[7])
	}
}

func TestThePageIsAnObjectWithEveryKey(t *testing.T) {
	var s shelf.Shelf
	width := int64(1600)
	s.Put(banner("späher", `\"quoted\"`, version(8), tags("a\nb"), until(90), func(c *event.Content) {
		c.Assets = []event.ContentAsset{{URL: "https://img.example/1.jpg", MediaType: "image/jpeg", Rendition: "thumb", Width: &width}}
	}))
	f, _ := s.Get("banners", "späher", nil, at(5))
	want := `{"ok":true,"default":false,"collection":"banners","id":"späher","version":"8","locale":"","tags":["a\nb"],` +
		`"valid_until":"2026-03-02T10:30:00Z","body":{"text":"\"quoted\""},` +
		`"assets":[{"url":"https://img.example/1.jpg","type":"image/jpeg","rendition":"thumb","width":1600,"height":null}]}`
	if got := string(f.Page.Doc()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if tag := string(f.Page.AppendETag(nil, false)); len(tag) < 10 || tag == string(f.Page.AppendETag(nil, true)) {
		t.Errorf("entity tag %s", tag)
	}
	if f.Page.Zipped() != nil {
		t.Error("so little is compressed")
	}
}

// TestAnySequenceEndsAsANaiveModelHasIt holds the shelf to a list of records that is looked through each time.
func TestAnySequenceEndsAsANaiveModelHasIt(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 6))
		var s shelf.Shelf
		var naive model
		for step := range 300 {
			c := banner(string(rune('a'+rng.IntN(4))), fmt.Sprint(step), minute(step))
			switch rng.IntN(8) {
			case 0:
				c.Approved = false
			case 1:
				c.Withdraws, c.Approved = true, false
			case 2:
				from(step + rng.IntN(20) - 10)(c)
			case 3:
				until(step + rng.IntN(20) - 10)(c)
			case 4, 5:
				c.Locale = []string{"de", "fr"}[rng.IntN(2)]
			case 6:
				version(int64(rng.IntN(5)))(c)
			}
			if rng.IntN(6) == 0 {
				s.Remove(c.Key())
				naive.remove(c.Key())
			} else {
				s.Put(c)
				naive.put(c)
			}
			for _, id := range []string{"a", "b", "c", "d"} {
				for _, locales := range [][]string{nil, {"de"}, {"fr", "de"}} {
					f, ok := s.Get("banners", id, locales, at(step))
					want := naive.get(id, locales, at(step))
					if got := ""; ok {
						if got = text(t, f); got != want {
							t.Fatalf("seed %d, step %d, %s %v: %q, want %q", seed, step, id, locales, got, want)
						}
					} else if want != "" {
						t.Fatalf("seed %d, step %d, %s %v: nothing, want %q", seed, step, id, locales, want)
					}
				}
			}
		}
		listed := len(s.List("banners", shelf.Query{Limit: 99}, at(1000)))
		if want := naive.count(at(1000)); listed != want {
			t.Fatalf("seed %d: %d are listed, want %d", seed, listed, want)
		}
	}
}

// model is what stands for each key, by the rules as they are written down.
type model struct{ records map[string]*event.Content }

func (m *model) put(c *event.Content) {
	if m.records == nil {
		m.records = map[string]*event.Content{}
	}
	if old := m.records[c.Key()]; old != nil && old.Version != nil && c.Version != nil && *c.Version < *old.Version {
		return
	}
	m.records[c.Key()] = c
}

func (m *model) remove(key string) { delete(m.records, key) }

func (m *model) shown(key string, now time.Time) *event.Content {
	c := m.records[key]
	if c == nil || !c.Approved || now.Before(c.ValidFrom) || !c.ValidUntil.IsZero() && !now.Before(c.ValidUntil) {
		return nil
	}
	item, _, _ := strings.Cut(key, "#")
	if w := m.records[item+"#*"]; w != nil && !c.ReceivedAt.After(w.ReceivedAt) {
		return nil
	}
	return c
}

func (m *model) get(id string, locales []string, now time.Time) string {
	keys := make([]string, 0, 4)
	for _, l := range locales {
		keys = append(keys, "banners/"+id+"#"+l)
	}
	keys = append(keys, "banners/"+id)
	if len(locales) == 0 {
		keys = append(keys, "banners/"+id+"#de", "banners/"+id+"#fr")
	}
	for _, key := range keys {
		if c := m.shown(key, now); c != nil {
			return strings.TrimSuffix(strings.TrimPrefix(string(c.Body), `{"text":"`), `"}`)
		}
	}
	return ""
}

func (m *model) count(now time.Time) int {
	return len(slices.DeleteFunc([]string{"a", "b", "c", "d"}, func(id string) bool { return m.get(id, nil, now) == "" }))
}

func TestTheStandingsSayWhyNothingIsShown(t *testing.T) {
	var s shelf.Shelf
	for _, c := range []*event.Content{
		banner("a", "own", until(9), also("de", "variant"), also("fr", "older"), minute(2)),
		banner("a", "early", locale("fr"), from(8), minute(2)),
		banner("a", "late", locale("it"), until(3), minute(2)),
		banner("a", "draft", locale("es"), unapproved, minute(2)),
		banner("a", "gone", locale("nl"), minute(1)),
		withdrawal(1),
		banner("b", "b"),
	} {
		s.Put(c)
	}
	var got []string
	for _, st := range s.Standings("banners", "a", at(5)) {
		got = append(got, st.Locale+" "+string(st.State))
	}
	want := []string{" shown", "de shown", "es not_approved", "fr shown", "it expired", "nl withdrawn"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if own := s.Standings("banners", "a", at(9))[0]; own.State != shelf.Expired || !own.Until.Equal(at(9)) || !own.From.IsZero() {
		t.Errorf("at its end: %+v", own)
	}
	if diff := cmp.Diff([]string{"a", "b"}, s.IDs("banners")); diff != "" || len(s.Standings("banners", "none", at(5))) > 0 || len(s.IDs("none")) > 0 {
		t.Error(diff)
	}
}
