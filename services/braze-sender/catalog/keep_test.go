package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestACatalogIsMadeWithTheTypesThatAreSeenAndFollowsItsCollection(t *testing.T) {
	s := newScene(t, `[{name: banners, catalog: true}, {name: other}]`, brazefake.Knobs{})
	s.put(t,
		approved("banners", "spring", `{"id":7,"title":"Spring","price":12.50,"sold":false,"since":"2026-03-04T10:00:00Z","day":"2026-03-04","where":[16.37,48.2],"tags":["a"],"more":{"x":1}}`),
		approved("other", "x", `{"title":"not a catalog"}`),
	)
	r := s.start(t)
	row := `{"day":"2026-03-04","more":{"x":1},"price":12.50,"since":"2026-03-04T10:00:00Z","sold":false,"tags":["a"],"title":"Spring","where":[16.37,48.2]}`
	s.await(t, "banners", map[string]string{"spring": row})
	c, _ := s.sandbox.Catalog("banners")
	want := []brazefake.CatalogField{
		{Name: "id", Type: "string"},
		{Name: "day", Type: "string"},
		{Name: "more", Type: "object"},
		{Name: "price", Type: "number"},
		{Name: "since", Type: "time"},
		{Name: "sold", Type: "boolean"},
		{Name: "tags", Type: "array"},
		{Name: "title", Type: "string"},
		{Name: "where", Type: "geo"},
	}
	if diff := cmp.Diff(want, c.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}

	// Another field is added; a variant in a locale is a field of its own, from wherever it comes.
	summer := approved("banners", "summer/1", `{"title":"Summer","stock":3}`)
	summer.Variants = []event.ContentVariant{{Locale: "de-AT", Body: []byte(`{"title":"Sommer"}`)}}
	french := approved("banners", "spring", `{"title":"Printemps"}`)
	french.Locale = "fr"
	s.put(t, summer, french)
	french1 := strings.Replace(row, `"title":"Spring"`, `"title":"Spring","title_fr":"Printemps"`, 1)
	s.await(t, "banners", map[string]string{"spring": french1, "x--summer_2F1": `{"stock":3,"title":"Summer","title_de-AT":"Sommer"}`})

	// What is withdrawn goes, and what is deleted.
	withdrawn := approved("banners", "spring", `{}`)
	withdrawn.Approved, withdrawn.Withdraws = false, true
	s.put(t, withdrawn)
	s.produce(t, s.record("banners/summer/1", nil))
	s.await(t, "banners", map[string]string{})
	until(t, "the law", func() bool { return r.value(t, "sluice_catalog_held", "") == 0 })
	if v := s.sandbox.Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
	if got := s.rows(t, "other"); len(got) > 0 {
		t.Errorf("a collection that is none is kept: %v", got)
	}
}

func TestWhatIsInTheCatalogIsNotSentAgainAfterARestart(t *testing.T) {
	s := newScene(t, `[{name: rows, catalog: true}]`, brazefake.Knobs{})
	want := map[string]string{}
	for i := range 120 {
		id := fmt.Sprintf("p%03d", i)
		want[id] = fmt.Sprintf(`{"n":%d}`, i)
		s.put(t, approved("rows", id, want[id]))
	}
	r := s.start(t)
	s.await(t, "rows", want)
	until(t, "the end", func() bool { return r.value(t, "sluice_catalog_held", "") == 0 })
	r.drain(t)
	first := s.front.seen()
	if slices.Sort(first); !slices.Equal(first, []string{"POST /catalogs 0", "PUT /catalogs/rows/items 20", "PUT /catalogs/rows/items 50", "PUT /catalogs/rows/items 50"}) {
		t.Errorf("calls %q", first)
	}

	s.put(t, approved("rows", "p007", `{"n":8}`))
	s.produce(t, s.record("rows/p008", nil))
	want["p007"] = `{"n":8}`
	delete(want, "p008")
	r = s.start(t)
	s.await(t, "rows", want)
	until(t, "the end", func() bool { return r.value(t, "sluice_catalog_held", "") == 0 })
	calls := s.front.seen()[len(first):]
	if slices.Sort(calls); !slices.Equal(calls, []string{"DELETE /catalogs/rows/items 1", "PUT /catalogs/rows/items 1"}) {
		t.Errorf("calls after the restart %q", calls)
	}
	if n := r.value(t, "sluice_catalog_changes_total", ""); n != 2 {
		t.Errorf("%v changes, want 2", n)
	}
}

func TestAWindowBeginsAndEndsByItself(t *testing.T) {
	s := newScene(t, `[{name: offers, catalog: true, fields: {n: number}}]`, brazefake.Knobs{})
	now := time.Now().Truncate(time.Millisecond).UTC()
	ends, begins, later := approved("offers", "ends", `{"n":1}`), approved("offers", "begins", `{"n":2}`), approved("offers", "later", `{"n":3,"unlisted":1}`)
	ends.ValidUntil = now.Add(3 * time.Second)
	begins.ValidFrom, begins.ValidUntil = now.Add(4*time.Second), now.Add(6*time.Second)
	later.ValidFrom = now.Add(time.Hour)
	s.put(t, ends, begins, later, approved("offers", "always", `{"n":4,"unlisted":1}`))
	s.start(t)
	always := `{"n":4}`
	s.await(t, "offers", map[string]string{"ends": `{"n":1}`, "always": always})
	s.await(t, "offers", map[string]string{"always": always})
	if time.Now().Before(ends.ValidUntil) {
		t.Error("it went too early")
	}
	s.await(t, "offers", map[string]string{"begins": `{"n":2}`, "always": always})
	if time.Now().Before(begins.ValidFrom) {
		t.Error("it came too early")
	}
	s.await(t, "offers", map[string]string{"always": always})
}

func TestOneItemIsRefusedAndTheOthersGo(t *testing.T) {
	s := newScene(t, `[{name: rows, catalog: true}]`, brazefake.Knobs{})
	want := map[string]string{}
	for i := range 30 {
		id := fmt.Sprintf("p%03d", i)
		want[id] = fmt.Sprintf(`{"n":%d,"t":"x"}`, i)
		s.put(t, approved("rows", id, want[id]))
	}
	r := s.start(t)
	s.await(t, "rows", want)
	bad := map[string]string{
		"bitter":     `{"n":1,"t":"` + poison + `"}`,
		"p003":       `{"n":2,"t":"` + poison + `"}`,
		"too-long":   `{"n":1,"t":"` + strings.Repeat("x", 5001) + `"}`,
		"no-number":  `{"n":"1"}`,
		"p004":       `{"n":[1,2,3]}`,
		"bad-name":   `{"a b":1}`,
		"bad-key":    `{"o":{"a.b":1}}`,
		"objects":    `{"list":[{"a":1}]}`,
		"de-twice":   `{"t_de":"x","t":"y"}`,
		"undecoded":  ``,
		"mismatched": `{"n":1}`,
	}
	for id, body := range bad {
		c := approved("rows", id, body)
		c.Variants = nil
		if id == "de-twice" {
			c.Variants = []event.ContentVariant{{Locale: "de", Body: []byte(`{"t":"z"}`)}}
		}
		rec := s.record(c.Key(), c)
		switch id {
		case "undecoded":
			rec.Value = []byte("nonsense")
		case "mismatched":
			other := approved("rows", "somebody-else", body)
			rec.Value = s.record(other.Key(), other).Value
		}
		s.produce(t, rec)
		delete(want, id)
	}
	for i := range 30 {
		id := fmt.Sprintf("q%03d", i)
		want[id] = fmt.Sprintf(`{"n":%d,"t":"x"}`, i)
		s.put(t, approved("rows", id, want[id]))
	}
	s.await(t, "rows", want)
	until(t, "the end", func() bool { return r.value(t, "sluice_catalog_held", "") == 0 })
	got := map[string]string{}
	for _, l := range s.letters(t) {
		got[string(l.Key)] = l.Reason
		if len(l.Value) == 0 || l.OriginTopic == "" {
			t.Errorf("a letter without its record: %+v", l)
		}
	}
	reasons := map[string]string{
		"rows/bitter": "item_error", "rows/p003": "item_error", "rows/too-long": "invalid", "rows/no-number": "wrong_type", "rows/p004": "wrong_type",
		"rows/bad-name": "invalid_field", "rows/bad-key": "invalid", "rows/objects": "invalid", "rows/de-twice": "ambiguous_field", "rows/undecoded": "not_avro", "rows/mismatched": "key_mismatch",
	}
	if diff := cmp.Diff(reasons, got); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if n := r.value(t, "sluice_catalog_settled_total", "refused"); int(n) != len(bad) {
		t.Errorf("%v refused, want %d", n, len(bad))
	}

	// Nobody is told of them twice, and what is good again goes.
	n := len(s.letters(t))
	r.drain(t)
	s.put(t, approved("rows", "bitter", `{"n":1,"t":"cured"}`))
	want["bitter"] = `{"n":1,"t":"cured"}`
	r = s.start(t)
	s.await(t, "rows", want)
	until(t, "the end", func() bool { return r.value(t, "sluice_catalog_held", "") == 0 })
	if again := len(s.letters(t)); again != n {
		t.Errorf("%d dead letters after a restart, %d before", again, n)
	}
}

func TestACatalogThatIsDeletedInBrazeIsMadeAnew(t *testing.T) {
	s := newScene(t, `[{name: rows, catalog: true}]`, brazefake.Knobs{})
	want := map[string]string{"a": `{"n":1}`, "b": `{"n":2}`}
	s.put(t, approved("rows", "a", `{"n":1}`), approved("rows", "b", `{"n":2}`))
	s.start(t)
	s.await(t, "rows", want)
	s.sandbox.Reset()
	s.put(t, approved("rows", "c", `{"n":3}`))
	want["c"] = `{"n":3}`
	s.await(t, "rows", want)
}

func TestWhatNobodyCanDoIsSaidAndTriedAgain(t *testing.T) {
	s := newScene(t, `[{name: rows, catalog: true}]`, brazefake.Knobs{})
	s.sandbox = brazefake.New(brazefake.Options{Keys: []brazefake.Key{{Value: brazefake.DefaultKey, Permissions: []string{"catalogs.replace_items"}}}, Knobs: brazefake.Knobs{PoolLimits: "all=none"}})
	s.front.sandbox = s.sandbox
	s.put(t, approved("rows", "a", `{"n":1}`))
	r := s.start(t)
	health := func() string {
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Sprint(r.health)
	}
	until(t, "red health", func() bool { return strings.Contains(health(), "catalogs.create") })
	if r.value(t, "sluice_catalog_stopped", "") != 1 || len(s.letters(t)) > 0 {
		t.Error("a permission that is missing is an item's fault")
	}
}

func TestTwoReplicasShareTheCatalogs(t *testing.T) {
	var names []string
	var list []string
	for i := range 8 {
		names = append(names, fmt.Sprintf("c%d", i))
		list = append(list, fmt.Sprintf(`{name: c%d, catalog: true}`, i))
	}
	s := newScene(t, "["+strings.Join(list, ", ")+"]", brazefake.Knobs{})
	for _, name := range names {
		s.put(t, approved(name, "a", `{"n":1}`))
	}
	one, two := s.start(t), s.start(t)
	kept := func(r *running) int { return int(r.value(t, "sluice_catalog_collections", "")) }
	until(t, "both to have some", func() bool { return kept(one) > 0 && kept(two) > 0 && kept(one)+kept(two) == len(names) })
	for _, name := range names {
		s.await(t, name, map[string]string{"a": `{"n":1}`})
	}
	one.drain(t)
	until(t, "the other to have all", func() bool { return kept(two) == len(names) })
	for _, name := range names {
		s.put(t, approved(name, "a", `{"n":2}`))
	}
	for _, name := range names {
		s.await(t, name, map[string]string{"a": `{"n":2}`})
	}
}

func TestAnOwnerThatIsLateDoesNoHarm(t *testing.T) {
	s := newScene(t, `[{name: rows, catalog: true}]`, brazefake.Knobs{LatencyMax: 50 * time.Millisecond})
	want := map[string]string{}
	set := func(n int) {
		for i := range 20 {
			id := fmt.Sprintf("p%03d", i)
			want[id] = fmt.Sprintf(`{"n":%d}`, (n+i)%3)
			s.put(t, approved("rows", id, want[id]))
		}
	}
	set(0)
	one := s.alone(t)
	s.await(t, "rows", want)
	two := s.alone(t) // and both believe that the catalog is theirs
	for n := range 5 {
		set(n)
		<-time.After(300 * time.Millisecond)
	}
	one.drain(t)
	s.await(t, "rows", want)
	until(t, "the end", func() bool { return two.value(t, "sluice_catalog_held", "") == 0 })
	s.await(t, "rows", want)
}
